"""Plays the acts of one load process at their times, on its own sessions, and writes down what was done to whom.

Knows chats, and neither the plan nor what a fault means.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import gevent

from loadtests.acts import KINDS, LEAD_MS, SUFFIX, Act, Cast

__all__ = ["Actor", "Player"]

NS_PER_MS = 1_000_000
#: what has come meanwhile is read before anything is decided
LOOK_S = 0.05
#: a path that was left is closed only once it is healed: Toxiproxy 2.12 hangs where both happen at once
LINGER_S = 0.6


class Player(Protocol):
    """A chat, as far as acts go. Each says whether it was hit."""

    def stop_reading(self) -> bool: ...
    def fall_asleep(self) -> bool: ...
    def unread_bytes(self) -> int: ...
    def look(self) -> None: ...
    def wake(self) -> None: ...
    def lose(self, why: str, *, reset: bool) -> bool: ...
    def leave(self, why: str) -> Any: ...


class Actor:
    """``players``: user number -> chat, growing as users come."""

    def __init__(self, cast: Cast, players: Mapping[int, Player], rows: Path, name: str) -> None:
        self._cast, self._players = cast, players
        self._file = os.open(rows / f"{name}{SUFFIX}", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._begin: dict[str, Callable[[Act, Player], bool]] = {
            "slow-consumer": lambda _, one: one.stop_reading(),
            "sleep": lambda _, one: one.fall_asleep(),
            "mass-disconnect": lambda act, one: one.lose(_why(act), reset=act.asked.get("how", "rst") == "rst"),
            "switch": self._switch,
        }
        self._left: dict[str, list[Any]] = {}

    def play(self, start_ns: int) -> list[Any]:
        """Start everything; returns the greenlets, which whoever ends the process must end."""
        return [gevent.spawn(self._act, act, start_ns) for act in self._cast.acts if act.kind in KINDS]

    def close(self) -> None:
        for sockets in self._left.values():
            _close(sockets)
        self._left.clear()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _act(self, act: Act, start_ns: int) -> None:
        _until(start_ns + (act.start_ms + LEAD_MS) * NS_PER_MS)
        mine = {number: one for number, one in self._players.items() if number in self._cast.sessions(act)}
        begin = self._begin[act.kind]
        hit = {number: one for number, one in mine.items() if begin(act, one)}
        self._write(act, "begin", sorted(hit), of=len(mine))
        _until(start_ns + act.end_ms * NS_PER_MS)
        found = self._end(act, list(hit.values()))
        self._write(act, "end", sorted(hit), of=len(mine), **found)
        if act.id in self._left:
            gevent.sleep(LINGER_S)
            _close(self._left.pop(act.id))

    def _end(self, act: Act, hit: Sequence[Player]) -> dict[str, int]:
        if act.kind not in {"slow-consumer", "sleep"}:
            return {}
        held = [one.unread_bytes() for one in hit]
        for one in hit:
            one.look()
        gevent.sleep(LOOK_S)
        for one in hit:
            one.wake()
        return {"held_bytes": sum(held), "held_sessions": sum(count > 0 for count in held)}

    def _switch(self, act: Act, one: Player) -> bool:
        """The old path is not closed, since a path that is gone carries no goodbye; it is kept open, and nobody reads it."""
        left = one.leave(_why(act))
        if left is not None:
            self._left.setdefault(act.id, []).append(left)
        return left is not None

    def _write(self, act: Act, step: str, sessions: list[int], **more: int) -> None:
        line = {
            "id": act.id, "kind": act.kind, "cohort": act.cohort, "act": step, "at_ns": time.monotonic_ns(), "sessions": sessions,
            **more,
        }  # fmt: skip
        if self._file >= 0:
            os.write(self._file, (json.dumps(line, sort_keys=True) + "\n").encode())


def _why(act: Act) -> str:
    return f"our own act: {act.kind} of {act.id}"


def _until(at_ns: int) -> None:
    gevent.sleep(max(0.0, (at_ns - time.monotonic_ns()) / 1e9))


def _close(sockets: Sequence[Any]) -> None:
    for one in sockets:
        one.close()
