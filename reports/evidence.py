"""What a history holds, in numbers: what a checker's verdict rests on. Pure over rows; knows no finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtests.contract.compile import Contract
from loadtests.history import Flag, RowKind, Window

__all__ = ["Evidence", "Tally", "compared"]

BACKEND = "backend"


def compared(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Checkers that a run is held to exercising, however few turns its plan gives them. An experiment claims that a sound system
    is restored after its faults, and, unless they are on the backend itself, that nobody else notices; another run with
    faults is held to it only where its plan has turns enough.
    """
    if not manifest.get("experiment"):
        return frozenset()
    return frozenset({"restored"} if manifest.get("scope") == BACKEND else {"restored", "control"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the history holds, in numbers, and what was planned."""

    contract: Contract
    windows: tuple[Window, ...]
    users: int
    events: int
    ordered_turns: int
    pair_events: int
    good_turns: int
    begun_turns: int
    turns: int
    connections: int
    numbered: int
    keyed: int
    #: chunks of declared streams, and those of them that say their number
    chunks: int
    numbered_chunks: int
    claims: int
    named: int
    sessions: int
    outages: int
    #: of them, those that show whether the backend serves who comes back
    decided_outages: int
    #: of ``turns``, those that the backend answered with its quota
    throttled_turns: int
    #: messages that a cut may have swallowed, their session served again; and those that were sent again
    doubtful: int
    resent: int
    #: the control cohort's turns during others' faults: meant, and judged
    control_meant: int
    control_turns: int
    #: the treated cohorts' turns when the last fault and its grace were over
    after_meant: int
    after_turns: int
    #: second and later connections of a session
    reconnections: int
    #: outages of so many attempts that a policy can be seen in them
    long_outages: int
    #: sessions that were cut together and backed off before the backend could be reached again
    herded: int
    #: looks at the backend's own count of sessions
    server_views: int
    #: the experiment expects connections to outlive its faults
    lasting: bool
    #: checkers that this run is held to exercising, however few turns there are
    compares: frozenset[str] = frozenset()

    @property
    def cuts(self) -> bool:
        return any(window.disconnects for window in self.windows)

    @property
    def mostly_throttled(self) -> bool:
        """More than half of what was decided says only how large the quota is."""
        return 2 * self.throttled_turns > self.turns


class Tally:
    """Counts that need no state, block by block."""

    __slots__ = (
        "_numbered", "_pairs", "_streams", "chunks", "events", "keyed", "kinds", "named", "numbered", "numbered_chunks", "pair_events",
        "resumed", "sessions",
    )  # fmt: skip

    def __init__(self, contract: Contract) -> None:
        self._pairs = np.isin(contract.roles, ["tool-open", "tool-close"])
        streams = [contract.stream_of.get(place) for place in range(len(contract.roles))]
        self._streams = np.array([one is not None for one in streams])
        self._numbered = np.array([one is not None and one.numbered for one in streams])
        self.kinds = np.zeros(max(RowKind) + 1, np.int64)
        self.events = self.numbered = self.keyed = self.named = self.pair_events = self.resumed = 0
        self.chunks = self.numbered_chunks = 0
        #: sessions that got an event
        self.sessions: set[int] = set()

    def add(self, rows: np.ndarray[Any, Any]) -> None:
        kinds, flags = rows["kind"], rows["flags"]
        self.resumed += int(np.count_nonzero((kinds == RowKind.CLAIM) & (flags & Flag.RESUMED > 0)))
        self.kinds += np.bincount(kinds, minlength=len(self.kinds))[: len(self.kinds)]
        mine = np.flatnonzero(kinds == RowKind.EVENT)
        self.events += len(mine)
        self.numbered += int(np.count_nonzero(rows["cursor"][mine] >= 0))
        self.keyed += int(np.count_nonzero(rows["key"][mine]))
        self.named += int(np.count_nonzero((rows["turn"][mine] > 0) & (flags[mine] & Flag.ASSUMED_TURN == 0)))
        events = np.minimum(rows["event"][mine], len(self._pairs) - 1)
        self.pair_events += int(np.count_nonzero(self._pairs[events]))
        if self._streams.any():
            self.chunks += int(np.count_nonzero(self._streams[events]))
            self.numbered_chunks += int(np.count_nonzero(self._numbered[events] & (rows["code"][mine] > 0)))
        self.sessions.update(np.unique(rows["session"][mine]).tolist())
