"""Group commits, and who waits for them: what has been sent must be in the log whatever happens next."""

from __future__ import annotations

import asyncio
from typing import Protocol

from loadtests.backend.database import SqliteStorage

__all__ = ["AtOnce", "Commits", "Durability"]

GROUP_COMMIT_S = 0.002


class Durability(Protocol):
    """How far the log is safe."""

    @property
    def written(self) -> int:
        """So much has been written so far."""

    async def reached(self, mark: int) -> None:
        """Until so much is safe."""


class AtOnce:
    """Of a log in memory, which is never safe, so that nobody need wait for it."""

    written = 0

    async def reached(self, mark: int) -> None:
        """At once."""


class Commits:
    """Of SQLite: SIGKILL takes nothing back that is committed."""

    def __init__(self, storage: SqliteStorage) -> None:
        self._storage = storage
        self._turn = asyncio.Event()

    @property
    def written(self) -> int:
        return self._storage.written

    async def reached(self, mark: int) -> None:
        while self._storage.committed < mark:
            await self._turn.wait()

    async def run(self) -> None:
        """Off the loop, a batch at a time.

        Raises:
            RigError: the log cannot be written.
        """
        seen = 0
        while True:
            await asyncio.sleep(GROUP_COMMIT_S)
            if self._storage.dirty:
                # Counted here and not there: what the loop did in one go, such as a turn's last event and that it is over,
                # must not be torn apart.
                await asyncio.to_thread(self._storage.flush, self._storage.written)
            # A read may have flushed, too.
            if self._storage.committed != seen:
                seen = self._storage.committed
                self._turn.set()
                self._turn = asyncio.Event()
