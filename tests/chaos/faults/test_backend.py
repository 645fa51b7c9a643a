from __future__ import annotations

import pytest

from chaos.faults import FAULTS, Baseline, Measured
from chaos.faults.backend import ACTIONS, CLUSTER
from chaos.faults.fault import PINGS
from tests.chaos.faults.examples import CALM, fault

ENDED = {"ended": "window", "ended_how": "eof"}


@pytest.mark.parametrize(
    ("kind", "during", "effect"),
    [
        ("backend-kill", Measured(**ENDED, fresh=("eof",) * 3), "confirmed"),
        ("backend-kill", Measured(**ENDED, fresh=("eof", "answered")), "absent"),
        ("backend-kill", Measured(answered_ms=(1.0,), fresh=("answered",)), "absent"),
        ("backend-kill", Measured(**ENDED), "not-probed"),
        ("backend-pause", Measured(held_ms=(900.0,)), "confirmed"),
        ("backend-pause", Measured(answered_ms=(1.0,)), "absent"),
        ("backend-pause", Measured(), "not-probed"),
        ("backend-restart", Measured(ended="window", ended_how="close 1001"), "confirmed"),
        ("backend-restart", Measured(answered_ms=(1.0,)), "absent"),
        ("backend-restart", Measured(ended="before"), "not-probed"),
        ("rollout", Measured(ended="window", ended_how="close 1012"), "confirmed"),
        ("rollout", Measured(answered_ms=(1.0,), fresh=("answered",)), "absent"),
        ("rollout", Measured(ended="before"), "not-probed"),
        ("node-kill", Measured(**ENDED, fresh=("answered",)), "confirmed"),
        ("node-kill", Measured(answered_ms=(1.0,), fresh=("answered",)), "confirmed"),
        ("node-kill", Measured(answered_ms=(1.0,), ended="heal", ended_how="eof"), "confirmed"),
        ("node-kill", Measured(ended="before"), "not-probed"),
    ],
    ids=str,
)
def test_the_live_connection_and_the_new_ones_tell(kind, during, effect):
    assert fault(kind=kind).judge(CALM, during).effect == effect


@pytest.mark.parametrize(
    ("during", "value", "by"),
    [
        (Measured(**ENDED), "ended: eof", f"the keeper's answer; {PINGS}"),
        (Measured(answered_ms=(1.0,)), "lived on, on another node", "the keeper's answer: read back, not measured"),
        (Measured(ended="heal", ended_how="eof"), "lived on, on another node", "the keeper's answer: read back, not measured"),
    ],
    ids=str,
)  # fmt: skip
def test_a_canary_on_another_node_measures_nothing_and_that_is_said(during, value, by):
    bite = fault(kind="node-kill").judge(CALM, during)
    assert (bite.measured["value"], bite.by) == (value, by)


@pytest.mark.parametrize(
    ("during", "value"),
    [
        (Measured(ended="window", ended_how="close 1012"), "ended: close 1012"),
        (Measured(answered_ms=(1.0,)), "lived on"),
    ],
    ids=str,
)
def test_a_rollout_says_how_the_live_connection_ended(during, value):
    assert fault(kind="rollout").judge(CALM, during).measured["value"] == value


def test_a_node_without_a_canary_before_is_not_probed():
    bite = fault(kind="node-kill").judge(Baseline(), Measured(**ENDED))
    assert (bite.effect, bite.measured["reason"]) == ("not-probed", "no live connection before the fault")


def test_each_has_its_deeds_and_those_on_nodes_need_several():
    assert {kind for kind, one in FAULTS.items() if one.place == "backend"} == set(ACTIONS)
    assert set(ACTIONS) > CLUSTER


@pytest.mark.parametrize("kind", ACTIONS)
def test_everybody_meets_it(kind):
    assert (fault(kind=kind).place, fault(kind=kind).group) == ("backend", "actor")
