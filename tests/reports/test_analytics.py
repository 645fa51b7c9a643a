"""The value chain: how far turns came, what users perceived; by roles, in any contract."""

from __future__ import annotations

import pytest

from loadtests.history import End, Window
from reports.analytics import Step, analyse, funnel, layers, stream_line
from tests.reports.plainrows import START_NS, History

PATH = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")


def way(steps: int, *, but: str = "", pace_ms: float = 10.0) -> dict[str, float]:
    return {name: pace_ms * number for number, name in enumerate(PATH[:steps], start=1) if name != but}


def steps_of(history: History) -> dict[str, Step]:
    return {step.role: step for step in funnel(history.turns(), history.contract)}


def test_the_steps_are_the_contracts_roles_in_its_order_and_the_end_comes_last() -> None:
    history = History()
    history.turn(1, 1000, way(5))
    steps = funnel(history.turns(), history.contract)
    assert [step.role for step in steps] == [
        "sent",
        "started",
        "thinking",
        "tool-open",
        "tool-close",
        "content",
        "done",
    ]
    assert [step.names for step in steps] == [(), *((name,) for name in (*PATH[:4], "partial_result", PATH[4]))]
    assert [step.turns for step in steps] == [1, 1, 1, 1, 1, 0, 1]
    assert [step.p50_ms for step in steps] == [None, 10.0, 20.0, 30.0, 40.0, None, 50.0]
    assert not any(step.stopped or (step.skipped and step.demanded) for step in steps)


def test_a_turn_that_came_no_further_is_told_by_how_it_ended() -> None:
    history = History()
    for turn, (reached, how) in enumerate(
        [(0, End.TIMEOUT), (3, End.TIMEOUT), (3, End.TIMEOUT), (3, End.CUT_BY_STOP), (5, End.OK)], start=1
    ):
        history.turn(turn, 1000 * turn, way(reached), how)
    steps = steps_of(history)
    assert steps["sent"].stopped == {"timeout": 1}
    assert steps["tool-open"].stopped == {"timeout": 2, "cut": 1}
    assert (steps["tool-open"].turns, steps["tool-close"].turns, steps["done"].turns) == (4, 1, 1)
    assert sum(sum(step.stopped.values()) for step in steps.values()) + steps["done"].turns == steps["sent"].turns


def test_a_step_left_out_on_the_way_is_no_stop() -> None:
    history = History()
    history.turn(1, 1000, way(5, but="agent_thinking"))
    steps = steps_of(history)
    assert (steps["thinking"].turns, steps["thinking"].skipped, steps["thinking"].stopped) == (0, 1, {})
    assert steps["done"].turns == 1


def test_a_nested_agents_end_or_a_failure_is_not_the_end() -> None:
    history = History()
    history.turn(1, 1000, way(5), End.TIMEOUT)
    history.turn(2, 2000, {**way(5), "agent_error": 60.0}, End.FAILED)
    steps = steps_of(history)
    assert steps["done"].turns == 0
    assert steps["tool-close"].stopped == {"failed": 1, "timeout": 1}


@pytest.mark.parametrize("how", [End.DEGRADED, End.REFUSED, End.FAILED, End.THROTTLED])
def test_an_end_is_an_end_whatever_it_says(how: End) -> None:
    history = History()
    history.turn(1, 1000, way(5), how)
    assert steps_of(history)["done"].turns == 1


def test_a_role_that_need_not_come_is_a_step_whether_it_came_or_not() -> None:
    history = History()
    history.turn(1, 1000, way(5))
    step = steps_of(history)["content"]
    assert (step.turns, step.skipped, step.demanded, step.names) == (0, 1, False, ("partial_result",))
    history.turn(2, 2000, {**way(4), "partial_result": 45.0, "agent_completed": 50.0})
    step = steps_of(history)["content"]
    assert (step.turns, step.skipped, step.demanded, step.names) == (1, 1, False, ("partial_result",))
    assert list(steps_of(history))[-2:] == ["content", "done"]


def test_without_turns_there_is_a_way_and_nobody_on_it() -> None:
    history = History()
    assert [step.turns for step in funnel(history.turns(), history.contract)] == [0] * 7
    assert [layer.turns for layer in layers(history.turns(), history.contract)] == [0] * 3
    made = analyse(history.data(), history.turns())
    assert (made.stream, made.followed, made.types, made.versions, made.of_types) == (None, (), (), (), 0)


def test_the_three_layers_are_the_first_event_the_first_thing_to_read_and_the_end() -> None:
    history = History()
    history.turn(1, 1000, way(5, pace_ms=60.0))
    fast, medium, slow = layers(history.turns(), history.contract)
    assert [(one.name, one.p95_ms) for one in (fast, medium, slow)] == [
        ("fast", 60.0),
        ("medium", 120.0),
        ("slow", 300.0),
    ]
    assert [(one.expected_ms, one.within) for one in (fast, medium, slow)] == [
        (100.0, 1.0),
        (1000.0, 1.0),
        (None, None),
    ]


def test_content_can_be_read_before_a_thought_and_without_either_the_end_can() -> None:
    history = History()
    history.turn(
        1, 1000, {"agent_started": 10.0, "partial_result": 20.0, "agent_thinking": 30.0, "agent_completed": 90.0}
    )
    assert layers(history.turns(), history.contract)[1].p50_ms == 20.0
    bare = History()
    bare.turn(1, 1000, {"agent_started": 10.0, "agent_completed": 90.0})
    assert layers(bare.turns(), bare.contract)[1].p50_ms == 90.0


def test_what_never_came_is_infinitely_late_and_what_says_nothing_is_left_out() -> None:
    history = History()
    for turn in range(1, 9):
        history.turn(turn, 1000 * turn, way(5))
    history.turn(9, 9000, {}, End.TIMEOUT)
    history.turn(10, 10_000, way(5), End.FAILED)
    for turn, how in enumerate((End.CUT_BY_STOP, End.IN_DOUBT, End.THROTTLED, End.CANCELLED, End.REJECTED), start=11):
        history.turn(turn, 1000 * turn, {}, how)
    fast, _, slow = layers(history.turns(), history.contract)
    assert (fast.turns, fast.never, fast.within) == (10, 1, 0.9)
    assert (slow.turns, slow.never, slow.p50_ms, slow.p95_ms) == (10, 2, 50.0, None)


def test_turns_under_a_fault_are_told_apart() -> None:
    history = History()
    for session, cohort in ((0, "treated"), (1, "control")):
        history.send(1, 1000, session, cohort=cohort)
        for name, at in way(5, pace_ms=100.0 if cohort == "treated" else 10.0).items():
            history.event(1, name, 1000 + at, session)
        history.end(1, 2000, session)
    window = Window("w1", "latency", "treated", "steady", START_NS, START_NS + 10**10, {}, False, False)  # noqa: FBT003
    (fast, *_) = layers(history.turns(window), history.contract)
    assert (fast.turns, fast.p95_ms, fast.hit_turns, fast.hit_p95_ms) == (1, 10.0, 1, 100.0)


def test_streams_are_told_in_one_line_of_numbers() -> None:
    history = History()
    history.send(1, 1000)
    for number, at in enumerate((1100, 1120, 1140, 1240), start=1):
        history.event(1, "partial_result", at, code=number)
    history.end(1, 1300)
    line = stream_line(history.data(), history.turns())
    assert line is not None
    assert (line.turns, line.chunks, line.ttft_p50_ms, line.gap_p50_ms, line.stall_max_ms) == (1, 4, 100.0, 20.0, 100.0)
    assert line.rate_p50_per_s == pytest.approx(21.429)


def test_a_stream_that_never_went_on_has_no_longest_stall() -> None:
    history = History()
    history.send(1, 1000)
    history.event(1, "partial_result", 1100, code=1)
    history.end(1, 9000, how=End.TIMEOUT)
    line = stream_line(history.data(), history.turns())
    assert line is not None
    assert (line.stall_max_ms, line.rate_p50_per_s) == (None, 0.0)
