"""Who plays in an act is a matter of seed and cohort alone; where a new connection goes, of the time as well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.acts import SLOW_BUFFER_BYTES, Act, Cast, members_of, read
from loadtests.clocks import Alignment, Reading

MEMBERS = members_of(frozenset(range(0, 40, 2)), 40)


def act(kind: str = "sleep", share: float = 0.5, start_ms: int = 1000, end_ms: int = 2000, **more: str) -> Act:
    return Act(more.pop("id", "w1"), kind, "treated", start_ms, end_ms, {"share": share}, **more)


def test_sessions_are_drawn_from_the_cohort_by_the_seed() -> None:
    one = act()
    drawn = [Cast([one], seed, MEMBERS).sessions(one) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(some) == 10 and some <= MEMBERS["treated"] for some in drawn)


def test_two_acts_of_one_run_hit_different_sessions() -> None:
    a, b = act(id="w1"), act(id="w2")
    cast = Cast([a, b], 1, MEMBERS)
    assert cast.sessions(a) != cast.sessions(b)


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.001, 1), (0.5, 10), (1.0, 20), (7.0, 20)])
def test_a_share_is_of_the_cohort_and_hits_at_least_one(share: float, count: int) -> None:
    one = act(share=share)
    assert len(Cast([one], 1, MEMBERS).sessions(one)) == count


def test_only_who_will_stop_reading_has_room_for_little() -> None:
    slow, asleep = act("slow-consumer", id="w1"), act("sleep", id="w2")
    cast = Cast([slow, asleep], 1, MEMBERS)
    assert {n for n in range(40) if cast.receive_buffer_bytes(n)} == cast.sessions(slow)
    assert {cast.receive_buffer_bytes(n) for n in cast.sessions(slow)} == {SLOW_BUFFER_BYTES}


def test_a_cohort_that_is_not_there_has_nobody_to_hit() -> None:
    one = act()
    assert Cast([one], 1, {}).sessions(one) == frozenset()


@pytest.mark.parametrize(
    ("cohort", "at_ms", "goes_to"),
    [
        ("treated", 999, "treated"),
        ("treated", 1000, "treated-hs"),
        ("treated", 1999.9, "treated-hs"),
        ("treated", 2000, "treated"),
        ("treated", -1.0, "treated"),
        ("control", 1500, "control"),
    ],
)
def test_new_connections_take_the_other_way_only_while_the_window_is_open(
    cohort: str, at_ms: float, goes_to: str
) -> None:
    cast = Cast([act("handshake", share=1.0, listener="treated-hs")], 1, MEMBERS)
    assert cast.listener(cohort, 2, at_ms) == goes_to


def test_only_who_was_drawn_takes_the_other_way() -> None:
    one = act("switch", listener="treated-alt")
    cast = Cast([one], 1, MEMBERS)
    ways = {number: cast.listener("treated", number, 1500) for number in MEMBERS["treated"]}
    assert {number for number, way in ways.items() if way == "treated-alt"} == cast.sessions(one)


def test_what_was_done_is_read_in_order_of_time_whatever_else_stands_there(tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    lines = [{"id": "w1", "act": "end", "at_ns": 9}, {"id": "w1", "act": "begin", "at_ns": 3}, {"id": "w2"}]
    (rows / "worker-0.acts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"id": "w3", "at')
    (rows / "worker-1.acts.jsonl").write_text('{"id": "w1", "act": "begin", "at_ns": 2}\n')
    assert [(line["at_ns"], line["act"]) for line in read(tmp_path)] == [(2, "begin"), (3, "begin"), (9, "end")]
    assert read(tmp_path / "nowhere") == []


def test_what_was_done_on_a_host_with_another_clock_is_told_in_the_masters(tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    for number in (0, 1):
        (rows / f"worker-{number}.acts.jsonl").write_text(f'{{"id": "w1", "act": "begin", "at_ns": {1000 + number}}}\n')
    ahead = Alignment(Reading(0, 900, 5), Reading(2000, 900, 5))
    assert [line["at_ns"] for line in read(tmp_path, {"worker-1": ahead})] == [101, 1000]
