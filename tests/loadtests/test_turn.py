"""One turn's tracker by itself: what each event is told at once, and what only settling shows."""

from __future__ import annotations

from itertools import count

import pytest
import yaml

from loadtests.configfile import convert
from loadtests.contract import load
from loadtests.contract.compile import Contract
from loadtests.contract.schema import ContractFile
from loadtests.turn import ROLE_CODES, Rules, TurnTracker

ROOT, NESTED = 1, 2
REFERENCE, NETRA = load("reference"), load("netra")


#: rows of the latest turn
ROWS = [count(1)]


def turn(name: str = "reference") -> TurnTracker:
    ROWS[0] = count(1)
    return TurnTracker(Rules({"reference": REFERENCE, "netra": NETRA}[name], frozenset({ROOT})), 1, 0)


def feed(tracker: TurnTracker, *roles: str, agent: int = ROOT, tool: int = 0, execution: int = 0) -> list[str]:
    """Rows count on; returns the kinds told at once."""
    contract, told = tracker.rules.contract, []
    for role in roles:
        event = contract.by_name[contract.name_of(role)].index  # type: ignore[arg-type]
        found = tracker.event(next(ROWS[0]), event, recovered=False, agent=agent, tool=tool, execution=execution)
        told += [found[0].name] if found else []
    return told


def settled(tracker: TurnTracker) -> list[tuple[str, int]]:
    return sorted((kind.name, row) for kind, row, _ in tracker.settle())


def test_the_codes_of_roles_are_those_of_the_contract() -> None:
    rules = Rules(REFERENCE, frozenset())
    assert {rules.roles[rule.index] for rule in REFERENCE.events} <= set(ROLE_CODES.values())
    assert rules.roles[0] == ROLE_CODES["other"]
    assert rules.roles[REFERENCE.by_name["agent_completed"].index] == ROLE_CODES["done"]


def test_what_must_be_seen_leaves_the_closers_of_pairs_to_pairing() -> None:
    named = {REFERENCE.label(event) for event in Rules(REFERENCE, frozenset()).demanded}
    assert named == {"agent_started", "agent_thinking", "tool_executing", "agent_completed"}


@pytest.mark.parametrize(("end", "failed"), [("done", False), ("failed", True)])
def test_the_roots_end_is_the_turns(end: str, failed: bool) -> None:
    tracker = turn()
    assert feed(tracker, "started", "thinking", "tool-open", "tool-close") == []
    feed(tracker, end, agent=NESTED)
    assert not tracker.ended
    feed(tracker, end)
    assert (tracker.ended, not tracker.completed, tracker.end_row) == (True, failed, 6)


def test_without_a_named_root_the_first_to_start_is_it() -> None:
    tracker = turn()
    feed(tracker, "started", agent=7)
    feed(tracker, "started", "done", agent=8)
    assert not tracker.ended
    feed(tracker, "done", agent=7)
    assert tracker.ended


def test_a_named_root_that_starts_second_takes_over() -> None:
    tracker = turn()
    feed(tracker, "started", agent=NESTED)
    feed(tracker, "started", agent=ROOT)
    feed(tracker, "done", agent=NESTED)
    assert not tracker.ended


def test_an_end_that_names_no_agent_is_the_turns() -> None:
    tracker = turn()
    feed(tracker, "started")
    feed(tracker, "done", agent=0)
    assert tracker.ended


def test_settling_names_the_witness_of_each_omission() -> None:
    tracker = turn()
    feed(tracker, "started")
    feed(tracker, "tool-open", tool=4, execution=5)
    feed(tracker, "tool-close", tool=6, execution=7)
    feed(tracker, "done")
    assert settled(tracker) == [("close-without-open", 3), ("open-without-close", 2), ("role-missing", 4)]


def test_an_inversion_is_told_once_whatever_follows() -> None:
    tracker = turn()
    assert feed(tracker, "thinking", "tool-open", "started", "tool-close", "started", "done") == ["misplaced"]
    assert settled(tracker) == []


def test_a_first_event_that_never_came_is_missing_and_not_an_inversion_too() -> None:
    tracker = turn()
    feed(tracker, "thinking", "tool-open", "tool-close", "done")
    assert settled(tracker) == [("role-missing", 4)]


def test_a_turn_that_lacks_what_is_not_demanded_was_misplaced() -> None:
    """Where nobody demands the start, an event before it can only be out of order."""
    text = REFERENCE.text.replace("demanded: true", "demanded: false")
    lenient = Contract(convert(yaml.safe_load(text), ContractFile, "lenient"), "lenient", text)
    ROWS[0], tracker = count(1), TurnTracker(Rules(lenient, frozenset({ROOT})), 1, 0)
    feed(tracker, "thinking", "done")
    assert settled(tracker) == [("misplaced", 1)]


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ({"holed": True, "given_up": True}, []),
        ({"declared": True, "given_up": True}, [("never-ended", 0)]),
        ({"declared": True}, []),
        ({"given_up": True}, [("close-without-open", 2), ("never-ended", 0)]),
        ({}, [("close-without-open", 2)]),
    ],
)
def test_what_is_known_of_missing_events_bounds_what_can_be_said(
    marks: dict[str, bool], expected: list[object]
) -> None:
    tracker = turn()
    feed(tracker, "started", "tool-close")
    for name, value in marks.items():
        setattr(tracker, name, value)
    assert settled(tracker) == expected


@pytest.mark.parametrize(("cut", "expected"), [(False, "silent"), (True, "silent-cut")])
def test_silence_is_told_apart_from_silence_under_a_cut(cut: bool, expected: str) -> None:
    tracker = turn()
    tracker.given_up, tracker.cut = True, cut
    assert settled(tracker) == [(expected, 0)]


@pytest.mark.parametrize(("name", "told"), [("netra", None), ("reference", "after-end")])
def test_a_stored_message_may_come_late_only_where_cut_turns_are_recovered(name: str, told: str | None) -> None:
    tracker = turn(name)
    feed(tracker, "started", "thinking", "tool-open", "tool-close", "done")
    found = tracker.event(
        9, tracker.rules.contract.by_name["agent_thinking"].index, recovered=True, agent=ROOT, tool=0, execution=0
    )
    assert (found[0].name if found else None) == told
