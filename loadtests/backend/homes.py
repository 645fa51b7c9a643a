"""The cluster's tables in the log's database: which node each owner is at home with, and which nodes there are.

An owner is one node's, or free with what the last one left. No node is asked: the database alone decides.
"""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any

import msgspec

from loadtests.backend.database import SqliteStorage, turn_of
from loadtests.backend.estate import Estate
from loadtests.backend.eventlog import Turn

__all__ = ["HomeTable", "Neighbour"]

FREE = ""

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS cluster (only INTEGER PRIMARY KEY, secret TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS nodes (name TEXT PRIMARY KEY, label TEXT NOT NULL, stats BLOB, ended INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS homes (owner TEXT PRIMARY KEY, node TEXT NOT NULL, estate BLOB) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS homes_by_node ON homes (node)",
    "CREATE INDEX IF NOT EXISTS homes_with_estate ON homes (owner) WHERE estate IS NOT NULL",
)
CHRISTEN = "INSERT OR IGNORE INTO cluster VALUES (1, ?)"
ENTER = "INSERT INTO nodes VALUES (?, ?, NULL, 0)"
STATS = "UPDATE nodes SET stats = ? WHERE name = ?"
LEAVE = "UPDATE nodes SET ended = 1 WHERE name = ?"
SETTLE = "INSERT OR REPLACE INTO homes VALUES (?, ?, NULL)"
FORGET_HOME, FORGET_STREAM = "DELETE FROM homes WHERE owner = ?", "DELETE FROM streams WHERE stream = ?"
RELEASE = "UPDATE homes SET node = '', estate = ? WHERE owner = ?"
RELEASE_ALL = "UPDATE homes SET node = '' WHERE node = ?"
INHERIT = "UPDATE homes SET node = ? WHERE node = ? RETURNING owner"
ORPHANS = (
    "SELECT turns.owner, message, stream, user, thread, run, ended FROM turns JOIN homes ON homes.owner = turns.owner"
    " WHERE homes.node = ? AND turns.ended = 0 ORDER BY ordinal"
)
WAITING = "SELECT owner FROM homes WHERE estate IS NOT NULL AND node = '' LIMIT ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another node that has not said that it ends, dead or alive."""

    name: str
    label: str
    stats: dict[str, Any]


class HomeTable:
    """One node's view; ``name`` is its own, and no later process has the same."""

    def __init__(self, storage: SqliteStorage, label: str) -> None:
        self.storage = storage
        self.name = f"{label}.{secrets.token_hex(4)}"
        self.label = label
        self.secret = storage.transact(self._enter)

    def _enter(self, db: sqlite3.Connection) -> str:
        for statement in SCHEMA:
            db.execute(statement)
        db.execute(CHRISTEN, (secrets.token_hex(8),))
        db.execute(ENTER, (self.name, self.label))
        return str(db.execute("SELECT secret FROM cluster").fetchone()[0])

    # With the batch

    def settle(self, owner: str) -> None:
        self.storage.write(SETTLE, (owner, self.name))

    def forget(self, stream: str) -> None:
        self.storage.write(FORGET_HOME, (stream,))
        self.storage.write(FORGET_STREAM, (stream,))

    def release(self, owner: str, estate: Estate) -> None:
        self.storage.write(RELEASE, (estate.encode() if estate else None, owner))

    def leave(self) -> None:
        """All that is left here is free, and nobody waits for this node any more."""
        self.storage.write(RELEASE_ALL, (self.name,))
        self.storage.write(LEAVE, (self.name,))

    def say(self, stats: dict[str, Any]) -> None:
        self.storage.write(STATS, (msgspec.json.encode(stats), self.name))

    # At once

    def take(self, owner: str) -> tuple[str, Estate]:
        """Who has it: this node, if it was free or new; and what had been left."""

        def work(db: sqlite3.Connection) -> tuple[str, Estate]:
            row = db.execute("SELECT node, estate FROM homes WHERE owner = ?", (owner,)).fetchone()
            if row is not None and row[0] != FREE:
                return str(row[0]), Estate()
            db.execute(SETTLE, (owner, self.name))
            return self.name, Estate.decode(row[1]) if row is not None and row[1] is not None else Estate()

        return self.storage.transact(work)

    def inherit(self, dead: str) -> tuple[list[str], list[Turn]]:
        """All owners of a node that is no more, unless another was faster; and the turns that it had under way."""

        def work(db: sqlite3.Connection) -> tuple[list[str], list[Turn]]:
            turns = [turn_of(row) for row in db.execute(ORPHANS, (dead,))]
            owners = [str(row[0]) for row in db.execute(INHERIT, (self.name, dead))]
            db.execute(LEAVE, (dead,))
            return owners, turns

        return self.storage.transact(work)

    def neighbours(self) -> list[Neighbour]:
        rows = self.storage.rows("SELECT name, label, stats FROM nodes WHERE ended = 0 AND name != ?", (self.name,))
        return [
            Neighbour(name=str(name), label=str(label), stats=msgspec.json.decode(stats) if stats else {})
            for name, label, stats in rows
        ]

    def waiting(self, limit: int) -> list[str]:
        """Owners with turns that nobody goes on with."""
        return [str(row[0]) for row in self.storage.rows(WAITING, (limit,))]
