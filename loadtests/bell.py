"""Wakes one greenlet: what ``gevent.event.Event`` does for many, at half the cost, since a turn begins and ends with it.

Ring from the hub or from any greenlet of its thread; one greenlet at a time may wait.
"""

from __future__ import annotations

from typing import Any

import gevent

__all__ = ["Bell"]


class Bell:
    """``rung`` stays set until it is cleared, so a ring before the wait is not lost."""

    __slots__ = ("_hub", "_loop", "_waiter", "rung")

    def __init__(self) -> None:
        self._hub: Any = None
        self._loop: Any = None
        self._waiter: Any = None
        self.rung = False

    def clear(self) -> None:
        self.rung = False

    def ring(self) -> None:
        if not self.rung:
            self.rung = True
            if self._waiter is not None:
                self._loop.run_callback(self._deliver)

    def _deliver(self) -> None:
        waiter = self._waiter
        # Between the ring and now the greenlet may have been killed, or have left and come to wait anew.
        if waiter is not None and self.rung:
            waiter.switch()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until it rings; false if it did not within ``timeout_s`` seconds."""
        if self.rung:
            return True
        if self._hub is None:  # not at construction: a process that forks gets its hub later
            self._hub = gevent.get_hub()
            self._loop = self._hub.loop
        waiter = self._waiter = gevent.getcurrent()
        timer = None
        if timeout_s is not None:
            timer = self._loop.timer(max(0.0, timeout_s))
            timer.start(self._expire, waiter)
        try:
            self._hub.switch()
        finally:
            self._waiter = None
            if timer is not None:
                timer.stop()
                timer.close()
        return self.rung

    def _expire(self, waiter: Any) -> None:
        if self._waiter is waiter:
            waiter.switch()
