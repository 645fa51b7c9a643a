"""When a run must stop of itself: what its rows show so far and in the last seconds, against the limits of its scenario.

Reads the rows as they are written, so the load processes need not be asked and cannot forget. What several hosts read is added up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from loadtests.history import DTYPE, End, Flag, RowKind
from loadtests.hosts.messages import Tally
from loadtests.limits import Limits, Used
from loadtests.scenario import Abort

__all__ = ["LEAST_TURNS", "OVER_S", "Counter", "Lookout"]

OVER_S = 10.0
#: fewer turns than this are no rate
LEAST_TURNS = 20
BAD = (int(End.FAILED), int(End.TIMEOUT))
LEFT_OUT = (int(End.CUT_BY_STOP), int(End.IN_DOUBT), int(End.ABANDONED))
Rows = np.ndarray[Any, np.dtype[Any]]


class Counter:
    """The rows of one folder so far."""

    def __init__(self, rows: Path) -> None:
        self._folder = rows
        self._used = Tally()
        self._read: dict[Path, int] = {}
        self._recent = np.empty(0, DTYPE)

    def tally(self, now_ns: int) -> Tally:
        """What there is, and what of it is of the last seconds; reads what is new."""
        new = self._new()
        for rows in new:
            ends = rows[rows["kind"] == RowKind.END]
            turns = int((rows["kind"] == RowKind.SEND).sum())
            used_in, used_out = int(ends["cursor"].clip(min=0).sum()), int(ends["key"].sum())
            self._used += Tally(turns=turns, input=used_in, output=used_out)
        recent = np.concatenate([self._recent, *new])
        self._recent = recent = recent[recent["received"] > now_ns - int(OVER_S * 1e9)]
        # What a user's own journey has cut is nobody's error.
        ends = recent[(recent["kind"] == RowKind.END) & (recent["flags"] & int(Flag.OURS) == 0)]
        bad = ends[np.isin(ends["code"], BAD)]
        cut = recent[(recent["kind"] == RowKind.CLOSE) & (recent["flags"] & int(Flag.OURS) == 0)]
        refused = recent[recent["kind"] == RowKind.FAILED]
        hit = len(np.unique(np.concatenate([part["session"] for part in (bad, cut, refused)])))
        rows_there = sum(offset // DTYPE.itemsize for offset in self._read.values())
        ended = int((~np.isin(ends["code"], LEFT_OUT)).sum())
        return self._used + Tally(rows=rows_there, ended=ended, bad=len(bad), hit=hit)

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


class Lookout:
    """One run's limits; ``users``: all of them; ``cost``: what it may cost altogether."""

    def __init__(self, limits: Abort, rows: Path, users: int, cost: Limits | None = None) -> None:
        self._limits, self._counter, self._users = limits, Counter(rows), users
        self._cost = cost or Limits()
        parts = limits.error_rate, limits.share_hit, self._cost.turns, self._cost.tokens, self._cost.money
        self._idle = all(part is None for part in parts)
        self._tally = Tally()

    def spent(self) -> str:
        """Which limit of the whole run was reached when last looked at; empty: none, or none is set."""
        return Used(self._tally.turns, self._tally.input, self._tally.output).over(self._cost)

    def trouble(self, now_ns: int) -> str:
        """Which limit of the last seconds is broken, and by how much; empty: none, or none is set."""
        return "" if self._idle else self.trouble_in(self._counter.tally(now_ns))

    def trouble_in(self, tally: Tally) -> str:
        """``trouble``, of what others have counted."""
        self._tally, limits = tally, self._limits
        if limits.error_rate is not None and tally.ended >= LEAST_TURNS and tally.bad > limits.error_rate * tally.ended:
            rate = tally.bad / tally.ended
            return f"error rate {rate:.2f} in the last {OVER_S:g} s, and abort.error_rate is {limits.error_rate:g}"
        if limits.share_hit is not None and tally.hit > limits.share_hit * self._users:
            return f"{tally.hit} of {self._users} sessions hit in the last {OVER_S:g} s, and abort.share_hit is {limits.share_hit:g}"
        return ""
