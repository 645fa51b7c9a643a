"""One turn's tracker by itself: what each event is told at once, and what only settling shows."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import pytest
import yaml

from loadtests.configfile import convert
from loadtests.contract import load
from loadtests.contract.compile import Contract
from loadtests.contract.schema import ContractFile
from loadtests.turn import MOST_MISSING, ROLE_CODES, Rules, TurnTracker

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


def test_a_tool_s_end_is_no_turn_s_end_though_no_pair_is_declared() -> None:
    tracker = TurnTracker(Rules(changed(REFERENCE, pairs=[]), frozenset({ROOT})), 1, 0)
    assert feed(tracker, "started", "tool-open", "tool-close") == []
    assert not tracker.ended


def test_what_must_be_seen_leaves_the_closers_of_pairs_to_pairing() -> None:
    named = {REFERENCE.label(event) for event in Rules(REFERENCE, frozenset()).demanded}
    assert named == {"agent_started", "agent_thinking", "tool_executing", "agent_completed"}


def test_a_demanded_closing_demands_its_opening() -> None:
    """Else nobody would: that what is open is closed says nothing of a turn without any."""
    demanding = changed(REFERENCE, events={"tool_executing": {"role": "tool-open"}})
    tracker = TurnTracker(Rules(demanding, frozenset({ROOT})), 1, 0)
    feed(tracker, "started", "thinking", "done")
    assert [(kind.name, demanding.label(event)) for kind, _, event in tracker.settle()] == [
        ("role-missing", "tool_executing")
    ]


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


# -- whole turns in words ----------------------------------------------------------------------------------------------

#: how short words stand for roles; ``step`` and ``stepped`` are a second pair beside the tools
WORDS = {
    "start": "started", "think": "thinking", "open": "tool-open", "close": "tool-close", "done": "done", "fail": "failed",
    "chunk": "content", "other": "other",
}  # fmt: skip
WORD = re.compile(r"(?P<what>[a-z]+)(?P<recovered>\+)?(?P<marks>(?:[:./$]\w+)*)")


def changed(base: Contract, **parts: Any) -> Contract:
    """A contract with some of its parts replaced; parts of parts are merged."""
    data = yaml.safe_load(base.text)
    for name, value in parts.items():
        data[name] = {**data[name], **value} if isinstance(value, dict) else value
    text = yaml.safe_dump(data)
    return Contract(convert(data, ContractFile, "changed"), "changed", text)


#: one thing after the other: a start, a thought, and then tools with a thought between any two
STRICT = changed(
    REFERENCE,
    order={
        "start": "asked",
        "states": {
            "asked": {"agent_started": "begun"},
            "begun": {"agent_thinking": "thought"},
            "thought": {"tool_executing": "using", "agent_completed": "over"},
            "using": {"tool_completed": "thought"},
            "over": {},
        },
    },
)
TWO_PAIRS = changed(
    REFERENCE,
    events={"step_created": {"role": "tool-open"}, "step_done": {"role": "tool-close"}},
    pairs=[
        {"open": "tool_executing", "close": "tool_completed", "by": ["execution", "tool"]},
        {"open": "step_created", "close": "step_done", "by": ["execution", "tool"]},
    ],
)
STREAM_FROM_ONE = changed(
    REFERENCE,
    streams=[{"event": "partial_result", "text": "content", "index": "chunk_index", "start": 1}],
)  # fmt: skip
CHUNKY = changed(STRICT, events={"partial_result": {"role": "content", "demanded": True}})
LENIENT = changed(REFERENCE, events={"agent_started": {"role": "started"}})
ONLY_START = changed(
    REFERENCE,
    events={
        "agent_thinking": {"role": "thinking"},
        "tool_executing": {"role": "tool-open"},
        "tool_completed": {"role": "tool-close"},
        "agent_completed": {"role": "done"},
    },
)
CONTRACTS = {
    "chunky": CHUNKY,
    "only": ONLY_START,
    "lenient": LENIENT,
    "reference": REFERENCE,
    "netra": NETRA,
    "strict": STRICT,
    "two": TWO_PAIRS,
    "one": STREAM_FROM_ONE,
}


def play(name: str, words: str, first_row: int = 1, **marks: Any) -> TurnTracker:
    """A turn of these words."""
    return said(name, words, first_row, **marks)[0]


def said(name: str, words: str, first_row: int = 1, **marks: Any) -> tuple[TurnTracker, list[tuple[str, int]]]:
    """The tracker after these words, and (kind, row) of what each was told at once."""
    contract = CONTRACTS[name]
    tracker = TurnTracker(Rules(contract, frozenset({ROOT})), 1, 0)
    for mark, value in marks.items():
        setattr(tracker, mark, value)
    told = []
    for row, word in enumerate(words.split(), first_row):
        step = WORD.fullmatch(word)
        assert step, word
        by = dict(re.findall(r"([:./$])(\w+)", step["marks"]))
        what = step["what"]
        label = {"step": "step_created", "stepped": "step_done"}.get(what) or contract.name_of(WORDS[what])  # type: ignore[arg-type]
        found = tracker.event(
            row, contract.by_name[label].index, 1 if step["recovered"] else 0, int(by.get("/", ROOT)),
            int(by.get(":", 0)), int(by.get(".", 0)), int(by.get("$", 0)),
        )  # fmt: skip
        told += [(found[0].name, found[1])] if found else []
    return tracker, told


def ends(tracker: TurnTracker) -> list[tuple[str, int, int]]:
    return sorted((kind.name, row, detail) for kind, row, detail in tracker.settle())


@pytest.mark.parametrize(
    ("name", "words", "at_once", "at_last"),
    [
        ("strict", "start think open close think open close done", [("misplaced", 5)], []),
        ("strict", "start think open close open close done", [], []),
        ("strict", "start open think close done", [("misplaced", 2)], []),
        ("strict", "start open close think done", [("misplaced", 2)], []),
        ("strict", "start open close done", [], [("role-missing", 4, "agent_thinking")]),
        ("strict", "start think think open close done", [("misplaced", 3)], []),
        ("strict", "start think open think done", [], [("misplaced", 4, ""), ("open-without-close", 3, "")]),
        ("chunky", "start think open think done", [],
         [("misplaced", 4, ""), ("open-without-close", 3, ""), ("role-missing", 5, "partial_result")]),
        ("strict", "start think open think:1 close done", [("misplaced", 4)], []),
        ("reference", "think+ start open close done", [("misplaced", 1)], []),
        ("reference", "think start+ open close done", [("misplaced", 1)], []),
        ("netra", "think start+ open close done", [], []),
        ("netra", "think+ start open close done", [], []),
        ("reference", "think start/2 done/2 open close done", [], [("role-missing", 6, "agent_started")]),
        ("reference", "think open:1.1 close:1.9 start done", [("wrong-execution", 3), ("misplaced", 1)], []),
        ("strict", "start think open:1.1 think close:1.9 done", [("wrong-execution", 5)], [("misplaced", 4, "")]),
        ("strict", "start think open:1.1 think close:1.9 fail", [("wrong-execution", 5)], [("misplaced", 4, "")]),
        ("strict", "start think open:1.1 think close:1.9 open:2.2 think close:2.8 done",
         [("wrong-execution", 5), ("wrong-execution", 8)], [("misplaced", 4, ""), ("misplaced", 7, "")]),
        ("only", "think done", [], [("role-missing", 2, "agent_started")]),
        ("strict", "start think close:1.1 open:1.1", [("close-without-open", 3)], []),
    ],
)  # fmt: skip
def test_what_came_in_the_wrong_place_is_told_once_and_by_its_own_row(
    name: str, words: str, at_once: list[tuple[str, int]], at_last: list[tuple[str, int, str]]
) -> None:
    tracker, told = said(name, words)
    contract = CONTRACTS[name]
    assert told == at_once
    assert [(kind, row, contract.label(detail) if detail else "") for kind, row, detail in ends(tracker)] == at_last


@pytest.mark.parametrize(("mark", "kinds"), [("declared", ["misplaced"]), ("holed", []), ("twice", [])])
def test_a_misplacement_that_was_kept_for_the_end_is_told_unless_a_finding_explains_it(
    mark: str, kinds: list[str]
) -> None:
    tracker = play("strict", "start think open:1.1 think close:1.9 done", first_row=0)
    setattr(tracker, mark, True)
    assert [kind for kind, _, _ in ends(tracker)] == kinds


def test_the_first_row_of_a_history_is_a_witness_like_any_other() -> None:
    """Rows count from 0, and 0 is not *none*."""
    assert said("reference", "think start open close done", first_row=0)[1] == [("misplaced", 0)]
    assert said("strict", "think think start open close done", first_row=0)[1] == [("misplaced", 0)]
    assert ends(play("lenient", "think open close done", first_row=0)) == [("misplaced", 0, 0)]
    assert ends(play("reference", "start", cancel_row=0, given_up=True)) == [("cancel-ignored", 0, 0)]
    assert said("reference", "start start", first_row=0, sent_again=True)[1] == [("executed-twice", 1)]


@pytest.mark.parametrize(
    ("words", "at_once", "at_last"),
    [
        ("start think open:1.1 close:1.1 close:1.1 done", [("close-without-open", 5)], []),
        ("start think open:1.1 open:1.2 close:1.1 close:1.1 close:1.2 done", [("close-without-open", 6)], []),
        ("start think open:1.1 close:1.9 done", [("wrong-execution", 4)], []),
        ("start think open:1.1 close.9 done", [("wrong-execution", 4)], []),
        ("start think open:1.1 close:2.9 done", [], [("close-without-open", 4), ("open-without-close", 3)]),
        ("start think close:1.1 open:1.2 close:1.2 done", [], [("close-without-open", 3)]),
        ("start think close:1 open:2 close:2 done", [], [("close-without-open", 3)]),
        ("start think open:1 close:2.1 done", [], [("close-without-open", 4), ("open-without-close", 3)]),
        ("start think open:1 close:1.1 done", [], []),
        ("start think open:1.1 close:1 done", [], []),
        ("start think open.1 close:1 done", [], []),
        ("start think open:1 close done", [], []),
        ("start think close:1.1 open+:1.1 done", [("close-without-open", 3)], []),
        ("start think open:1.1 close:1.1 open:1.1 close:1.1 done", [], []),
        ("start think open:1.1 close:1.1 open:1.1 close:1.1 close:1.1 done", [("close-without-open", 7)], []),
        ("start think open:1.1 close:1.1 open:1.2 close:1.1 close:1.2 done", [("close-without-open", 6)], []),
        ("start think open:1.1 close:1.1 open:1.2 close:1.2 open:1.3 close:1.2 close:1.3 done",
         [("close-without-open", 8)], []),
        ("start think open:1.1 open:1.1 close:1.1 close:1.1 done", [], []),
        ("start think open:1.1 close:1.9 open:1.9 close:1.9 done", [("wrong-execution", 4)], []),
        ("start think close:1.1 open:1.1 close:1.1 done", [("close-without-open", 3), ("close-without-open", 5)], []),
    ],
)  # fmt: skip
def test_a_tool_is_closed_by_id_else_by_name_else_by_count(
    words: str, at_once: list[tuple[str, int]], at_last: list[tuple[str, int]]
) -> None:
    tracker, told = said("reference", words)
    assert (told, [(kind, row) for kind, row, _ in ends(tracker)]) == (at_once, at_last)


def test_where_one_tool_is_open_and_nothing_has_an_id_a_close_is_its_whatever_name_it_bears() -> None:
    """Among several open ones the name decides."""
    assert ends(play("reference", "start think open:1 close:2 done")) == []
    several = ends(play("reference", "start think open:1 open:3 close:2 close:3 done"))
    assert [(kind, row) for kind, row, _ in several] == [("close-without-open", 5), ("open-without-close", 3)]


@pytest.mark.parametrize(
    ("words", "at_once"),
    [
        ("start think close:1.1 open:1.1 done", [("close-without-open", 3)]),
        ("start think close:1.1 open+:1.1 done", []),
        ("start think close+:1.1 open:1.1 done", [("close-without-open", 3)]),
    ],
)
def test_a_stored_opening_may_come_after_its_close_where_cut_turns_are_recovered(
    words: str, at_once: list[tuple[str, int]]
) -> None:
    assert said("netra", words)[1] == at_once


@pytest.mark.parametrize(
    ("words", "at_last"),
    [
        ("start think step.1 open.2 close.2 stepped.1 done", []),
        ("start think step open stepped close done", []),
        ("start think open close step close done", [("close-without-open", 6), ("open-without-close", 5)]),
        ("start think open close step:1 close:1.9 done", [("close-without-open", 6), ("open-without-close", 5)]),
        ("start think open close stepped.5 open.5 close.6 done", [("close-without-open", 5)]),
        ("start think open step close done", [("open-without-close", 4)]),
        ("start think step.1 open.1 close.1 stepped.1 done", []),
        ("start think step.1 stepped.1 open.1 close.1 done", []),
    ],
)
def test_one_pair_never_closes_another(words: str, at_last: list[tuple[str, int]]) -> None:
    tracker, told = said("two", words)
    assert [kind for kind, _ in told if kind != "wrong-execution"] == []
    assert [(kind, row) for kind, row, _ in ends(tracker)] == at_last


@pytest.mark.parametrize(
    ("name", "words", "at_once", "lost"),
    [
        ("reference", "chunk$1 chunk$2 chunk$3", [], None),
        ("reference", "chunk$1 chunk$4", [], 1),
        ("reference", "chunk$1 chunk$4 chunk$2", [("misplaced", 3)], 2),
        ("reference", "chunk$1 chunk$4 chunk$2 chunk$3", [("misplaced", 3), ("misplaced", 4)], None),
        ("reference", "chunk$1 chunk$4 chunk$4", [("chunk-repeated", 3)], 1),
        ("reference", "chunk$1 chunk$2 chunk$1", [("chunk-repeated", 3)], None),
        ("reference", "chunk$1 chunk$4 chunk$5", [], 1),
        ("reference", "chunk chunk$1 chunk chunk$2", [], None),
        ("one", "chunk$2 chunk$3", [], None),
        ("one", "chunk$3", [], 1),
    ],
)
def test_chunks_are_counted_from_their_first_number(
    name: str, words: str, at_once: list[tuple[str, int]], lost: int | None
) -> None:
    """``$n`` carries the number n - 1; what is told at last is the first number that never came."""
    tracker, told = said(name, f"start {words} think open close done", first_row=0)
    assert told == at_once
    assert [detail for kind, _, detail in ends(tracker) if kind == "chunk-missing"] == ([] if lost is None else [lost])


def test_a_gap_in_chunks_costs_bounded_memory_whatever_its_size() -> None:
    tracker = play("reference", f"start chunk$1 chunk${10**9}")
    ((_, missing),) = (tracker.chunks or {}).values()
    assert (min(missing), len(missing)) == (1, MOST_MISSING)


@pytest.mark.parametrize(
    ("words", "at_once", "at_last"),
    [
        ("start start/2 start/2 done/2 think open close done", [], [("agent-unfinished", 8, 2)]),
        ("start start/2 done/2 done/2 think open close done", [("agent-unbegun", 4)], []),
        ("start start/2 done/2 done/2 start/2 done/2 think open close done", [("agent-unbegun", 4)], []),
        ("start start/2 fail/2 think open close done", [], []),
        ("start start/2 start/3 done/3 done/2 think open close done", [], []),
        ("start/2 start done/2 think open close done", [], []),
        ("start/2 start/2 start done/2 done/2 think open close done", [], []),
        ("start/2 start done/2 start/2 done/2 think open close done", [], []),
        ("start/2 start done/2 done/2 think open close done", [("agent-unbegun", 4)], []),
        ("start/2 start think open close done", [], [("agent-unfinished", 6, 2)]),
        ("start/2 think done/2 open close done", [], []),
        ("start/2 think start open close done", [], [("agent-unfinished", 6, 2)]),
        ("start/2 think/2 open/2 close/2 done/2", [], []),
        ("start/2 think/2 open/2 close/2 done", [], []),
        ("start/2 start/0 think/2 open/2 close/2 done", [], []),
        ("start/2 start/3 think/2 open/2 close/2 done/2", [], [("agent-unfinished", 6, 3)]),
    ],
)
def test_a_nested_agent_completes_as_often_as_it_begins(
    words: str, at_once: list[tuple[str, int]], at_last: list[tuple[str, int, int]]
) -> None:
    tracker, told = said("reference", words)
    assert (told, ends(tracker)) == (at_once, at_last)


def test_nested_agents_are_not_counted_where_the_contract_promises_no_pairs_of_theirs() -> None:
    tracker, told = said("netra", "start done/2 start/3 think open close done")
    assert (told, ends(tracker), tracker.agents) == ([], [], None)


@pytest.mark.parametrize(
    ("words", "marks", "root"),
    [
        ("start/7 think/7", {}, 7),
        ("think/7 start/8", {}, 8),
        ("start/7 start/8", {}, 7),
        ("start/7 start/1", {}, ROOT),
        ("start/7 think/7", {"holed": True}, 0),
        ("think/1", {"holed": True}, ROOT),
    ],
)
def test_the_root_is_whom_the_contract_names_else_the_first_to_start(
    words: str, marks: dict[str, bool], root: int
) -> None:
    """Where events are missing, the start that is missing may be the named root's."""
    assert play("reference", words, **marks).root == root


def test_without_names_a_hole_does_not_keep_the_first_to_start_from_being_the_root() -> None:
    tracker = TurnTracker(Rules(REFERENCE, frozenset()), 1, 0)
    tracker.holed = True
    index = REFERENCE.by_name[REFERENCE.name_of("started")].index
    tracker.event(1, index, 0, 7, 0, 0)
    assert tracker.root == 7


@pytest.mark.parametrize(
    ("words", "ended"), [("start/7 done/7", False), ("start/7 done/1", True), ("start done/7", False)]
)
def test_in_a_turn_with_a_hole_only_the_named_root_ends_it(words: str, ended: bool) -> None:
    assert play("reference", words, holed=True).ended is ended


@pytest.mark.parametrize(
    ("words", "twice", "ended"),
    [
        ("start start", True, False),
        ("start think start", True, False),
        ("start start/2", False, False),
        ("start start+", False, False),
        ("other start", False, False),
        ("start start done", True, True),
        ("start start fail", True, True),
        ("start start done/2", True, False),
        ("start start think open", True, False),
        ("start done start think", True, True),
        ("start/2 start", False, False),
        ("start/2 start start", True, False),
        ("start/2 start start/2", False, False),
        ("start/2 start/2", True, False),
        ("start/2 think start", False, False),
        ("start/0 start", True, False),
    ],
)
def test_a_message_that_was_sent_again_runs_once_and_a_second_run_ends_like_the_first(
    words: str, twice: bool, ended: bool
) -> None:
    tracker, told = said("reference", words, sent_again=True)
    assert (tracker.twice, tracker.ended) == (twice, ended)
    assert [kind for kind, _ in told] == ["executed-twice"] * twice


def test_where_a_start_is_missing_that_of_a_nested_agent_is_not_the_first_run() -> None:
    tracker, told = said("reference", "start/2 start think", sent_again=True, holed=True)
    assert (tracker.twice, told) == (False, [])


def test_a_second_start_of_a_message_that_was_sent_once_is_no_second_run() -> None:
    tracker, told = said("reference", "start start think open close done")
    assert (tracker.twice, told, ends(tracker)) == (False, [], [])


@pytest.mark.parametrize(
    ("words", "completed", "missing"),
    [("start done$1", True, 2), ("start done$2", True, 2), ("start done$3", False, 0), ("start done$5", False, 0),
     ("start fail", False, 0), ("start fail$1", True, 3), ("start done", True, 2)],
)  # fmt: skip
def test_only_who_did_what_was_asked_must_show_what_is_demanded(words: str, completed: bool, missing: int) -> None:
    """``$n``: the outcome that the end names, plus one; without one the event's role says it."""
    tracker = play("reference", words)
    assert tracker.completed is completed
    assert len(ends(tracker)) == missing


@pytest.mark.parametrize(
    ("words", "marks", "expected"),
    [
        ("start", {"cancel_row": 5}, [("cancel-ignored", 5, 0)]),
        ("start", {"cancel_row": 5, "cut": True}, [("never-ended", 0, 0)]),
        ("other", {"cancel_row": 5}, [("silent", 0, 0)]),
        ("start", {}, [("never-ended", 0, 0)]),
        ("start fail", {}, []),
        ("other", {"sent_again": True}, [("never-executed", 0, 0)]),
        ("", {"sent_again": True}, [("silent", 0, 0)]),
        ("", {"cut": True}, [("silent-cut", 0, 0)]),
        ("", {"cut": True, "resent": True}, [("silent", 0, 0)]),
    ],
)
def test_whoever_gave_a_turn_up_is_told_what_it_lacked(
    words: str, marks: dict[str, Any], expected: list[tuple[str, int, int]]
) -> None:
    assert ends(play("reference", words, given_up=True, **marks)) == expected
    assert ends(play("reference", words, **marks)) == []


@pytest.mark.parametrize(
    ("words", "marks", "under_way"),
    [
        ("", {}, False),
        ("other", {}, False),
        ("start", {}, True),
        ("start done", {}, False),
        ("start", {"given_up": True}, False),
    ],
)
def test_a_turn_is_under_way_from_its_first_telling_event_to_its_end(
    words: str, marks: dict[str, bool], under_way: bool
) -> None:
    assert play("reference", words, **marks).under_way is under_way


@pytest.mark.parametrize(
    ("words", "marks", "lacks"),
    [
        ("chunk$1", {}, False),
        ("chunk$2", {}, True),
        ("chunk$1", {"holed": True}, True),
        ("chunk$1", {"declared": True}, True),
    ],
)
def test_a_text_of_which_a_part_is_missing_cannot_be_compared(words: str, marks: dict[str, bool], lacks: bool) -> None:
    assert play("reference", words, **marks).lacks_text is lacks


@pytest.mark.parametrize(
    ("concurrent", "exclusive"), [("queue", True), ("reject", True), ("supersede", True), ("parallel", False)]
)
def test_only_where_turns_run_side_by_side_may_they_overlap(concurrent: str, exclusive: bool) -> None:
    rules = Rules(changed(REFERENCE, turn={"concurrent": concurrent}), frozenset())
    assert (rules.exclusive, rules.supersedes) == (exclusive, concurrent == "supersede")


def test_the_budget_for_a_recovery_is_the_contract_s() -> None:
    assert Rules(changed(REFERENCE, turn={"recovery_ms": 250}), frozenset()).recovery_ns == 250_000_000


@pytest.mark.parametrize("first", ["start/0", "think/0", "other/0"])
def test_where_nobody_was_named_before_whoever_ends_the_turn_was_its_root(first: str) -> None:
    assert play("netra", f"{first} done/7").ended


def test_a_close_before_any_opening_is_told_without_a_detail() -> None:
    assert ends(play("reference", "start think open:1.1 close:1.1 close:2.2 done")) == [("close-without-open", 5, 0)]


# -- openings with several closings, and closings with several openings -----------------------------------------------

AGUI = load("ag-ui")
SHORT = {
    "run": "RUN_STARTED", "call": "TOOL_CALL_START", "args": "TOOL_CALL_ARGS", "called": "TOOL_CALL_END",
    "result": "TOOL_CALL_RESULT", "chunk": "TOOL_CALL_CHUNK", "think": "REASONING_START", "text": "TEXT_MESSAGE_START",
    "piece": "TEXT_MESSAGE_CONTENT", "end": "TEXT_MESSAGE_END", "whole": "TEXT_MESSAGE_CHUNK", "done": "RUN_FINISHED",
}  # fmt: skip


def agui(words: str, contract: Contract = AGUI) -> list[tuple[str, int]]:
    """All that is told of a run, at once and at last; ``call.2``: of execution 2."""
    tracker, told = TurnTracker(Rules(contract, frozenset()), 1, 0), []
    for row, word in enumerate(words.split(), 1):
        what, _, execution = word.partition(".")
        event = AGUI.by_name[SHORT[what]].index
        found = tracker.event(row, event, recovered=0, agent=0, tool=0, execution=int(execution or 0))
        told += [(found[0].name, found[1])] if found else []
    return told + settled(tracker)


@pytest.mark.parametrize(
    "words",
    [
        "run think call.1 args.1 called.1 result.1 text piece end done",
        "run call.1 call.2 called.2 called.1 result.2 result.1 done",
        "run call.1 result.1 called.1 done",
        "run chunk.1 result.1 whole whole done",
        "run chunk.1 chunk chunk.1 chunk.2 chunk result.2 result.1 done",
        "run chunk.1 result.1 chunk.1 call.2 called.2 result.2 done",
        "run text text piece piece end piece end done",
        "run text text text piece end end end done",
        "run text think piece call.1 called.1 result.1 whole end done",
        "run done",
    ],
)
def test_what_ag_ui_allows_is_not_found_fault_with(words: str) -> None:
    assert agui(words) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run call.1 args.1 result.1 done", [("open-without-close", 2)]),
        ("run call.1 called.1 done", [("open-without-close", 2)]),
        ("run call.1 done", [("open-without-close", 2)]),
        ("run call.1 called.1 called.1 result.1 done", [("close-without-open", 4)]),
        ("run call.1 called.9 result.1 done", [("wrong-execution", 3)]),
        ("run called.1 call.1 result.1 done", [("close-without-open", 2)]),
        ("run call.1 call.1 called.1 result.1 done", [("open-without-close", 3)]),
        ("run chunk.1 chunk.1 done", [("open-without-close", 2)]),
        ("run chunk.1 result.1 result.1 done", [("close-without-open", 4)]),
        ("run chunk.1 result.9 done", [("wrong-execution", 3)]),
        ("run result.1 done", [("close-without-open", 2)]),
        ("run call.1 called.1 result.1 done called.1", [("after-end", 6)]),
        ("run piece done", [("misplaced", 2)]),
        ("run text piece done", [("misplaced", 4)]),
        ("run text text piece end done", [("misplaced", 6)]),
        ("run text piece end piece done", [("misplaced", 5)]),
        ("think run done", [("misplaced", 1)]),
    ],
)
def test_what_ag_ui_forbids_is_told_by_its_row(words: str, told: list[tuple[str, int]]) -> None:
    assert agui(words) == told


def test_a_demanded_closing_of_several_openings_is_demanded_itself() -> None:
    result = {"role": "tool-close", "demanded": True, "fields": ["execution", "results"]}
    demanding = changed(AGUI, events={"TOOL_CALL_RESULT": result})
    assert agui("run chunk.1 result.1 done", demanding) == []
    assert agui("run call.1 called.1 result.1 done", demanding) == []
    assert agui("run done", demanding) == [("role-missing", 2)]
