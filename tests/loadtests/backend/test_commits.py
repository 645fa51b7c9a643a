"""Nobody is told what a SIGKILL could take back."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from loadtests.backend.commits import AtOnce, Commits
from loadtests.backend.database import SqliteStorage
from loadtests.backend.eventlog import Entry
from loadtests.errors import RigError


def entry(seq: int) -> Entry:
    return Entry(stream="s", seq=seq, user="u", thread="t", kind="k", at_s=1.5, frame=b"{}")


def test_who_waits_goes_on_when_it_is_on_disk_and_not_before(tmp_path: Path) -> None:
    async def scene() -> None:
        storage = SqliteStorage(tmp_path / "log.db")
        commits = Commits(storage)
        storage.append(entry(1))
        waits = asyncio.create_task(commits.reached(commits.written))
        await asyncio.sleep(0)
        assert not waits.done()
        runs = asyncio.create_task(commits.run())
        async with asyncio.timeout(5):
            await waits
        assert (storage.committed, storage.written, storage.dirty) == (1, 1, False)
        storage.append(entry(2))
        storage.read("s", 0, 9)  # flushes too
        async with asyncio.timeout(5):
            await commits.reached(2)
        runs.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await runs
        storage.close()

    asyncio.run(scene())


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    async def scene() -> None:
        storage = SqliteStorage(tmp_path / "log.db")
        storage.append(entry(1))
        storage.append(entry(1))
        async with asyncio.timeout(5):
            await Commits(storage).run()

    with pytest.raises(RigError, match="cannot be written"):
        asyncio.run(scene())


def test_for_a_log_in_memory_nobody_waits() -> None:
    asyncio.run(AtOnce().reached(AtOnce.written))
