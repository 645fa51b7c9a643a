"""What a master knows of its worker hosts, question by question."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from loadtests.hosts.messages import (
    Answer,
    Beat,
    Chunk,
    Join,
    Now,
    Offer,
    Orders,
    Parcel,
    Refused,
    Tally,
    Wanted,
    WhatTime,
)
from loadtests.hosts.roster import NS_PER_S, Roster

SAME = {"--seed": "7", "scenario": "abc"}
ONE, TWO, THREE = ("1" * 32, "2" * 32, "3" * 32)


@pytest.fixture
def roster(tmp_path: Path) -> Roster:
    return Roster(2, SAME, tmp_path)


def join(roster: Roster, key: str, processes: int = 1, at_s: int = 0, **unlike: str) -> Answer:
    return roster.answer(Join(key=key, processes=processes, same={**SAME, **unlike}), b"", "10.0.0.9", at_s * NS_PER_S)


def beat(roster: Roster, key: str, state: str = "joined", at_s: int = 0, **more: object) -> Answer:
    return roster.answer(Beat(key=key, state=state, **more), b"", "10.0.0.9", at_s * NS_PER_S)  # type: ignore[arg-type]


def test_load_processes_are_numbered_through_without_gap_or_overlap(roster: Roster) -> None:
    join(roster, ONE, 3)
    assert not roster.all_in("joined")
    assert join(roster, TWO, 2) == Orders(host="host-2")
    assert roster.all_in("joined")
    assert roster.assign("gx1") == 5
    assert [host.workers for host in roster.hosts] == [["worker-0", "worker-1", "worker-2"], ["worker-3", "worker-4"]]
    assert beat(roster, TWO) == Orders(host="host-2", first=3, workers=5, nonce="gx1")


def test_who_joins_again_on_a_new_connection_is_the_same_host(roster: Roster) -> None:
    join(roster, ONE)
    assert join(roster, ONE) == Orders(host="host-1")
    assert len(roster.hosts) == 1


def test_another_command_is_named_with_both_sides(roster: Roster) -> None:
    answer = join(roster, ONE, **{"--seed": "8"})
    assert isinstance(answer, Refused)
    assert "--seed: 8 there, 7 at the master" in answer.why
    assert "scenario" not in answer.why
    assert not roster.hosts


def test_one_host_too_many_and_one_that_never_joined_are_refused(roster: Roster) -> None:
    join(roster, ONE)
    join(roster, TWO)
    assert isinstance(join(roster, THREE), Refused)
    assert isinstance(beat(roster, THREE), Refused)


def test_orders_reach_every_host_with_its_next_beat(roster: Roster) -> None:
    join(roster, ONE)
    roster.begin(55)
    roster.stop("enough")
    roster.stop("and again")
    roster.end("over")
    assert beat(roster, ONE) == Orders(host="host-1", start_ns=55, stop="enough", end="over")


def test_the_time_is_the_masters(roster: Roster) -> None:
    assert roster.answer(WhatTime(key=ONE), b"", "", 1234) == Now(1234)


def test_what_hosts_count_is_added_up_and_trouble_is_told_with_its_host(roster: Roster) -> None:
    join(roster, ONE)
    join(roster, TWO)
    beat(roster, ONE, tally=Tally(rows=10, turns=1))
    beat(roster, TWO, tally=Tally(rows=5, turns=2))
    assert (roster.tally(), roster.trouble) == (Tally(rows=15, turns=3), "")
    beat(roster, TWO, trouble="Locust ended too early")
    beat(roster, TWO)
    assert roster.trouble == "host-2 (10.0.0.9): Locust ended too early"


def test_who_is_not_heard_of_is_lost_unless_it_has_delivered(roster: Roster) -> None:
    join(roster, ONE, at_s=0)
    join(roster, TWO, at_s=0)
    beat(roster, TWO, at_s=25)
    assert [host.name for host in roster.lost(30 * NS_PER_S, 20)] == ["host-1"]
    deliver(roster, ONE, at_s=0)
    assert roster.lost(30 * NS_PER_S, 20) == []


def deliver(roster: Roster, key: str, at_s: int = 0, text: bytes = b"rows") -> Answer:
    sha256 = hashlib.sha256(text).hexdigest()
    offer = Offer(key=key, parcels=[Parcel("rows", "worker-0.bin", len(text), sha256)], wrote={"worker-0": {"SEND": 4}})
    assert roster.answer(offer, b"", "", at_s * NS_PER_S) == Wanted({"rows/worker-0.bin": 0}, whole=False)
    chunk = Chunk(key=key, folder="rows", name="worker-0.bin", offset=0, sha256=sha256)
    return roster.answer(chunk, text, "", at_s * NS_PER_S)


def test_what_is_delivered_and_what_is_not_stands_in_the_account(roster: Roster, tmp_path: Path) -> None:
    join(roster, ONE)
    join(roster, TWO)
    roster.assign("gx1")
    beat(roster, TWO, at_s=12, tally=Tally(rows=700, turns=9), late_ms=3)
    assert deliver(roster, ONE, at_s=13) == Wanted({"rows/worker-0.bin": 4}, whole=True)
    assert (tmp_path / "rows" / "worker-0.bin").read_bytes() == b"rows"
    one, two = roster.account(2 * NS_PER_S)
    assert (one["delivered"], one["wrote"], one["heard_s"]) == (True, {"worker-0": {"SEND": 4}}, 11.0)
    assert (two["delivered"], two["heard_rows"], two["heard_turns"], two["late_ms"]) == (False, 700, 9, 3)


def test_a_file_of_another_host_is_not_written_over(roster: Roster, tmp_path: Path) -> None:
    join(roster, ONE)
    join(roster, TWO)
    deliver(roster, ONE)
    offer = Offer(key=TWO, parcels=[Parcel("rows", "worker-0.bin", 3, "f" * 64)], wrote={})
    assert isinstance(roster.answer(offer, b"", "", 0), Refused)
    assert "of another host" in roster.trouble
    assert (tmp_path / "rows" / "worker-0.bin").read_bytes() == b"rows"
