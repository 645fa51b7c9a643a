from __future__ import annotations

import pytest

from chaos.faults import Acted, Baseline, Measured, parse_fault

BEFORE = Baseline((1.0,) * 20, "answered", 9e7, 9e7, (1, 1, 1), 2.0)


def fault(**asked):
    return parse_fault(asked, "s.yaml", "f")


@pytest.mark.parametrize(
    ("acted", "effect"),
    [
        (Acted(lines=2, sessions=7, of=20, ended=7), "confirmed"),
        (Acted(lines=2, of=20), "absent"),
        (Acted(), "not-probed"),
    ],
    ids=str,
)
def test_what_the_load_processes_wrote_decides(acted, effect):
    bite = fault(kind="mass-disconnect").judge(BEFORE, Measured(acted=acted))
    assert (bite.effect, bite.measured["value"], bite.measured["of"]) == (effect, acted.sessions, acted.of)


def test_it_is_the_clients_own_act():
    assert (fault(kind="mass-disconnect").place, fault(kind="mass-disconnect").begin) == ("client", ())
