"""The event log's SQLite: WAL, commits by group. Nothing in it decides anything.

An append only joins a batch in memory; ``flush`` writes the batch, and may be called from another thread. Every read
flushes first, so that it sees all.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from loadtests.backend.eventlog import Entry, Turn
from loadtests.errors import RigError

__all__ = ["SqliteStorage", "turn_of"]

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (stream TEXT PRIMARY KEY, user TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    stream TEXT NOT NULL, seq INTEGER NOT NULL, user TEXT NOT NULL, thread TEXT NOT NULL, kind TEXT NOT NULL,
    at_s REAL NOT NULL, frame BLOB NOT NULL, PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_by_thread ON events (user, thread, at_s);
CREATE TABLE IF NOT EXISTS turns (
    ordinal INTEGER PRIMARY KEY, owner TEXT NOT NULL, message TEXT NOT NULL, stream TEXT NOT NULL, user TEXT NOT NULL,
    thread TEXT NOT NULL, run TEXT NOT NULL, ended INTEGER NOT NULL, UNIQUE (owner, message)
);
CREATE TABLE IF NOT EXISTS words (
    ordinal INTEGER PRIMARY KEY, owner TEXT NOT NULL, thread TEXT NOT NULL, words TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS words_by_thread ON words (owner, thread, ordinal);
"""
ADD_STREAM = "INSERT OR REPLACE INTO streams VALUES (?, ?)"
ADD_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"
ADD_TURN = "INSERT OR IGNORE INTO turns (owner, message, stream, user, thread, run, ended) VALUES (?, ?, ?, ?, ?, ?, 0)"
END_TURN = "UPDATE turns SET ended = 1 WHERE owner = ? AND message = ?"
TRIM = "DELETE FROM events WHERE stream = ? AND seq <= ?"
REWIND = "DELETE FROM events WHERE stream = ? AND seq > ?"
ADD_WORDS = "INSERT INTO words (owner, thread, words) VALUES (?, ?, ?)"
OF_OWNER = "SELECT owner, message, stream, user, thread, run, ended FROM turns WHERE owner = ? ORDER BY ordinal"
OF_WORDS = "SELECT words FROM words WHERE owner = ? AND thread = ? ORDER BY ordinal DESC LIMIT ?"
OF_STREAM = (
    "SELECT stream, seq, user, thread, kind, at_s, frame FROM events"
    " WHERE stream = ? AND seq > ? AND seq <= ? ORDER BY seq"
)
OF_THREAD = (
    "SELECT stream, seq, user, thread, kind, at_s, frame FROM events WHERE user = ? AND thread = ?"
    " ORDER BY at_s DESC, stream DESC, seq DESC LIMIT ?"
)
OF_TURNS = "SELECT owner, message, stream, user, thread, run, ended FROM turns ORDER BY ordinal DESC LIMIT ?"
BUSY_MS = 10_000


class SqliteStorage:
    """One file. Several processes may write it, but each stream only one of them."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            self._db.execute("PRAGMA journal_mode = WAL")
            # What is committed outlives this process, and need not outlive the machine: a checkpoint that waits for the disk would
            # hold up everybody's turns, and be blamed on the fault of the moment.
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise RigError(
                f"the event log {path} cannot be used: {error}; give --db another file, or :memory:"
            ) from None
        self._lock = threading.Lock()
        # A deque, whose append and popleft are safe between the loop's thread and the flushing one.
        self._batch: deque[tuple[str, tuple[Any, ...]]] = deque()
        #: writes so far, and how many of them no SIGKILL can take back
        self.written = 0
        self.committed = 0

    @property
    def dirty(self) -> bool:
        return bool(self._batch)

    def write(self, statement: str, row: tuple[Any, ...]) -> None:
        """With the batch, after all that was written before."""
        self._batch.append((statement, row))
        self.written += 1

    def add_stream(self, stream: str, user: str) -> None:
        self.write(ADD_STREAM, (stream, user))

    def append(self, entry: Entry) -> None:
        row = (entry.stream, entry.seq, entry.user, entry.thread, entry.kind, entry.at_s, entry.frame)
        self.write(ADD_EVENT, row)

    def begin(self, turn: Turn) -> None:
        self.write(ADD_TURN, (turn.owner, turn.message, turn.stream, turn.user, turn.thread, turn.run))

    def end(self, turn: Turn) -> None:
        self.write(END_TURN, (turn.owner, turn.message))

    def trim(self, stream: str, upto: int) -> None:
        self.write(TRIM, (stream, upto))

    def remember(self, turn: Turn, words: str) -> None:
        self.write(ADD_WORDS, (turn.owner, turn.thread, words))

    def rewind(self, stream: str, upto: int) -> None:
        self.write(REWIND, (stream, upto))

    def flush(self, upto: int | None = None) -> None:
        """Write the batch in one transaction, in the order in which it came; ``upto`` so many writes since the start.

        Raises:
            RigError: the disk would not have it. The batch stays.
        """
        with self._lock:
            count = len(self._batch) if upto is None else upto - self.committed
            batch = [self._batch.popleft() for _ in range(count)]
            if not batch:
                return
            try:
                with self._transaction() as db:
                    for statement, row in batch:
                        db.execute(statement, row)
            except RigError:
                self._batch.extendleft(reversed(batch))
                raise
            self.committed += len(batch)

    def close(self) -> None:
        self.flush()
        self._db.close()

    def stream_user(self, stream: str) -> str | None:
        rows = self.rows("SELECT user FROM streams WHERE stream = ?", (stream,))
        return str(rows[0][0]) if rows else None

    def bounds(self, stream: str) -> tuple[int, int]:
        first, last = self.rows("SELECT min(seq), max(seq) FROM events WHERE stream = ?", (stream,))[0]
        return (first, last) if last is not None else (1, 0)

    def read(self, stream: str, after: int, upto: int) -> list[Entry]:
        return [_entry(row) for row in self.rows(OF_STREAM, (stream, after, upto))]

    def thread(self, user: str, thread: str, limit: int) -> list[Entry]:
        return [_entry(row) for row in reversed(self.rows(OF_THREAD, (user, thread, limit)))]

    def words(self, owner: str, thread: str, limit: int) -> list[str]:
        return [str(row[0]) for row in reversed(self.rows(OF_WORDS, (owner, thread, limit)))]

    def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Several statements as one, behind the batch, and with no other process in between.

        Raises:
            RigError: the disk would not have it.
        """
        self.flush()
        with self._lock, self._transaction() as db:
            return work(db)

    def turns_of(self, owner: str) -> list[tuple[Turn, bool]]:
        return [_state(row) for row in self.rows(OF_OWNER, (owner,))]

    def turns(self, limit: int) -> list[tuple[Turn, bool]]:
        return [_state(row) for row in reversed(self.rows(OF_TURNS, (limit,)))]

    def rows(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        self.flush()
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing; the lock is held."""
        try:
            with self._db as db:
                db.execute("BEGIN IMMEDIATE")
                yield db
        except sqlite3.Error as error:
            raise RigError(f"the event log cannot be written: {error}") from None


def _entry(row: tuple[Any, ...]) -> Entry:
    stream, seq, user, thread, kind, at_s, frame = row
    return Entry(stream=stream, seq=seq, user=user, thread=thread, kind=kind, at_s=at_s, frame=frame)


def turn_of(row: tuple[Any, ...]) -> Turn:
    owner, message, stream, user, thread, run, _ = row
    return Turn(owner=owner, message=message, stream=stream, user=user, thread=thread, run=run)


def _state(row: tuple[Any, ...]) -> tuple[Turn, bool]:
    return turn_of(row), bool(row[6])
