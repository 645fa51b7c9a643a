"""Chunks: when the first came, the gaps, the longest one, and how fast."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loadtests.contract import load
from loadtests.history import End, Flag
from reports.streams import chunk_events, gaps_frame, samples
from tests.reports.plainrows import History

CHUNK, DONE = "partial_result", "agent_completed"


def streamed(
    *times_ms: float, how: End = End.OK, end_ms: float = 500, turn: int = 1, history: History | None = None
) -> History:
    written = history or History()
    at = 1000.0 * turn
    written.send(turn, at)
    for number, after_ms in enumerate(times_ms):
        written.event(turn, CHUNK, at + after_ms, code=number + 1)
    written.end(turn, at + end_ms, how=how)
    return written


def test_a_streamed_turn_has_its_first_chunk_its_longest_gap_and_its_rate() -> None:
    (turn,) = streamed(100, 150, 350, 400).turns().to_dict("records")
    assert (turn["chunks"], turn["ttft_ms"], turn["stall_ms"]) == (4, 100.0, 200.0)
    assert turn["chunks_per_s"] == pytest.approx(3 / 0.3)


def test_the_first_chunk_counts_from_the_intended_send() -> None:
    history = History()
    history.send(1, 1000, late_ms=70)
    history.event(1, CHUNK, 1100)
    assert history.turns()["ttft_ms"].tolist() == [100.0]


@pytest.mark.parametrize("times_ms", [(), (100,)])
def test_without_two_chunks_there_is_neither_gap_nor_rate(times_ms: tuple[float, ...]) -> None:
    (turn,) = streamed(*times_ms).turns().to_dict("records")
    assert turn["chunks"] == len(times_ms)
    assert math.isnan(turn["stall_ms"])
    assert math.isnan(turn["chunks_per_s"])
    assert math.isnan(turn["ttft_ms"]) is (not times_ms)


def test_chunks_of_one_moment_are_infinitely_fast_and_no_error() -> None:
    (turn,) = streamed(100, 100, 100).turns().to_dict("records")
    assert (turn["stall_ms"], turn["chunks_per_s"]) == (0.0, np.inf)


@pytest.mark.parametrize(
    ("again", "chunks"),
    [
        ({"code": 2}, 3),  # the same number again, after a resume
        ({"code": 2, "cursor": 9}, 3),
        ({"code": 4}, 4),
        ({"code": 0, "cursor": 7}, 4),
        ({"code": 0}, 4),
    ],
)
def test_a_chunk_counts_once_however_often_it_was_delivered(again: dict[str, int], chunks: int) -> None:
    history = streamed(100, 150, 200)
    history.event(1, CHUNK, 1450, **again)
    (turn,) = history.turns().to_dict("records")
    assert (turn["chunks"], turn["stall_ms"]) == (chunks, 50.0 if chunks == 3 else 250.0)


def test_without_numbers_a_redelivered_chunk_is_known_by_its_cursor() -> None:
    history = History()
    history.send(1, 1000)
    for cursor, at in ((5, 1100), (6, 1150), (5, 1300), (6, 1350), (7, 1400)):
        history.event(1, CHUNK, at, cursor=cursor, flags=int(Flag.RECOVERED))
    assert history.turns()["chunks"].tolist() == [3]


def test_two_agents_may_both_begin_their_chunks_at_the_first_number() -> None:
    history = History()
    history.send(1, 1000)
    for agent in ("one", "two"):
        history.event(1, CHUNK, 1100, agent=agent, code=1)
    assert history.turns()["chunks"].tolist() == [2]


def test_what_belongs_to_nobody_or_to_another_is_no_chunk_of_the_turn() -> None:
    history = streamed(100, 200)
    history.event(1, CHUNK, 1250, foreign=3)
    history.event(0xFFFF_FFFF, CHUNK, 1260)
    assert history.turns()["chunks"].tolist() == [2]


def test_chunks_are_the_declared_streams_else_everything_with_that_role() -> None:
    reference = load("reference")
    declared = {stream.event for stream in reference.file.streams}
    names = {reference.label(index) for index in chunk_events(reference)}
    assert names == (declared or set(reference.names("content")))
    assert CHUNK in names


def test_each_gap_is_a_sample_and_a_stream_that_never_went_on_has_one_without_end() -> None:
    history = streamed(100, 150, 350)
    streamed(100, 130, how=End.TIMEOUT, turn=2, history=history)
    streamed(how=End.TIMEOUT, turn=3, history=history)
    gaps = gaps_frame(history.data(), history.turns())
    assert sorted(gaps["gap_ms"]) == [30.0, 50.0, 200.0, np.inf]
    assert set(gaps["phase"]) == {"steady"}
    assert set(gaps.columns) >= {"session", "turn", "gap_ms", "cohort", "phase", "place", "fault"}


@pytest.mark.parametrize(
    ("how", "times_ms", "metric", "expected"),
    [
        (End.OK, (100, 150), "stream.ttft", [100.0]),
        (End.OK, (), "stream.ttft", []),  # this turn was not streamed, and nothing says that it had to be
        (End.TIMEOUT, (), "stream.ttft", [np.inf]),
        (End.FAILED, (), "stream.ttft", [np.inf]),
        (End.ABANDONED, (), "stream.ttft", [np.inf]),
        (End.CUT_BY_STOP, (), "stream.ttft", []),
        (End.CUT_BY_STOP, (100, 150), "stream.ttft", []),
        (End.IN_DOUBT, (), "stream.ttft", []),
        (End.THROTTLED, (), "stream.ttft", []),
        (End.CANCELLED, (100, 150), "stream.ttft", []),
        (End.REJECTED, (), "stream.ttft", []),
        (End.REFUSED, (100, 150), "stream.ttft", [100.0]),
        (End.DEGRADED, (100, 150), "stream.stall", [50.0]),
        (End.OK, (100,), "stream.stall", []),
        (End.TIMEOUT, (100, 150), "stream.stall", [np.inf]),
        (End.TIMEOUT, (), "stream.stall", []),
        (End.FAILED, (100, 150), "stream.stall", [50.0]),
        (End.OK, (100, 150, 200), "stream.rate", [20.0]),
        (End.TIMEOUT, (100, 150, 200), "stream.rate", [0.0]),
        (End.TIMEOUT, (100,), "stream.rate", [0.0]),
    ],
)
def test_what_is_a_sample_of_a_streams_metric(
    how: End, times_ms: tuple[float, ...], metric: str, expected: list[float]
) -> None:
    turns = streamed(*times_ms, how=how).turns()
    assert samples(metric, turns, demanded=False).tolist() == pytest.approx(expected)


def test_where_the_contract_demands_chunks_a_good_turn_without_one_is_a_bad_sample() -> None:
    assert samples("stream.ttft", streamed().turns(), demanded=True).tolist() == [np.inf]


def test_gaps_are_samples_as_they_stand() -> None:
    history = streamed(100, 150, 350)
    gaps = gaps_frame(history.data(), history.turns())
    assert samples("stream.gap", gaps, demanded=False).tolist() == [50.0, 200.0]


def test_of_nothing_there_is_nothing() -> None:
    history = History()
    turns = history.turns()
    assert len(turns) == 0
    assert gaps_frame(history.data(), turns).empty
    for metric in ("stream.ttft", "stream.stall", "stream.rate"):
        assert samples(metric, turns, demanded=True).empty
