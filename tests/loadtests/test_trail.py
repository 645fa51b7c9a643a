"""The short cut changes nothing: whoever has seen many clean turns finds the same as whoever sees each for the first time."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from loadtests import trail
from loadtests.turn import Rules
from tests.loadtests.histories import Story, compiled, rules_of
from tests.loadtests.test_turn import changed

CLEAN = (
    "start think open:a.e1 close:a.e1 done",
    "start think open:a.e1 open:b.e2 close:b.e2 close:a.e1 think done",
    "start think open:a.e1 close:a.e1 open:a.e2 close:a.e2 done",
    "start/supervisor think start/helper think open:a.e1 close:a.e1 done/helper think done/supervisor",
    "start/supervisor think open:a.e1 close:a.e1 done/supervisor",
    "start think open:a.e1 close:a.e1 content$1 content$2 done",
    "other start think other open:a.e1 close:a.e1 done$2",
    "start think open:a.e1 close:a.e1 fail",
    "fail",
    "start/helper think open:a.e1 close:a.e1 done/helper",
    "start start/supervisor think open:a.e1 close:a.e1 done/supervisor",
)
ODD = (
    "start", "think", "open:a.e1", "open:b", "close:a.e1", "close:b.e9", "close", "done", "fail", "done/helper", "start/helper",
    "(think)", "(close:a.e1)", "(done)", "think@2", "done@3", "think+recovered", "done+recovered", "think!8", "think+legacy",
    "none+unapproved", "think^?", "think<9", "done^1", "think^1", "content$1", "content$5", "done$5", "done+text-differs",
    "cut", "back", "kept", "kept>7", "lost", "resend", "cancel", "timeout", "doubt", "ok", "gone1000", "send", "think+stale",
    "think+other-stream", "think+old-version", "done+poor-answer", "think=k", "stop",
)  # fmt: skip
CONTRACTS = ("reference", "netra")


@st.composite
def stories(draw: st.DrawFn) -> str:
    """Clean turns, some of them ended by the client, with a few things wrong."""
    words: list[str] = []
    for clean in draw(st.lists(st.sampled_from(CLEAN), min_size=1, max_size=5)):
        words += ["send", *clean.split()]
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(words)))
        how = draw(st.sampled_from(["put", "drop", "swap"]))
        if how == "put":
            words.insert(at, draw(st.sampled_from(ODD)))
        elif how == "drop" and at < len(words):
            del words[at]
        elif at + 1 < len(words):
            words[at], words[at + 1] = words[at + 1], words[at]
    return " ".join([*words, "stop"])


def walked(name: str) -> Rules:
    """Of a process that knows all the clean ways."""
    rules = rules_of(name)
    for clean in CLEAN:
        assert Story(name, rules=rules).tell(f"send {clean} stop").kinds == []
    return rules


WALKED = {name: walked(name) for name in CONTRACTS}


def found(name: str, rules: Rules, text: str) -> list[tuple[object, ...]]:
    story = Story(name, rules=rules).tell(text)
    ends = [
        (turn.number, turn.ended, turn.settled, turn.outcome if turn.ended else 0, turn.seen, turn.begin_row, turn.end_row, turn.holed)
        for turn in story.tracker.turns.values()
    ]  # fmt: skip
    for turn in story.tracker.turns.values():
        turn.leave()
        opened = [one[:3] if turn.ended else one for one in turn.opened]  # which row it was is no longer asked for
        ends.append((turn.root, turn.seen, opened, turn.early, turn.agents, turn.begin_row, turn.ended))
    return [*((finding.kind.name, *finding[1:]) for finding in story.found), *ends]


def unlearning(name: str, patch: pytest.MonkeyPatch) -> Rules:
    patch.setattr(trail, "MOST_NODES", 0)
    return rules_of(name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(text=stories(), name=st.sampled_from(CONTRACTS))
@example(name="reference", text="send start send fail stop")
@example(name="reference", text="send start think!8 fail stop")
@example(name="reference", text="send start think cut fail stop")
# whose beginning is taken for the root's depends on whether events are missing by then
@example(name="reference", text="send start/helper think (open:a.e1) close:a.e1 done/helper stop")
# as does what is executed again on whether the message was sent again by then
@example(
    name="reference", text="send start start/supervisor think resend content$1 done/supervisor done/supervisor stop"
)
# a turn that was cut is not settled by its end: what a hole after it lacks may be its own
@example(name="reference", text="send start think cut back kept open:a.e1 close:a.e1 done think@12 stop")
# what is forgiven to one turn is not to the next
@example(name="reference", text="send start think lost done send start think done stop")
@example(name="reference", text="send start think kept>0 done@1 send start@2 think@3 done@4 stop")
def test_a_known_way_is_judged_like_an_unknown_one(text: str, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        expected = found(name, unlearning(name, patch), text)
    rules = WALKED[name]
    assert found(name, rules, text) == expected
    assert found(name, rules, text) == expected  # after what was learnt from the first time


@pytest.mark.parametrize("clean", [clean for clean in CLEAN if "content" not in clean])
def test_a_clean_turn_is_followed_and_its_tracker_has_nothing_to_do(clean: str) -> None:
    rules = rules_of("reference")
    Story(rules=rules).tell(f"send {clean}")
    story = Story(rules=rules).tell(f"send {clean}")
    turn = story.tracker.turns[1]
    assert turn.node.ended
    assert turn.settled
    assert turn.allowed is rules.start  # untouched
    assert turn.rows == []
    cold = Story().tell(f"send {clean}").tracker.turns[1]
    assert (turn.begin_row, turn.end_row, turn.outcome) == (cold.begin_row, cold.end_row, cold.outcome)
    turn.leave()
    assert turn.ended
    assert (turn.begin_row, turn.end_row, turn.root, turn.allowed is rules.start) == (
        cold.begin_row, cold.end_row, cold.root, cold.allowed is cold.rules.start,
    )  # fmt: skip


def test_chunks_lead_off_the_way_since_there_are_so_many() -> None:
    rules = rules_of("reference")
    for _ in range(3):
        story = Story(rules=rules).tell("send start think content$1")
        assert story.tracker.turns[1].node is trail.STRAY


def test_a_stored_event_is_no_step_for_one_that_comes_live() -> None:
    """Out of order it breaks nothing where stored events may, and a live one does."""
    rules = Rules(changed(compiled("reference"), turn={"interrupted": "recovered-or-error"}), frozenset())
    for _ in range(2):
        assert Story(rules=rules).tell("send think+recovered start open:a close:a think done stop").kinds == []
    live = "send think start open:a close:a think done stop"
    assert Story(rules=rules).tell(live).kinds == Story(rules=rules).tell(live).kinds == ["misplaced"]


def test_what_comes_after_the_goodbye_is_no_example() -> None:
    rules = rules_of("reference")
    assert Story(rules=rules).tell("send start think open:a.e1 stop done").kinds == []
    assert Story(rules=rules).tell("send start think open:a.e1 done stop").kinds == ["open-without-close"]


def test_no_turn_ends_clean_that_still_has_something_to_say_of_a_row() -> None:
    """A contract in which an event of no role has its place in the order."""
    base = compiled("reference")
    other = base.name_of("other")
    order = msgspec.to_builtins(base.file.order)
    order["states"]["asked"][other] = "running"
    rules = Rules(changed(base, order=order), frozenset())
    for text in ("send think fail other stop", "send start think stop", "send think other fail stop"):
        first, second = (Story(rules=rules).tell(text) for _ in range(2))
        assert [(one.kind.name, one.row) for one in first.found] == [(one.kind.name, one.row) for one in second.found]


def test_where_every_turn_is_another_nothing_is_learnt_without_end() -> None:
    trails = trail.Trails()
    after = [trails.after(trails.start, key, 0, begins=False) for key in range(trail.MOST_BRANCHES + 3)]
    assert sum(node is not None for node in after) == trail.MOST_BRANCHES


def test_whoever_sends_a_turn_gets_its_tracker() -> None:
    tracker = Story().tracker
    assert tracker.sent(1, 7) is tracker.turns[7]


def test_a_step_that_breaks_something_is_never_learnt() -> None:
    rules = rules_of("reference")
    for _ in range(3):
        assert Story(rules=rules).tell("send start think close:a.e1 open:a.e1 done stop").kinds == [
            "close-without-open"
        ]
        assert Story(rules=rules).tell("send start think done stop").kinds == ["role-missing"]


def test_ways_are_bounded_in_number_and_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "MOST_NODES", 4)
    trails = trail.Trails()
    after = [trails.after(trails.start, key, 0, begins=False) for key in range(6)]
    assert [node is not None for node in after] == [True, True, True, False, False, False]
    monkeypatch.setattr(trail, "MOST_NODES", 1000)
    node: trail.Node | None = trails.start
    for depth in range(trail.MOST_DEPTH):
        assert node is not None
        assert node.depth == depth
        node = trails.after(node, 77, 0, begins=False)
    assert node is not None
    assert trails.after(node, 77, 0, begins=False) is None


def test_steps_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "MOST_STEPS", 2)
    trails = trail.Trails()
    assert [trails.number(1, agent, 0, 0) for agent in (1, 2, 3, 1)] == [0, 1, -1, 0]


def test_the_way_to_a_node_is_told_from_the_start() -> None:
    trails = trail.Trails()
    first = trails.after(trails.start, 5, 1, begins=False)
    assert first is not None
    second = trails.after(first, 9, 3, begins=True)
    assert second is not None
    assert (second.keys_from_start(), second.begin, first.begin) == ([5, 9], 1, -1)
    assert trails.after(first, 9, 3, begins=True) is second


def test_a_turn_begins_once_and_from_its_clean_end_nothing_leads_on() -> None:
    trails = trail.Trails()
    first = trails.after(trails.start, 5, 1, begins=True)
    assert first is not None
    second = trails.after(first, 9, 3, begins=True)
    assert second is not None
    assert (first.begin, second.begin, second.outcome) == (0, 0, 0)
    second.ended = True
    assert trails.after(second, 5, 3, begins=False) is None


def test_an_event_without_an_execution_is_told_by_its_step_alone() -> None:
    turn = Story().tell("send").tracker.turns[1]
    number = turn.rules.trails.number(3, 1, 2, 0)
    assert turn.key(3, 1, 2, 0, 0) == number
    assert [turn.key(3, 1, 2, execution, 0) >> trail.ORDINAL_SHIFT for execution in (7, 9, 7)] == [1, 2, 1]
    assert turn.key(3, 1, 2, 7, 0) & 0xFFFF == number
