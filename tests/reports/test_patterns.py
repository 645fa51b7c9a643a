"""Neighbours and sequences of events within turns."""

from __future__ import annotations

import pytest

from loadtests.history import End, Flag
from reports.patterns import MOST, followed, sequences
from tests.reports.plainrows import History

SHORT = {"agent_started": 10.0, "agent_completed": 50.0}


def test_neighbours_have_their_gap_and_their_part_of_all_time() -> None:
    history = History()
    history.turn(1, 1000, SHORT)
    history.turn(2, 2000, {"agent_started": 30.0, "agent_completed": 90.0})
    pairs, of = followed(history.data(), history.turns())
    assert of == 2
    first, second = pairs
    assert (first.before, first.after, first.times, first.p50_ms, first.p95_ms) == (
        "agent_started",
        "agent_completed",
        2,
        50.0,
        60.0,
    )
    assert (second.before, second.after, second.times, second.p50_ms) == ("sent", "agent_started", 2, 20.0)
    assert (first.share, second.share) == (pytest.approx(100 / 140, abs=1e-6), pytest.approx(40 / 140, abs=1e-6))


def test_no_pair_reaches_over_two_turns_or_two_sessions() -> None:
    history = History()
    history.turn(1, 1000, SHORT)
    history.turn(1, 1000, SHORT, session=1)
    history.turn(2, 2000, SHORT)
    pairs, _ = followed(history.data(), history.turns())
    assert {(pair.before, pair.after) for pair in pairs} == {
        ("sent", "agent_started"),
        ("agent_started", "agent_completed"),
    }
    assert {pair.times for pair in pairs} == {3}


def test_turns_that_run_at_the_same_time_are_told_apart() -> None:
    history = History()
    history.send(1, 1000)
    history.send(2, 1001)
    for at, turn, name in (
        (1010, 1, "agent_started"),
        (1011, 2, "agent_started"),
        (1020, 1, "agent_completed"),
        (1021, 2, "agent_completed"),
    ):
        history.event(turn, name, at)
    pairs, of = followed(history.data(), history.turns())
    assert (of, {pair.p50_ms for pair in pairs}) == (2, {10.0})


def test_equal_sequences_are_one_and_the_frequent_come_first() -> None:
    history = History()
    for turn in (1, 2, 3):
        history.turn(turn, 1000 * turn, SHORT)
    history.turn(4, 4000, {"agent_started": 10.0}, End.TIMEOUT)
    history.turn(5, 5000, {}, End.TIMEOUT)
    found, of = sequences(history.data(), history.turns())
    assert of == 3
    assert [(one.events, one.turns, one.outcomes) for one in found] == [
        (("agent_started", "agent_completed"), 3, {"ok": 3}),
        ((), 1, {"timeout": 1}),
        (("agent_started",), 1, {"timeout": 1}),
    ]
    assert [one.share for one in found] == [0.6, 0.2, 0.2]
    assert (found[0].p50_ms, found[1].p50_ms) == (50.0, None)
    assert [one.example for one in found] == ["0.1", "0.5", "0.4"]


def test_repeats_in_a_row_are_one_with_a_plus() -> None:
    history = History()
    for turn, chunks in ((1, 3), (2, 7), (3, 1)):
        history.send(turn, 1000 * turn)
        for number in range(chunks):
            history.event(turn, "partial_result", 1000 * turn + number)
        history.event(turn, "agent_completed", 1000 * turn + 50)
        history.end(turn, 1000 * turn + 50)
    found, of = sequences(history.data(), history.turns())
    assert (of, found[0].events, found[0].turns) == (2, ("partial_result+", "agent_completed"), 2)
    assert found[1].events == ("partial_result", "agent_completed")


def test_a_type_that_the_contract_does_not_know_stands_under_its_own_name() -> None:
    history = History()
    history.send(1, 1000)
    history.event(1, "", 1010, raw="agent_mood", flags=int(Flag.UNAPPROVED))
    history.end(1, 1020)
    found, _ = sequences(history.data(), history.turns())
    assert found[0].events == ("agent_mood",)
    assert followed(history.data(), history.turns())[0][0].after == "agent_mood"


def test_what_means_nothing_to_a_turn_and_only_fell_into_it_is_no_part_of_it() -> None:
    history = History()
    history.turn(1, 1000, SHORT)
    history.event(1, "heartbeat", 1020, flags=int(Flag.ASSUMED_TURN))
    history.event(0, "ping", 1021)
    history.event(1, "agent_started", 1022, foreign=4)
    assert sequences(history.data(), history.turns())[0][0].events == ("agent_started", "agent_completed")


def test_the_rare_are_counted_and_not_listed() -> None:
    history = History()
    for turn in range(1, MOST + 4):
        history.send(turn, 1000 * turn)
        history.event(turn, "", 1000 * turn + 1, raw=f"odd_{turn}")
        history.end(turn, 1000 * turn + 2)
    data, turns = history.data(), history.turns()
    for made, of in (followed(data, turns), sequences(data, turns)):
        assert (len(made), of) == (MOST, MOST + 3)


def test_a_very_long_sequence_is_cut() -> None:
    history = History()
    history.send(1, 1000)
    for number in range(100):
        history.event(1, ("agent_thinking", "tool_executing")[number % 2], 1001 + number)
    history.end(1, 1200)
    (only,), of = sequences(history.data(), history.turns())
    assert (of, len(only.events), only.events[-1]) == (1, 41, "…")
