"""What one session's client did, as its rows tell: connections, outages, attempts to come back, and what its turns spanned.

Pure and of bounded size: an outage keeps its first attempts, a session its last turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from loadtests.contract.compile import Contract
from loadtests.history import Flag
from loadtests.retry import REFUSALS

__all__ = [
    "KEPT_MISSTEPS",
    "KEPT_OUTAGES",
    "KEPT_TRIES",
    "OVERLAP_NS",
    "ClientAccount",
    "Misstep",
    "MisstepLog",
    "Outage",
]

NS_PER_MS = 1_000_000
KEPT_ATTEMPTS = 24
#: of an outage; whoever tries more often never waits for long
KEPT_TRIES = 256
KEPT_TURNS = 24
#: of a session; beyond them those are kept that lasted longer than anybody may take to come back
KEPT_OUTAGES = 1_000
#: of a kind; beyond these only counts grow
KEPT_MISSTEPS = 5_000
#: a new socket and the old one side by side for longer than this are two live ones
OVERLAP_NS = 250 * NS_PER_MS
#: an attempt this near to a planned message was made for its sake, and not by the retry policy
PROMPT_NS = 25 * NS_PER_MS
OURS, NEVER_READY, WAS_READY = int(Flag.OURS), int(Flag.NEVER_READY), int(Flag.RESUMED)


class Misstep(NamedTuple):
    """Something that a client must not do; ``row`` is the witness."""

    kind: str
    session: int
    row: int
    at_ns: int


@dataclass(slots=True)
class MisstepLog:
    """All are counted, by kind, and the first of each kind kept."""

    kept: list[Misstep] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, one: Misstep) -> None:
        self.counts[one.kind] += 1
        if self.counts[one.kind] <= KEPT_MISSTEPS:
            self.kept.append(one)


@dataclass(slots=True)
class Outage:
    """From the loss of a connection that was served to the next one that is; ``ready_ns`` None: there was none."""

    session: int
    cohort: str
    #: how many outages the session had before
    before: int
    close_ns: int
    close_row: int
    code: int
    ready_ns: int | None = None
    #: the session's or the history's end, if it never was served again
    end_ns: int = 0
    attempts: int = 0
    dropped: int = 0
    #: the backend closed with a code after which nobody may come back: that is its close to answer for, and nobody is late
    dismissed: bool = False
    #: of the first attempts: when each began, and how long after the failure before it
    dials_ns: list[int] = field(default_factory=list)
    delays_ns: list[int] = field(default_factory=list)
    #: attempts that a planned message called for
    prompted: set[int] = field(default_factory=set)
    #: of the first attempts: when each began, and when it failed; 0: it was served, or not over
    tries_ns: list[tuple[int, int]] = field(default_factory=list)

    def tried(self, at_ns: int) -> None:
        """An attempt begins."""
        self.attempts += 1
        if len(self.tries_ns) < KEPT_TRIES:
            self.tries_ns.append((at_ns, 0))

    def failed(self, at_ns: int) -> None:
        """The last attempt is over, and nobody was served."""
        if self.tries_ns and len(self.tries_ns) == self.attempts:
            self.tries_ns[-1] = (self.tries_ns[-1][0], at_ns)

    def prompt(self, intended_ns: int) -> None:
        for i, dial_ns in enumerate(self.dials_ns):
            if abs(dial_ns - intended_ns) < PROMPT_NS:
                self.prompted.add(i)

    def delay_ms(self, attempt: int) -> float | None:
        """How long the policy let the client wait before an attempt, from 0; None: unknown, or called for."""
        if attempt >= len(self.delays_ns) or attempt in self.prompted:
            return None
        return self.delays_ns[attempt] / NS_PER_MS


class _Span:
    """A turn from its intended send to its end (0: not over); ``cut_ns``: the first close in between."""

    __slots__ = ("cut_ns", "end_ns", "intended_ns")

    def __init__(self, intended_ns: int) -> None:
        self.intended_ns = intended_ns
        self.end_ns = self.cut_ns = 0


class ClientAccount:
    """State of one session's client over all its connections. ``misstep`` is called with what it must not do."""

    __slots__ = (
        "_before", "_budget_ns", "_failed_ns", "_fatal_codes", "_live", "_misstep", "_recent", "_refused", "_served", "_twice_row",
        "_twice_since_ns", "cohort", "number", "outage", "outages", "reconnections", "turns",
    )  # fmt: skip

    def __init__(
        self, contract: Contract, number: int, cohort: str, misstep: Callable[[Misstep], None], fatal: Iterable[int] = ()
    ) -> None:  # fmt: skip
        """``fatal``: codes after which the client's own policy does not come back."""
        self.number = number
        self.cohort = cohort
        self._fatal_codes = frozenset((*contract.file.closes.fatal, *fatal))
        self._budget_ns = contract.file.turn.recovery_ms * NS_PER_MS
        self._before = 0
        self._misstep = misstep
        self._failed_ns = 0
        self._live = self._twice_row = self._twice_since_ns = 0
        self._refused = self._served = False
        self.outages: list[Outage] = []
        self.outage: Outage | None = None
        self._recent: Outage | None = None
        self.reconnections = 0
        self.turns: dict[int, _Span] = {}

    # Connections

    def dial(self, row: int, at_ns: int) -> None:
        if self._refused:
            self._misstep(Misstep("after-fatal", self.number, row, at_ns))
        if (outage := self.outage) is None:
            return
        outage.tried(at_ns)
        if len(outage.dials_ns) < KEPT_ATTEMPTS:
            outage.dials_ns.append(at_ns)
            outage.delays_ns.append(at_ns - self._failed_ns)

    def failed(self, at_ns: int, status: int) -> None:
        self._failed_ns = at_ns
        if self.outage is not None:
            self.outage.failed(at_ns)
        self._refused = self._refused or status in REFUSALS or status in self._fatal_codes

    def opened(self, row: int, at_ns: int) -> None:
        self.reconnections += self._served
        self._live += 1
        if self._live == 2:
            self._twice_row, self._twice_since_ns = row, at_ns

    def ready(self, at_ns: int) -> None:
        self._served = True
        if (outage := self.outage) is not None:
            outage.ready_ns = at_ns
            self.outage = None
            if len(self.outages) > KEPT_OUTAGES and at_ns - outage.close_ns <= self._budget_ns:
                self.outages.pop()

    def closed(self, row: int, at_ns: int, code: int, flags: int) -> None:
        if self._live > 1:
            self._settle_sockets(at_ns)
        self._live = max(0, self._live - 1)
        self._failed_ns = at_ns
        if self.outage is not None:
            self.outage.failed(at_ns)
        for span in self.turns.values():
            if not span.end_ns and not span.cut_ns:
                span.cut_ns = at_ns
        if flags & OURS:
            return
        if flags & WAS_READY:
            if self.outage is not None:  # two sockets were lost, one after the other
                self.outage.end_ns = at_ns
            self.outage = self._recent = Outage(self.number, self.cohort, self._before, at_ns, row, code)
            self.outages.append(self.outage)
            self._before += 1
        if code in self._fatal_codes:
            self._refused = True
            if self.outage is not None:
                self.outage.dismissed = True

    def _settle_sockets(self, at_ns: int) -> None:
        if at_ns - self._twice_since_ns > OVERLAP_NS:
            self._misstep(Misstep("two-sockets", self.number, self._twice_row, self._twice_since_ns))
        self._twice_since_ns = at_ns

    def finish(self, at_ns: int) -> None:
        """The session, or its history, is over."""
        if self._live > 1:
            self._settle_sockets(at_ns)
        if self.outage is not None:
            self.outage.end_ns = at_ns
            self.outage = None

    # Turns

    def sent(self, turn: int, intended_ns: int) -> None:
        self.turns[turn] = _Span(intended_ns)
        if len(self.turns) > KEPT_TURNS:
            del self.turns[next(iter(self.turns))]
        if self._recent is not None:
            self._recent.prompt(intended_ns)
            self._recent = self.outage  # what is sent after it was called for nothing in it

    def dropped(self, intended_ns: int) -> None:
        if self._recent is not None:
            self._recent.prompt(intended_ns)
        if self.outage is not None:
            self.outage.dropped += 1

    def ended(self, turn: int, at_ns: int) -> None:
        if span := self.turns.get(turn):
            span.end_ns = at_ns

    def span(self, turn: int, now_ns: int) -> tuple[int, int]:
        """A turn from its intended send to its end, or to now; of an old one only now is known."""
        span = self.turns.get(turn)
        return (span.intended_ns, span.end_ns or now_ns) if span else (now_ns, now_ns)

    def until_cut(self, turn: int, now_ns: int) -> int:
        """When a turn's connection first broke."""
        span = self.turns.get(turn)
        return span.cut_ns if span and span.cut_ns else now_ns
