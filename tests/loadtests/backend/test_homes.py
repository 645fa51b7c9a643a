"""The table of homes: one node an owner whatever two of them do, and what is left behind is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.backend.database import SqliteStorage
from loadtests.backend.estate import Estate
from loadtests.backend.eventlog import Turn
from loadtests.backend.homes import HomeTable
from loadtests.backend.manager import Parcel

KEPT = Estate(kept=(Parcel(frame=b"{}", stream="s", seq=1),))


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[HomeTable, HomeTable]]:
    storages = [SqliteStorage(tmp_path / "log.db") for _ in range(2)]
    yield HomeTable(storages[0], "node-1"), HomeTable(storages[1], "node-2")
    for storage in storages:
        storage.close()


def test_nodes_of_one_log_know_each_other_and_share_a_secret(both: tuple[HomeTable, HomeTable]) -> None:
    one, other = both
    assert one.secret == other.secret
    assert [(n.name, n.label, n.stats) for n in one.neighbours()] == [(other.name, "node-2", {})]
    other.say({"connections": 3})
    other.storage.flush()
    assert one.neighbours()[0].stats == {"connections": 3}
    other.leave()
    other.storage.flush()
    assert one.neighbours() == []


def test_an_owner_is_one_node_s_until_it_gives_him_away(both: tuple[HomeTable, HomeTable]) -> None:
    one, other = both
    one.settle("o")
    one.storage.flush()
    assert other.take("o") == (one.name, Estate())
    assert one.take("o") == (one.name, Estate())
    one.release("o", KEPT)
    one.storage.flush()
    assert one.waiting(9) == ["o"]
    assert other.take("o") == (other.name, KEPT)
    assert one.take("o") == (other.name, Estate())
    assert one.waiting(9) == []


def test_nobody_s_owner_is_taken_by_who_asks_first(both: tuple[HomeTable, HomeTable]) -> None:
    one, other = both
    assert other.take("new") == (other.name, Estate())
    assert one.take("new") == (other.name, Estate())
    other.forget("new")
    other.storage.flush()
    assert one.take("new") == (one.name, Estate())


def test_the_first_heir_of_a_dead_node_gets_all_and_its_turns(both: tuple[HomeTable, HomeTable]) -> None:
    one, other = both
    turns = [Turn(owner="o", stream="o", user="u", thread="t", run=f"r{n}", message=f"m{n}") for n in (1, 2)]
    one.settle("o")
    for turn in turns:
        one.storage.begin(turn)
    one.storage.end(turns[0])
    one.storage.flush()
    assert other.inherit(one.name) == (["o"], [turns[1]])
    assert other.inherit(one.name) == ([], [])
    assert other.neighbours() == []
    assert other.take("o") == (other.name, Estate())


def test_who_leaves_frees_all_that_is_his_alone(both: tuple[HomeTable, HomeTable]) -> None:
    one, other = both
    one.settle("a")
    one.release("b", KEPT)
    other.settle("c")
    one.leave()
    one.storage.flush()
    other.storage.flush()
    assert [other.take(owner)[0] for owner in "ac"] == [other.name, other.name]
