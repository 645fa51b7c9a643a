"""A member among others: owners come when they are asked for, from the living and from the dead."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import pytest

from loadtests.backend.cluster import Member
from loadtests.backend.commits import Commits
from loadtests.backend.database import SqliteStorage
from loadtests.backend.estate import Estate
from loadtests.backend.eventlog import Turn
from loadtests.backend.homes import HomeTable
from loadtests.backend.manager import Link, Parcel

WITHIN_S = 10.0


class Household:
    """What lives at a node, for once without a backend."""

    def __init__(self) -> None:
        self.estates: dict[str, Estate] = {}
        self.buried: list[Turn] = []
        self.came: asyncio.Queue[str] = asyncio.Queue()

    def release(self, owner: str, _unsent: Callable[[Link], Iterable[Parcel]]) -> Estate:
        return self.estates.pop(owner, Estate())

    def adopt(self, owner: str, estate: Estate) -> None:
        self.estates[owner] = estate
        self.came.put_nowait(owner)

    def bury(self, turn: Turn) -> None:
        self.buried.append(turn)
        self.came.put_nowait(turn.owner)

    def owners(self) -> list[str]:
        return list(self.estates)


class House:
    """A node."""

    def __init__(self, path: Path, label: str) -> None:
        self.storage = SqliteStorage(path)
        self.commits = Commits(self.storage)
        self.homes = HomeTable(self.storage, label)
        self.member = Member(self.homes, self.commits, lambda _: ())
        self.lives = self.member.backend = Household()
        self.chores = [asyncio.create_task(self.commits.run())]

    async def close(self) -> None:
        self.member.close()
        for chore in self.chores:
            chore.cancel()
        await asyncio.gather(*self.chores, return_exceptions=True)
        self.storage.close()


KEPT = Estate(kept=(Parcel(frame=b"{}", stream="s", seq=1),))


@contextlib.asynccontextmanager
async def two(path: Path) -> AsyncIterator[tuple[House, House]]:
    one, other = House(path, "node-1"), House(path, "node-2")
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()


def played(scene: Callable[[House, House], Coroutine[Any, Any, None]], folder: Path) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * WITHIN_S), two(folder / "log.db") as (one, other):
            await scene(one, other)

    asyncio.run(bounded())


def test_an_owner_comes_from_the_node_that_lives_with_all_that_is_his(tmp_path: Path) -> None:
    async def scene(one: House, other: House) -> None:
        one.member.settle("o")
        one.lives.adopt("o", KEPT)
        await one.commits.reached(one.commits.written)
        done: list[str] = []
        other.member.fetch("o", lambda: done.append("then"))
        pending = other.member.pending()
        assert pending is not None
        assert other.member.pending() is None
        await pending
        assert (done, one.lives.estates, other.lives.estates) == (["then"], {}, {"o": KEPT})
        other.member.fetch("o", lambda: done.append("at once"))
        assert done == ["then", "at once"]
        assert other.member.pending() is None

    played(scene, tmp_path)


def test_many_who_ask_for_one_at_both_nodes_are_all_served(tmp_path: Path) -> None:
    async def scene(one: House, other: House) -> None:
        one.member.settle("o")
        asked = [house.member.acquire("o") for house in (other, one, other, one, other) for _ in range(4)]
        await asyncio.gather(*asked)
        assert [*one.lives.estates, *other.lives.estates].count("o") <= 1

    played(scene, tmp_path)


def test_the_owners_of_a_dead_node_come_to_who_asks_and_its_turns_are_buried(tmp_path: Path) -> None:
    async def scene(one: House, other: House) -> None:
        turn = Turn(owner="o", stream="o", user="u", thread="t", run="r", message="m")
        one.member.settle("o")
        one.storage.begin(turn)
        await one.commits.reached(one.commits.written)
        one.member.close()
        await other.member.acquire("o")
        assert other.lives.buried == [turn]

    played(scene, tmp_path)


def test_the_watch_buries_who_is_dead_though_nobody_asks(tmp_path: Path) -> None:
    async def scene(one: House, other: House) -> None:
        turn = Turn(owner="o", stream="o", user="u", thread="t", run="r", message="m")
        one.member.settle("o")
        one.storage.begin(turn)
        await one.commits.reached(one.commits.written)
        one.member.close()
        other.chores.append(asyncio.create_task(other.member.keep_watch()))
        assert await other.lives.came.get() == "o"
        assert other.lives.buried == [turn]

    played(scene, tmp_path)


def test_the_watch_goes_on_with_what_was_left(tmp_path: Path) -> None:
    async def scene(one: House, other: House) -> None:
        one.lives.adopt("left", KEPT)
        one.member.settle("left")
        one.member.settle("idle")
        await one.member.leave()
        other.chores.append(asyncio.create_task(other.member.keep_watch()))
        assert await other.lives.came.get() == "left"
        assert other.lives.estates == {"left": KEPT}
        assert other.member.stats({"n": 1}) == {"node-2": {"n": 1}}

    played(scene, tmp_path)


def test_a_frozen_node_gives_nothing_away_and_the_one_who_asks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtests.backend.cluster.FETCH_S", 0.3)

    async def scene(one: House, other: House) -> None:
        one.member.settle("o")
        await one.commits.reached(one.commits.written)
        asyncio.get_running_loop().remove_reader(one.member._mail._socket)
        with pytest.raises(TimeoutError):
            await other.member.acquire("o")
        assert other.lives.estates == {}

    played(scene, tmp_path)
