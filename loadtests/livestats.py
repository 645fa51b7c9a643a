"""Locust's own statistics, fed in bulk from the rows just written: one merge a second, not one call an event.

Firing Locust's ``request`` per event costs 3-7 microseconds each; this way it is free within the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loadtests.history import DTYPE, End, Flag, RowKind

__all__ = ["CENSORED", "FAILURES", "TURN", "TurnFailedError", "feed"]

EVENT = "EVENT"
TURN = "TURN"
#: neither good nor bad: cut off by us, in doubt, or turned away by a quota
CENSORED = (End.CUT_BY_STOP, End.IN_DOUBT, End.THROTTLED)
FAILURES = (End.FAILED, End.TIMEOUT, End.ABANDONED)
#: Locust looks back ten seconds at most, and keeps a number for every second of a run
KEPT_S = 30
#: of the curves of its web UI, one each five seconds
KEPT_POINTS = 60
#: its user's own journey has cut it
OURS = int(Flag.OURS)
EXACT_MS = 10_000


class TurnFailedError(Exception):
    """How a turn failed, from a fixed list, so that Locust's table of failures stays short."""


def _to_the_millisecond(milliseconds: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Locust's own buckets (``locust.stats.bucket_response_time``) are 100 ms wide where a budget of 1,000 ms is broken; beyond ten
    seconds a millisecond more or less is nothing, and each is a key that is kept.
    """
    step = np.where(milliseconds < EXACT_MS, 1, 100)
    rounded: np.ndarray[Any, Any] = np.round(milliseconds / step).astype(np.int64) * step
    return rounded


def feed(stats: Any, names: Sequence[str], block: bytes | memoryview, now_s: float) -> int:
    """Merge the events and turns of a block of rows into ``environment.stats``; returns how many.

    ``names``: event index -> name, empty for those that are not shown. Only events of a turn in flight count: others
    have no intended send to be measured from. Turns cut by the run's end, or in doubt, are neither good nor bad; those that failed
    are entries of their own.
    """
    rows = np.frombuffer(block, DTYPE)
    # Column by column: a mask over whole rows would copy 96 bytes for each that is kept.
    kinds, begun = rows["kind"], rows["intended"] > 0
    events = np.flatnonzero((kinds == RowKind.EVENT) & begun)
    numbers, sizes, total = rows["event"][events], rows["size"][events], 0
    latency_ms = (rows["received"][events] - rows["intended"][events]) / 1e6
    for event in np.flatnonzero(np.bincount(numbers)).tolist() if len(events) else []:
        if event < len(names) and names[event]:
            mine = numbers == event
            total += _merge(stats, names[event], EVENT, latency_ms[mine], int(sizes[mine].sum()), now_s)
    decided = ~np.isin(rows["code"], CENSORED) & (rows["flags"] & OURS == 0)
    ends = rows[(kinds == RowKind.END) & begun & decided]
    codes, took_ms, sizes = ends["code"], (ends["received"] - ends["intended"]) / 1e6, ends["size"]
    good = ~np.isin(codes, FAILURES)
    if good.any():
        total += _merge(stats, "turn", TURN, took_ms[good], int(sizes[good].sum()), now_s)
    for code in np.unique(codes[~good]).tolist():
        mine, how = codes == code, End(code).name.lower()
        # By itself: when a turn was given up is no time in which one was served.
        total += _merge(
            stats, f"turn {how}", TURN, took_ms[mine], int(sizes[mine].sum()), now_s, error=TurnFailedError(how)
        )
    if total:
        for entry in (stats.total, *stats.entries.values()):
            _forget(entry, int(now_s) - KEPT_S)
        del stats.history[:-KEPT_POINTS]
    return total


def _merge(
    stats: Any,
    name: str,
    kind: str,
    latency_ms: np.ndarray[Any, Any],
    size_bytes: int,
    now_s: float,
    error: Exception | None = None,
) -> int:
    """One entry made of many samples, by the same merge that Locust's master uses for its workers' reports."""
    from locust.stats import StatsEntry, StatsError  # noqa: PLC0415  # importing Locust patches sockets; only its own process may

    entry: Any = StatsEntry(stats, name, kind)
    entry.num_requests = count = len(latency_ms)
    entry.total_response_time = float(latency_ms.sum())
    entry.min_response_time = float(latency_ms.min())
    entry.max_response_time = float(latency_ms.max())
    entry.total_content_length = size_bytes
    entry.start_time = entry.last_request_timestamp = now_s
    entry.num_reqs_per_sec[int(now_s)] = count
    if error is not None:
        entry.num_failures = entry.num_fail_per_sec[int(now_s)] = count
        key = StatsError.create_key(kind, name, error)
        stats.errors.setdefault(key, StatsError(kind, name, error)).occurrences += count
    buckets, counts = np.unique(_to_the_millisecond(latency_ms), return_counts=True)
    entry.response_times.update(dict(zip(buckets.tolist(), counts.tolist(), strict=True)))
    stats.entries[(name, kind)].extend(entry)
    stats.total.extend(entry)
    return count


def _forget(entry: Any, before_s: int) -> None:
    for seconds in (entry.num_reqs_per_sec, entry.num_fail_per_sec):
        for second in [one for one in seconds if one < before_s]:
            del seconds[second]
