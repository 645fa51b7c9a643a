"""When a run must stop of itself: what its rows show so far and in the last seconds, against the limits of its scenario.

Reads the rows as they are written, so the load processes need not be asked and cannot forget.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from loadtests.history import DTYPE, End, Flag, RowKind
from loadtests.limits import Limits, Used
from loadtests.scenario import Abort

__all__ = ["LEAST_TURNS", "OVER_S", "Lookout"]

OVER_S = 10.0
#: fewer turns than this are no rate
LEAST_TURNS = 20
BAD = (int(End.FAILED), int(End.TIMEOUT))
LEFT_OUT = (int(End.CUT_BY_STOP), int(End.IN_DOUBT), int(End.ABANDONED))
Rows = np.ndarray[Any, np.dtype[Any]]


class Lookout:
    """One run's rows so far; ``users``: all of them; ``cost``: what it may cost altogether."""

    def __init__(self, limits: Abort, rows: Path, users: int, cost: Limits | None = None) -> None:
        self._limits, self._folder, self._users = limits, rows, users
        self._cost = cost or Limits()
        parts = limits.error_rate, limits.share_hit, self._cost.turns, self._cost.tokens, self._cost.money
        self._idle = all(part is None for part in parts)
        self._used = Used()
        self._read: dict[Path, int] = {}
        self._recent = np.empty(0, DTYPE)

    def _look(self, now_ns: int) -> None:
        """Read what is new, if there is any limit."""
        if self._idle:
            return
        new = self._new()
        for rows in new:
            ends = rows[rows["kind"] == RowKind.END]
            turns = int((rows["kind"] == RowKind.SEND).sum())
            used_in, used_out = int(ends["cursor"].clip(min=0).sum()), int(ends["key"].sum())
            self._used = Used(self._used.turns + turns, self._used.input + used_in, self._used.output + used_out)
        recent = np.concatenate([self._recent, *new])
        self._recent = recent[recent["received"] > now_ns - int(OVER_S * 1e9)]

    def spent(self) -> str:
        """Which limit of the whole run was reached when last looked at; empty: none, or none is set."""
        return self._used.over(self._cost)

    def trouble(self, now_ns: int) -> str:
        """Which limit of the last seconds is broken, and by how much; empty: none, or none is set."""
        self._look(now_ns)
        limits, recent = self._limits, self._recent
        # What a user's own journey has cut is nobody's error.
        ends = recent[(recent["kind"] == RowKind.END) & (recent["flags"] & int(Flag.OURS) == 0)]
        bad = ends[np.isin(ends["code"], BAD)]
        if limits.error_rate is not None:
            decided = int((~np.isin(ends["code"], LEFT_OUT)).sum())
            if decided >= LEAST_TURNS and len(bad) > limits.error_rate * decided:
                return f"error rate {len(bad) / decided:.2f} in the last {OVER_S:g} s, and abort.error_rate is {limits.error_rate:g}"
        if limits.share_hit is not None:
            cut = recent[(recent["kind"] == RowKind.CLOSE) & (recent["flags"] & int(Flag.OURS) == 0)]
            refused = recent[recent["kind"] == RowKind.FAILED]
            hit = len(np.unique(np.concatenate([part["session"] for part in (bad, cut, refused)])))
            if hit > limits.share_hit * self._users:
                return f"{hit} of {self._users} sessions hit in the last {OVER_S:g} s, and abort.share_hit is {limits.share_hit:g}"
        return ""

    def _new(self) -> list[Rows]:
        """Whole rows that were not there before, of the kinds that matter."""
        parts = []
        for file in sorted(self._folder.glob("*.bin")):
            offset = self._read.get(file, 0)
            count = (file.stat().st_size - offset) // DTYPE.itemsize
            if count <= 0:
                continue
            part = np.fromfile(file, DTYPE, count, offset=offset)
            self._read[file] = offset + len(part) * DTYPE.itemsize
            parts.append(part[part["kind"] != RowKind.EVENT])
        return parts
