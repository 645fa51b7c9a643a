"""The backend's own count of sessions against the connections that its clients had: dead ones kept, live ones dropped. Pure.

Only a view from the server's side shows this; the journal's records of type ``peers`` are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["PeerFinding", "View", "dead_peers", "views_of"]

#: between a connection's upgrade or close and the count that knows of it
SLACK_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class View:
    """How many sessions the backend holds, at a time of the run's clock."""

    at_ns: int
    sessions: int


@dataclass(frozen=True, slots=True)
class PeerFinding:
    kind: str
    at_ns: int
    text: str


def views_of(journal: Iterable[Mapping[str, Any]]) -> list[View]:
    """Records ``{"type": "peers", "at_ns": …, "sessions": …}``; what is no number is no view."""
    return [
        View(record["at_ns"], record["sessions"])
        for record in journal
        if record.get("type") == "peers"
        and isinstance(record.get("at_ns"), int)
        and isinstance(record.get("sessions"), int)
    ]


def dead_peers(
    views: Iterable[View], opened_ns: Sequence[int], closed_ns: Sequence[int], release_ns: int
) -> list[PeerFinding]:
    """A session may be held for ``release_ns`` after its connection is gone, and must be held while it is there."""
    opened, closed = np.sort(np.asarray(opened_ns, np.int64)), np.sort(np.asarray(closed_ns, np.int64))

    def before(times: np.ndarray[Any, np.dtype[np.int64]], at_ns: int) -> int:
        return int(np.searchsorted(times, at_ns, side="right"))

    found = []
    for view in views:
        most = before(opened, view.at_ns) - before(closed, view.at_ns - release_ns)
        least = before(opened, view.at_ns - SLACK_NS) - before(closed, view.at_ns + SLACK_NS)
        if view.sessions > most:
            text = f"the backend holds {view.sessions} sessions, and {most} clients are or lately were connected"
            found.append(PeerFinding("kept-dead", view.at_ns, text))
        elif view.sessions < least:
            text = f"the backend holds {view.sessions} sessions, and {least} clients are connected"
            found.append(PeerFinding("dropped-live", view.at_ns, text))
    return found
