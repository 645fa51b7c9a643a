"""Is the generator itself fit? Loop lag, CPU and memory of a worker, once a second, as one JSON line."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import gevent
import psutil

__all__ = ["Health"]

PROBE_S = 0.02
REPORT_S = 1.0


class Health:
    """Appends to ``health.jsonl``; several processes may share the file, since a line is one small append."""

    def __init__(self, path: Path, worker: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._worker = worker
        self._process = psutil.Process()
        self._process.cpu_percent()

    def run(self) -> None:
        """A greenlet's body: measures until killed. Lag is how much later than asked the loop wakes us."""
        lags_ms: list[float] = []
        since = time.monotonic()
        while True:
            before = time.monotonic()
            gevent.sleep(PROBE_S)
            now = time.monotonic()
            lags_ms.append(max(0.0, (now - before - PROBE_S) * 1000))
            if now - since >= REPORT_S:
                self._report(sorted(lags_ms))
                lags_ms, since = [], now

    def _report(self, lags_ms: list[float]) -> None:
        record = {
            "at_ns": time.monotonic_ns(),
            "worker": self._worker,
            "loop_lag_p99_ms": round(lags_ms[int(0.99 * (len(lags_ms) - 1))], 3),
            "loop_lag_max_ms": round(lags_ms[-1], 3),
            "cpu": round(self._process.cpu_percent() / 100, 3),
            "rss_mb": round(self._process.memory_info().rss / 1e6, 1),
            "descriptors": self._process.num_fds(),
        }
        os.write(self._file, (json.dumps(record) + "\n").encode())
