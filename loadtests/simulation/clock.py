"""Virtual time: a heap of callbacks, those of one moment in the order in which they were asked for. Pure."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

__all__ = ["START_NS", "Clock"]

NS_PER_MS = 1_000_000
START_NS = 1_000_000_000_000  # a host that has been up for a while: no time in a history is 0
WALL_S = 1_700_000_000


class Clock:
    """Moves only when nothing is left to do at this moment."""

    __slots__ = ("_count", "_heap", "now_ns")

    def __init__(self) -> None:
        self.now_ns = START_NS
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, at_ns: int, call: Callable[[], None]) -> None:
        """Call at a time; now, but after what is due already, if that is past."""
        count = self._count = self._count + 1
        heappush(self._heap, (max(at_ns, self.now_ns), count, call))

    def soon(self, call: Callable[[], None]) -> None:
        """Call at this moment, once whoever asks has returned."""
        self.at(self.now_ns, call)

    def after_ms(self, delay_ms: float, call: Callable[[], None]) -> None:
        self.at(self.now_ns + int(delay_ms * NS_PER_MS), call)

    def run(self, until_ns: int) -> bool:
        """All callbacks due by then; false when none was left before that."""
        heap = self._heap
        while heap and heap[0][0] <= until_ns:
            self.now_ns, _, call = heappop(heap)
            call()
        if not heap:
            return False
        self.now_ns = max(self.now_ns, until_ns)
        return True

    def wall_s(self) -> float:
        """Seconds since the epoch, as a host's wall clock would tell them."""
        return WALL_S + (self.now_ns - START_NS) / 1e9
