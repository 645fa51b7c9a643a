"""What each process of a run holds while it runs: resident memory, sockets, threads, once a second."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from chaos.guard import tagged
from loadtests.manifest import run_id

__all__ = ["SAMPLE_S", "Sample", "Samples", "slope_mb_per_h"]

SAMPLE_S = 1.0
#: what a process of a run is, by a word of its command line
ROLES = {
    "toxiproxy-server": "toxiproxy", "loadtests.backend": "backend", "locust": "load", "chaos.guard": "guard",
    "gauntlet": "conductor", "loadtests.cli": "conductor",
}  # fmt: skip
#: when, resident MB, sockets, threads
Sample = tuple[float, float, int, int]


class Samples:
    """By role and process."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], list[Sample]] = defaultdict(list)
        #: of the load, by our clock, in s
        self.start_s = 0.0

    def follow(self, conductor: Any, run: Path) -> None:
        """Until the run's conductor has ended."""
        reader = threading.Thread(target=conductor.communicate, daemon=True)  # a full pipe would stop it
        reader.start()
        while conductor.poll() is None:
            if not self.start_s and (run / "start.json").exists():
                self.start_s = time.monotonic()
            try:
                self._take(conductor.pid, run)
            except psutil.Error:
                break
            threading.Event().wait(SAMPLE_S)
        reader.join(60)

    def _take(self, conductor: int, run: Path) -> None:
        now_s = time.monotonic()
        children = [child.pid for child in psutil.Process(conductor).children()]
        for pid in {conductor, *children, *tagged(run_id(run))}:
            try:
                process = psutil.Process(pid)
                role = next((r for word, r in ROLES.items() if any(word in w for w in process.cmdline())), "other")
                row = (
                    now_s,
                    process.memory_info().rss / 1e6,
                    len(process.net_connections("tcp")),
                    process.num_threads(),
                )
            except psutil.Error:
                continue
            self.rows[role, pid].append(row)

    def between(self, first_s: float, last_s: float) -> dict[tuple[str, int], list[Sample]]:
        """Of the processes that were there all the time; seconds since the start."""
        bounds = self.start_s + first_s, self.start_s + last_s
        return {
            key: part for key, rows in self.rows.items() if rows[0][0] <= bounds[0] + SAMPLE_S and rows[-1][0] >= bounds[1] - SAMPLE_S
            and (part := [row for row in rows if bounds[0] <= row[0] <= bounds[1]])
        }  # fmt: skip


def slope_mb_per_h(rows: list[Sample]) -> float:
    """Of a line through the memory of one process."""
    return float(np.polyfit([at for at, *_ in rows], [mb for _, mb, *_ in rows], 1)[0]) * 3600
