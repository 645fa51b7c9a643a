from __future__ import annotations

import pytest

from chaos.faults import Acted, Measured
from chaos.faults.acting import judge_acts
from tests.chaos.faults.examples import CALM, fault


@pytest.mark.parametrize(
    ("acted", "effect"),
    [(Acted(), "not-probed"), (Acted(lines=1, of=9), "absent"), (Acted(lines=1, sessions=1, of=9), "confirmed")],
    ids=str,
)
def test_nobody_is_not_the_same_as_nothing_written(acted, effect):
    assert judge_acts(acted).effect == effect


@pytest.mark.parametrize("kind", ["mass-disconnect", "sleep"])
@pytest.mark.parametrize(
    ("acted", "effect"),
    [
        (Acted(lines=2, sessions=7, of=20, ended=7), "confirmed"),
        (Acted(lines=2, of=20), "absent"),
        (Acted(), "not-probed"),
    ],
    ids=str,
)
def test_what_the_load_processes_wrote_decides(kind, acted, effect):
    bite = fault(kind=kind).judge(CALM, Measured(acted=acted))
    assert (bite.effect, bite.measured["value"], bite.measured["of"]) == (effect, acted.sessions, acted.of)


@pytest.mark.parametrize("kind", ["mass-disconnect", "sleep", "slow-consumer", "switch"])
def test_it_is_the_clients_own_act(kind):
    assert fault(kind=kind).place == "client"
