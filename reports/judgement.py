"""What a judge says of one run: records only, no computing. ``verdict.json`` and every page are made from this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Books",
    "Cause",
    "Check",
    "CheckVerdict",
    "Curve",
    "EventLine",
    "ExperimentResult",
    "FaultResult",
    "GateResult",
    "GateVerdict",
    "GeneratorHealth",
    "Judgement",
    "Moved",
    "Verdict",
    "Witness",
]

Verdict = Literal["go", "no-go", "cannot-say"]
CheckVerdict = Literal["valid", "invalid", "unknown", "not-exercised"]
GateVerdict = Literal["pass", "fail", "unknown", "not-checked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """One finding that a person can look up: ``gauntlet show RUN session.turn``. ``row`` indexes events.parquet."""

    kind: str
    session: str
    turn: str
    row: int
    text: str
    at_s: float
    phase: str
    #: the fault window that this stands in, or in whose grace; empty: clear of all
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    id: str
    subject: Literal["backend", "client", "harness"]
    verdict: CheckVerdict
    required: bool
    #: what the verdict rests on: events, turns, connections or claims that were looked at
    samples: int
    violations: int
    #: violations by finding kind
    kinds: dict[str, int]
    warnings: int
    reason: str
    #: at most 5 a finding kind
    witnesses: tuple[Witness, ...]
    #: how far it reaches: turns, users, cohorts, faults, in words
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """``observed`` is the percentile in ms, or the share; ``interval`` is that of the share of bad samples."""

    metric: str
    rule: str
    unit: Literal["ms", "per_s", "share", "count"]
    observed: float | None
    samples: int
    bad: int
    interval: tuple[float, float] | None
    verdict: GateVerdict
    severity: Literal["fail", "warn"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How long users took for something, with those who never did. ``steps``: (seconds, share of the users without it from then
    on); a percentile of None was not reached in the ``seen_s`` seconds that were looked at.
    """

    users: int
    missing: int
    p50_s: float | None
    p95_s: float | None
    steps: tuple[tuple[float, float], ...]
    seen_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentResult:
    """What an experiment supposed, and whether it held. ``why``: what speaks against it, or why nothing can be said."""

    name: str
    form: str
    hypothesis: str
    state: Literal["held", "not-held", "unknown"]
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Resumes between nodes that have names: on another one than before, of all; and how many nodes were seen at all."""

    elsewhere: int
    of: int
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultResult:
    """One fault window, with proof that it bit and how its users recovered. Seconds since the run's start."""

    id: str
    kind: str
    cohort: str
    phase: str
    start_s: float
    end_s: float | None
    asked: dict[str, Any]
    measured: dict[str, Any]
    effect: Literal["confirmed", "absent", "not-probed"]
    by: str
    #: sessions in the cohort, and those whose connection broke in this window
    sessions: int
    disconnected: int
    reconnects_peak_per_s: int
    #: seconds from the later of heal and close to ready again, over the disconnected; None: nobody was cut
    recovery_s: float | None
    recovery_max_s: float | None
    unrecovered: int
    #: turns that overlap the window, and how many of them failed or were lost
    turns: int
    turns_lost: int
    #: 95th percentile of a turn in the window over that of the same cohort before it
    slowdown: float | None
    #: who acts: listener, handshake, client, backend, command; empty: nobody said
    place: str = ""
    #: from the later of first loss and heal until a user was served again, until the turn that was under way went on, and until a
    #: new one began; None: nobody was cut
    back: Curve | None = None
    went_on: Curve | None = None
    began: Curve | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """planned = sent + dropped; sent = ok + failed + censored. ``planned`` is counted from the scenario, not from rows.

    ``ok``: ended well, degraded or refused; ``censored``: neither good nor bad, which is cut, in doubt, throttled, cancelled
    and rejected.
    """

    planned: int
    dropped: int
    sent: int
    ok: int
    failed: int
    censored: int
    balanced: bool
    dropped_why: dict[str, int]
    #: sent turns by outcome, as in ``Judgement.turns``
    outcomes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorHealth:
    fit: bool
    loop_lag_p99_ms: float | None
    cpu_p95: float | None
    rows_lost: int
    reasons: tuple[str, ...]
    #: 99th percentile of how late turns were sent whose user was free and connected; None: there was none
    send_late_p99_ms: float | None = None
    #: longest pause of the garbage collector, and 95th percentile of the share of time that the host gave to others
    gc_max_ms: float | None = None
    steal_p95: float | None = None
    #: of round trips to an echo, before the load; 99th percentile
    floor_p99_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """One of the contract's demanded events over all turns; latencies since the intended send, milliseconds. ``judged_ms`` is what
    the gate saw that ``budget_ms`` comes from: the same percentile over the turns that it selects, ``judged`` in its own words.
    """

    name: str
    role: str
    seen: int
    missing: int
    misplaced: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    budget_ms: float | None
    #: percentile that the budget speaks of, 95 or so
    budget_percent: float | None
    verdict: GateVerdict | Literal["broken", "seen"]
    judged_ms: float | None = None
    judged: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One reason, with what follows from it beneath. Findings of the same turns, or of the same session in the same fault
    window, are one cause: the first of them in ``reports.causes``' order, and the others its consequences.
    """

    title: str
    detail: str
    #: one sentence each, the weightiest first
    consequences: tuple[str, ...] = ()
    #: witnesses' anchors
    witnesses: tuple[Witness, ...] = ()
    #: the checker or the gate's metric that it is about, and the kind of finding; empty where there is none
    id: str = ""
    kind: str = ""
    #: how many turns it touched (at least, where there are more findings than are kept), and the fault window in which, or in
    #: whose grace, all of it stands
    turns: int = 0
    window: str = ""
    #: what ``consequences`` says, for programs: (checker id, kind of finding, how many)
    counted: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """``turns``: one row a turn: session, turn, cohort, intended_s, sent_s, end_s, outcome (ok, degraded, refused, throttled,
    failed, timeout, cut, in-doubt, abandoned, cancelled, rejected), phase, place (before, during, grace, after), fault,
    total_ms, service_ms, and ``event:NAME`` in ms since the intended send (NaN: not seen). ``connections``: one row a
    connection: session, connection, cohort, dial_s, ready_s, close_s, code, ours, ready_ms. Seconds count from the run's start.
    """

    verdict: Verdict
    sentence: str
    causes: tuple[Cause, ...]
    checks: tuple[Check, ...]
    gates: tuple[GateResult, ...]
    faults: tuple[FaultResult, ...]
    books: Books
    generator: GeneratorHealth
    events: tuple[EventLine, ...]
    not_checked: tuple[str, ...]
    #: name, start_s, end_s
    phases: tuple[tuple[str, float, float], ...]
    cleanup: str
    run: str
    manifest: dict[str, Any]
    turns: pd.DataFrame = field(repr=False)
    connections: pd.DataFrame = field(repr=False)
    health: pd.DataFrame = field(repr=False)
    #: ``reports.analytics.Analytics``, the value chain; None: not made
    analytics: Any = field(default=None, repr=False)
    #: None: the run was no experiment
    experiment: ExperimentResult | None = None
    #: None: no welcome named a node
    moved: Moved | None = None

    def check(self, id_: str) -> Check:
        """The checker of this id."""
        return next(check for check in self.checks if check.id == id_)
