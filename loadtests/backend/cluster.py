"""One node among others on one log: fetches owners from where they are at home, gives its own away, inherits from the dead."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from loadtests.backend.commits import Durability
from loadtests.backend.estate import Estate
from loadtests.backend.eventlog import Turn
from loadtests.backend.homes import HomeTable
from loadtests.backend.mail import Mail
from loadtests.backend.manager import Link, Parcel

__all__ = ["Member", "Resident"]

ASK_AGAIN_S = 0.1
FETCH_S = 10.0
SWEEP_S = 0.25
ADOPTED_AT_ONCE = 50
WANT, FREED = "want", "freed"

log = logging.getLogger(__name__)


class Resident(Protocol):
    """The part of the backend that lives at a node."""

    def release(self, owner: str, unsent: Callable[[Link], Iterable[Parcel]]) -> Estate: ...
    def adopt(self, owner: str, estate: Estate) -> None: ...
    def bury(self, turn: Turn) -> None: ...
    def owners(self) -> Iterable[str]: ...


class Member:
    """The backend's ``Homes``. ``backend`` is to be set before anything happens."""

    backend: Resident

    def __init__(self, homes: HomeTable, durability: Durability, unsent: Callable[[Link], Iterable[Parcel]]) -> None:
        self._homes = homes
        self._durability = durability
        self._unsent = unsent
        self._mine: set[str] = set()
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._freed: dict[str, asyncio.Event] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._pending: asyncio.Task[None] | None = None
        self._mail = Mail(homes.secret, homes.name, self._on_mail)

    # The backend's side

    def settle(self, owner: str) -> None:
        self._mine.add(owner)
        self._homes.settle(owner)

    def forget(self, owner: str) -> None:
        self._mine.discard(owner)
        self._homes.forget(owner)

    def fetch(self, owner: str, then: Callable[[], None]) -> None:
        if owner in self._mine:
            then()
            return
        self._pending = asyncio.create_task(self._fetch_for(owner, then))

    # The server's side

    def pending(self) -> asyncio.Task[None] | None:
        """What the last message began and must be over before the next."""
        pending, self._pending = self._pending, None
        return pending

    async def acquire(self, owner: str) -> None:
        """Until the owner is ours.

        Raises:
            TimeoutError: its node lives and does not give it away.
        """
        while owner not in self._mine:
            task = self._fetching.get(owner)
            if task is None:
                task = self._fetching[owner] = asyncio.create_task(self._fetch(owner))
                task.add_done_callback(lambda _: self._fetching.pop(owner, None))
            await asyncio.shield(task)

    async def keep_watch(self) -> None:
        """Bury who has died; go on with what was left and nobody has come back for."""
        while True:
            for neighbour in self._homes.neighbours():
                if not self._mail.send(neighbour.name):
                    self._bury(neighbour.name)
            for owner in self._homes.waiting(ADOPTED_AT_ONCE):
                self._take(owner)
            await asyncio.sleep(SWEEP_S)

    def stats(self, own: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Of all nodes that live, by label."""
        return {self._homes.label: own, **{one.label: one.stats for one in self._homes.neighbours() if one.stats}}

    def say(self, stats: dict[str, Any]) -> None:
        self._homes.say(stats)

    async def leave(self) -> None:
        """Give all away, and tell everybody."""
        for owner in self.backend.owners():
            self._release(owner)
        self._mine.clear()
        self._homes.leave()
        await self._durability.reached(self._durability.written)

    def close(self) -> None:
        for chore in (*self._chores, *self._fetching.values()):
            chore.cancel()
        self._mail.close()

    # Between nodes

    async def _fetch_for(self, owner: str, then: Callable[[], None]) -> None:
        await self.acquire(owner)
        then()

    async def _fetch(self, owner: str) -> None:
        try:
            async with asyncio.timeout(FETCH_S):
                while home := self._take(owner):
                    freed = self._freed[owner] = asyncio.Event()
                    if not self._mail.send(home, WANT, owner, self._homes.name):
                        self._bury(home)
                        continue
                    # Whether it was heard or not: the database says who has it.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(freed.wait(), ASK_AGAIN_S)
        finally:
            self._freed.pop(owner, None)

    def _take(self, owner: str) -> str:
        """Whose it is, if it is another's."""
        home, estate = self._homes.take(owner)
        if home != self._homes.name:
            return home
        self._mine.add(owner)
        self.backend.adopt(owner, estate)
        return ""

    def _bury(self, name: str) -> None:
        owners, turns = self._homes.inherit(name)
        self._mine.update(owners)
        if owners:
            log.warning("node %s is dead: %d turns end here", name, len(turns))
        for turn in turns:
            self.backend.bury(turn)

    def _release(self, owner: str) -> None:
        self._mine.discard(owner)
        self._homes.release(owner, self.backend.release(owner, self._unsent))

    async def _give(self, owner: str, to: str) -> None:
        if owner in self._mine:
            self._release(owner)
            await self._durability.reached(self._durability.written)
        self._mail.send(to, FREED, owner)

    def _on_mail(self, words: list[str]) -> None:
        match words:
            case [verb, owner, name] if verb == WANT:
                chore = asyncio.create_task(self._give(owner, name))
                self._chores.add(chore)
                chore.add_done_callback(self._chores.discard)
            case [verb, owner] if verb == FREED and owner in self._freed:
                self._freed[owner].set()
