"""Every planted defect, played by real sessions in virtual time, is found by exactly the checkers of its row."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from loadtests.backend.agents import POLICIES, Policy
from loadtests.backend.defects import DEFECTS
from loadtests.backend.engine import STATUSES
from loadtests.backend.manager import GOING_AWAY
from loadtests.backend.script import Script
from loadtests.backend.spoilt_turns import Site
from loadtests.conductor.selftest import possible
from loadtests.contract import load
from loadtests.findings import KINDS
from loadtests.history import End
from tests.loadtests.backend.players import STOPPED_TURNS, TURNS, USERS, play

#: ids that only the whole run can show, with its faults, its control cohort and the server's own figures
BY_THE_RUN = {"restored", "reconnect", "dead-peers", "control"}
CONTRACTS = ("reference", "netra")


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("defect", [*DEFECTS])
def test_a_defect_is_found_by_exactly_the_checkers_of_its_row(make_stage: Any, contract: str, defect: str) -> None:
    row = DEFECTS[defect]
    # What is planted in the server's sockets is shown by test_server, on real ones.
    shown = set() if row.where == "socket" else set(row.ids[contract]) - BY_THE_RUN
    for seed in (1, 2):
        played = play(make_stage, contract, defect, seed)
        texts = [(f.kind.name, f.session, f.turn) for f in played.own]
        assert (played.ids - possible(defect), seed) == (shown, seed), texts
        assert played.stage.backend.planter.planted or not row.ids[contract] or row.where == "socket"


@pytest.mark.parametrize("contract", CONTRACTS)
def test_without_a_defect_nothing_is_found_and_every_turn_ends_well(make_stage: Any, contract: str) -> None:
    for seed in range(5):
        played = play(make_stage, contract, "", seed)
        assert [(f.kind.name, f.session, f.turn) for f in played.own] == []
        stopped = STOPPED_TURNS if contract == "reference" else 0
        assert played.ends == Counter({End.OK: USERS * TURNS - stopped, End.CANCELLED: stopped})


def test_turns_that_honestly_end_otherwise_are_no_defect(make_stage: Any) -> None:
    played = play(make_stage, "reference", "", 1, outcomes=dict.fromkeys(STATUSES, 0.2))
    assert played.own == []
    assert {End.OK, End.DEGRADED, End.REFUSED, End.THROTTLED, End.FAILED} <= set(played.ends)


def test_a_message_in_between_may_be_rejected(make_stage: Any) -> None:
    """To a contract that promises a queue that is a failure."""
    played = play(make_stage, "reference", "", 1, concurrent="reject")
    assert played.own == []
    assert played.ends[End.FAILED] > 0


def test_a_message_in_between_may_take_the_turn_s_place(make_stage: Any) -> None:
    """Its end says that it was stopped; to a contract that promises a queue that is a failure, since nobody asked."""
    played = play(make_stage, "reference", "", 1, concurrent="supersede")
    assert played.own == []
    assert played.ends[End.CANCELLED] + played.ends[End.FAILED] > STOPPED_TURNS


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "queue"])
def test_a_backend_that_does_what_it_promises_with_a_second_message_has_no_finding(
    make_stage: Any, policy: Policy
) -> None:
    for seed in range(3):
        played = play(make_stage, "reference", "", seed, promised=policy, concurrent=policy)
        assert [(f.kind.name, f.session, f.turn) for f in played.own] == []
        assert played.ends[End.FAILED] == 0
        assert (played.ends[End.REJECTED] > 0) == (policy == "reject")
        assert (played.ends[End.CANCELLED] > STOPPED_TURNS) == (policy == "supersede")


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_server_that_goes_away_in_mid_turn_and_keeps_its_word_is_no_defect(
    make_stage: Any, contract: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client comes back and gets the rest: nobody has lost anything."""

    def goes_away(script: Script, _: Site) -> Script:
        at = next(i for i, step in enumerate(script) if step.role == "tool-open")
        return (*script[:at], replace(script[at], close_code=GOING_AWAY), *script[at + 1 :])

    monkeypatch.setitem(DEFECTS, "goes-away", replace(DEFECTS["goes-away"], script=goes_away, share=0.5))
    played = play(make_stage, contract, "goes-away", 1)
    assert played.stage.backend.planter.planted > USERS
    assert played.own == []
    assert set(played.ends) <= {End.OK, End.CANCELLED}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_backend_that_rejects_everything_has_failed_every_turn(make_stage: Any, contract: str) -> None:
    played = play(make_stage, contract, "rejects-all", 1)
    assert played.ends[End.FAILED] == played.stage.backend.planter.planted == USERS * TURNS - 10
    assert played.ends[End.OK] == 10


def test_turns_whose_resume_is_denied_have_failed(make_stage: Any) -> None:
    played = play(make_stage, "reference", "never-resumes", 1)
    assert played.ends[End.TIMEOUT] >= played.stage.backend.planter.planted > 0


def test_a_backend_that_only_throttles_has_answered_nobody(make_stage: Any) -> None:
    played = play(make_stage, "reference", "throttles-after-cut", 1)
    assert played.ends[End.THROTTLED] == played.stage.backend.planter.planted > USERS


def test_versions_that_are_mixed_during_a_rollout_are_no_defect(make_stage: Any) -> None:
    played = play(make_stage, "reference", "", 1, event_versions=("0", "1"))
    assert played.own == []
    assert {f.kind.name for f in played.findings if f.kind.warning} == {"version-deprecated"}


def test_the_late_event_makes_a_turn_late_and_nothing_else(make_stage: Any) -> None:
    played = play(make_stage, "reference", "late-event", 1)
    assert played.own == []
    assert played.stage.backend.planter.planted
    assert played.ends[End.TIMEOUT] == 0


def test_every_row_says_what_it_does_and_hooks_in_at_one_place() -> None:
    hooks = {"script": "script", "cancel": "cancel", "replay": "replay", "rewind": "log"}
    for name, row in DEFECTS.items():
        assert row.name == name
        assert row.sentence
        assert set(row.ids) == set(CONTRACTS)
        for hook, where in hooks.items():
            assert (getattr(row, hook) is not None) == (row.where == where), (name, hook)
        assert (row.keepalive_s is not None or row.one_gate) == (row.where == "socket")


def test_every_id_that_a_backend_can_break_has_a_defect_that_breaks_it() -> None:
    named = set().union(*(row.ids["reference"] for row in DEFECTS.values()))
    assert {kind.checker for kind in KINDS} | BY_THE_RUN == named


def test_the_unapproved_type_is_in_no_contract(make_stage: Any) -> None:
    stage = make_stage("unapproved-type")
    link = stage.join()
    stage.ask(link)
    stage.run()
    planted = [kind for kind in link.kinds if kind not in load("reference").by_name]
    assert len(planted) == 1
    for name in CONTRACTS:
        file = load(name).file
        assert planted[0] not in {*file.events, *file.aliases, *file.legacy}
