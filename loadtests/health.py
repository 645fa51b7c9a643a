"""Is the generator itself fit? Loop lag, CPU, memory, pauses of the collector and time stolen by the host's others, of a worker,
once a second, as one JSON line.
"""

from __future__ import annotations

import gc
import json
import os
import time
from pathlib import Path

import gevent
import psutil

__all__ = ["Health"]

PROBE_S = 0.02
REPORT_S = 1.0
STAT = Path("/proc/stat")
#: of the numbers behind ``cpu`` in it (proc(5))
STEAL = 7


class Health:
    """Appends to ``health.jsonl``; several processes may share the file, since a line is one small append."""

    def __init__(self, path: Path, worker: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._worker = worker
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._ticks = _ticks()
        self._pause_began = 0.0
        #: milliseconds of each since the last line
        self._pauses_ms: list[float] = []

    def run(self) -> None:
        """A greenlet's body: measures until killed. Lag is how much later than asked the loop wakes us."""
        lags_ms: list[float] = []
        since = time.monotonic()
        gc.callbacks.append(self._collecting)
        try:
            while True:
                before = time.monotonic()
                gevent.sleep(PROBE_S)
                now = time.monotonic()
                lags_ms.append(max(0.0, (now - before - PROBE_S) * 1000))
                if now - since >= REPORT_S:
                    self._report(sorted(lags_ms))
                    lags_ms, since = [], now
        finally:
            gc.callbacks.remove(self._collecting)

    def _collecting(self, step: str, _: dict[str, int]) -> None:
        if step == "start":
            self._pause_began = time.monotonic()
        else:
            self._pauses_ms.append((time.monotonic() - self._pause_began) * 1000)

    def _report(self, lags_ms: list[float]) -> None:
        pauses_ms, self._pauses_ms = self._pauses_ms, []
        ticks, self._ticks = self._ticks, _ticks()
        stolen, all_ = self._ticks[0] - ticks[0], self._ticks[1] - ticks[1]
        record = {
            "at_ns": time.monotonic_ns(),
            "worker": self._worker,
            "loop_lag_p99_ms": round(lags_ms[int(0.99 * (len(lags_ms) - 1))], 3),
            "loop_lag_max_ms": round(lags_ms[-1], 3),
            "cpu": round(self._process.cpu_percent() / 100, 3),
            "rss_mb": round(self._process.memory_info().rss / 1e6, 1),
            "descriptors": self._process.num_fds(),
            "gc_ms": round(sum(pauses_ms), 3),
            "gc_max_ms": round(max(pauses_ms, default=0.0), 3),
            "steal": round(stolen / all_, 4) if all_ > 0 else 0.0,
        }
        os.write(self._file, (json.dumps(record) + "\n").encode())


def _ticks() -> tuple[int, int]:
    """Time that the host gave to others, and all time, in ticks of all cores; zeros where the system does not say."""
    try:
        numbers = [int(word) for word in STAT.read_text().partition("\n")[0].split()[1:]]
    except (OSError, ValueError):
        return 0, 0
    return (numbers[STEAL] if len(numbers) > STEAL else 0), sum(numbers[: STEAL + 1])
