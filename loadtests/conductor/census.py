"""The backend's own count of its sessions, asked for once a second, so that it can be held against its clients' connections."""

from __future__ import annotations

import threading
from typing import Any

from loadtests.conductor.questions import ask
from loadtests.journal import Journal

__all__ = ["Census", "counted"]

EVERY_S = 1.0
HEALTH_PATH = "/ws/health"


class Census:
    """Of the embedded backend: ``url`` is its WebSocket's. An answer that does not come is no count, and no trouble either."""

    def __init__(self, url: str, journal: Journal) -> None:
        self._url = url
        self._journal = journal
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="census", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No record is written any more. Idempotent."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            if (one := counted(ask(self._url, HEALTH_PATH))) is not None:
                at_ns, sessions = one
                self._journal.append("peers", at_ns=at_ns, sessions=sessions)


def counted(said: Any) -> tuple[int, int] | None:
    """(time of the count, sessions without our own canaries), by the backend's own words; None: it does not say."""
    match said:
        case {"monotonic_ns": int(at_ns), "connections": int(connections), "observers": int(observers)}:
            return at_ns, connections - observers
    return None
