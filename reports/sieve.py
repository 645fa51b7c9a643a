"""Findings as they come: where each stands among the fault windows, and whether one of them explains it. All are counted, and of
each kind the first are kept, those that a fault explains apart from the others, so that neither crowds out the other. Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from loadtests.contract.compile import Contract
from loadtests.findings import Finding
from loadtests.history import Window, attribute

__all__ = ["KEPT_FINDINGS", "Placed", "Sieve", "explains"]

NS_PER_MS = 1_000_000
KEPT_FINDINGS = 5_000  # of a kind; beyond these only counts grow
#: a sent message has arrived within this time, or never will
ON_ITS_WAY_NS = 1_000 * NS_PER_MS


class Placed(NamedTuple):
    """A finding and the fault window in which, or in whose grace, it happened; empty: clear of all."""

    finding: Finding
    fault: str


def explains(window: Window, place: str, kind: str) -> bool:
    """Does a fault on the session's own cohort explain this? Nothing that began after the heal is, but a broken connection:
    what a fault did to the network may show only when it is undone.
    """
    cuts = window.disconnects or window.may_disconnect
    if kind == "abnormal-close":
        return cuts and place in {"during", "grace"}
    if kind == "silent-cut":
        return cuts and place == "during"
    if kind == "cancel-ignored":  # in time is what it had to be, and any fault costs time
        return place == "during"
    return kind in {"silent", "never-ready", "unanswered"} and window.swallows and place == "during"


class Sieve:
    """Fed with every finding once. ``counts``, ``excuses`` and ``places`` (of what is not explained: cohort and window) are of
    all, by kind; ``placed`` and ``excused`` of those kept.
    """

    __slots__ = ("_grace_ns", "_handshake_ns", "_windows", "counts", "excused", "excuses", "placed", "places")

    def __init__(self, contract: Contract, windows: Iterable[Window]) -> None:
        self._windows = tuple(windows)
        self._grace_ns = contract.file.turn.recovery_ms * NS_PER_MS
        self._handshake_ns = contract.file.handshake.timeout_ms * NS_PER_MS
        self.placed: list[Placed] = []
        self.excused: list[Finding] = []
        self.counts: Counter[str] = Counter()
        self.excuses: Counter[str] = Counter()
        self.places: dict[str, set[tuple[str, str]]] = defaultdict(set)

    def add(self, finding: Finding, cohort: str, seen_ns: int, span: tuple[int, int] | None = None) -> None:
        """``seen_ns``: when its row came; ``span``: from when a deed could begin to when it was done, where that is more."""
        kind = finding.kind.name
        start_ns, end_ns = span or self._moment(kind, seen_ns)
        # Several may overlap, and any of them may explain it.
        places = ((one, attribute(start_ns, end_ns, cohort, (one,), self._grace_ns).place) for one in self._windows)
        if any(explains(window, place, kind) for window, place in places):
            self.excuses[kind] += 1
            if self.excuses[kind] <= KEPT_FINDINGS:
                self.excused.append(finding)
            return
        fault = attribute(start_ns, end_ns, cohort, self._windows, self._grace_ns).id
        self.counts[kind] += 1
        self.places[kind].add((cohort, fault))
        if self.counts[kind] <= KEPT_FINDINGS:
            self.placed.append(Placed(finding, fault))

    def _moment(self, kind: str, seen_ns: int) -> tuple[int, int]:
        if kind == "never-ready":
            return seen_ns - self._handshake_ns, seen_ns
        if kind == "silent":  # a fault that comes while the message is on its way may swallow it
            return seen_ns, seen_ns + ON_ITS_WAY_NS
        return seen_ns, seen_ns
