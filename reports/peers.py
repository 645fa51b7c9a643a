"""The backend's own count of sessions against the connections that its clients had: dead ones kept, live ones dropped. Pure.

Only a view from the server's side shows this; the journal's records of type ``peers`` are one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

__all__ = ["STEP_NS", "Moments", "PeerFinding", "View", "dead_peers", "views_of"]

#: between a connection's upgrade or close and the count that knows of it
SLACK_NS = 1_000_000_000
#: moments within one step are told apart from no other; far less than any slack
STEP_NS = 50_000_000


class Moments:
    """When something happened, however often: as many counts as a run has steps, and not as it has connections."""

    __slots__ = ("_counts",)

    def __init__(self, at_ns: Iterable[int] = ()) -> None:
        self._counts: Counter[int] = Counter()
        for one in at_ns:
            self.add(one)

    def __len__(self) -> int:
        """How much memory it takes."""
        return len(self._counts)

    def add(self, at_ns: int) -> None:
        self._counts[at_ns // STEP_NS] += 1

    def sums(self) -> _Sums:
        steps = sorted(self._counts)
        return _Sums(steps, [0, *accumulate(self._counts[step] for step in steps)])


class _Sums:
    """How many up to a time: ``surely``, without those of its own step; ``maybe``, with them."""

    __slots__ = ("_steps", "_until")

    def __init__(self, steps: list[int], until: list[int]) -> None:
        self._steps, self._until = steps, until

    def surely(self, at_ns: int) -> int:
        return self._until[bisect_left(self._steps, at_ns // STEP_NS)]

    def maybe(self, at_ns: int) -> int:
        return self._until[bisect_left(self._steps, at_ns // STEP_NS + 1)]


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
    #: its witness; -1: it is seen from the backend's side alone
    row: int = -1


def views_of(journal: Iterable[Mapping[str, Any]]) -> list[View]:
    """Records ``{"type": "peers", "at_ns": …, "sessions": …}``; what is no number is no view."""
    return [
        View(record["at_ns"], record["sessions"])
        for record in journal
        if record.get("type") == "peers"
        and isinstance(record.get("at_ns"), int)
        and isinstance(record.get("sessions"), int)
    ]


def dead_peers(views: Iterable[View], opened: Moments, closed: Moments, release_ns: int) -> list[PeerFinding]:
    """A session may be held for ``release_ns`` after its connection is gone, and must be held while it is there."""
    came, went = opened.sums(), closed.sums()
    found = []
    for view in views:
        most = came.maybe(view.at_ns) - went.surely(view.at_ns - release_ns)
        least = came.surely(view.at_ns - SLACK_NS) - went.maybe(view.at_ns + SLACK_NS)
        if view.sessions > most:
            text = f"the backend holds {view.sessions} sessions, and {most} clients are or lately were connected"
            found.append(PeerFinding("kept-dead", view.at_ns, text))
        elif view.sessions < least:
            text = f"the backend holds {view.sessions} sessions, and {least} clients are connected"
            found.append(PeerFinding("dropped-live", view.at_ns, text))
    return found
