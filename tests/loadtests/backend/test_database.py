"""SQLite: group commits, visible at once, durable after a flush, an unusable file said plainly."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from loadtests.backend.database import SqliteStorage
from loadtests.backend.eventlog import Entry, Turn
from loadtests.errors import RigError


def entry(seq: int) -> Entry:
    return Entry(stream="s", seq=seq, user="u", thread="t", kind="k", at_s=1.5, frame=b'{"n":1}')


def test_an_append_is_read_back_before_any_flush_and_is_on_disk_after_it(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "log.db")
    storage.append(entry(1))
    assert storage.dirty
    with sqlite3.connect(tmp_path / "log.db") as other:
        assert other.execute("SELECT count(*) FROM events").fetchone() == (0,)
        assert storage.read("s", 0, 9) == [entry(1)]
        assert other.execute("SELECT count(*) FROM events").fetchone() == (1,)
    assert not storage.dirty
    storage.close()


def test_it_is_wal_that_never_waits_for_the_disk(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "log.db")
    assert storage.rows("PRAGMA journal_mode", ()) == [("wal",)]
    assert storage.rows("PRAGMA synchronous", ()) == [(0,)]
    storage.close()


def test_a_failed_flush_says_so_and_loses_nothing(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "log.db")
    storage.append(entry(1))
    storage.append(entry(1))
    with pytest.raises(RigError, match="cannot be written"):
        storage.flush()
    assert storage.dirty
    storage._batch.pop()
    storage.flush()
    assert storage.bounds("s") == (1, 1)
    storage.close()


def test_a_flush_stops_where_it_is_told_to_whoever_has_flushed_meanwhile(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "log.db")
    for seq in (1, 2, 3):
        storage.append(entry(seq))
    storage.flush(2)
    assert (storage.committed, storage.dirty) == (2, True)
    storage.flush(1)
    assert storage.committed == 2
    storage.flush()
    assert (storage.committed, storage.written, storage.dirty) == (3, 3, False)
    storage.close()


def test_a_file_that_is_no_database_is_a_rig_error(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_text("certainly no database, and longer than a header of one " * 20)
    with pytest.raises(RigError, match="--db"):
        SqliteStorage(path)


def test_turns_come_back_oldest_first_with_their_state(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "log.db")
    first = Turn(owner="o", stream="s", user="u", thread="t", run="r1", message="m1")
    second = Turn(owner="o", stream="s", user="u", thread="t", run="r2", message="m2")
    storage.begin(first)
    storage.begin(second)
    storage.end(first)
    assert storage.turns(10) == [(first, True), (second, False)]
    assert storage.turns(1) == [(second, False)]
    storage.close()


def test_words_are_on_disk_after_a_flush_and_read_oldest_first(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "log.db")
    one = Turn(owner="o", stream="s", user="u", thread="t", run="r1", message="m1")
    for words in ("a", "b", "c"):
        storage.remember(one, words)
    storage.close()
    storage = SqliteStorage(tmp_path / "log.db")
    assert storage.words("o", "t", 2) == ["b", "c"]
    assert storage.words("o", "other", 2) == []
    storage.close()


def test_a_rewind_forgets_what_came_after(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "log.db")
    for seq in (1, 2, 3):
        storage.append(entry(seq))
    storage.rewind("s", 1)
    storage.append(entry(2))
    assert storage.bounds("s") == (1, 2)
    storage.close()
