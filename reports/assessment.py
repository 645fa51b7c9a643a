"""A history, judged by all checkers in one pass: rows, windows and strings in, checks out. Pure, and without pandas, so that
a simulation judges thousands of runs by what judges a real one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from loadtests import retry
from loadtests.contract.compile import Contract
from loadtests.findings import BY_NAME
from loadtests.history import End, RowKind, Window
from loadtests.retry import Policy
from reports import policies
from reports.checkers import CHECKERS, MOST_WITNESSES, Case, Checker, Opinion, declares_client
from reports.evidence import Evidence
from reports.hypothesis import unexpected
from reports.judgement import Check, CheckVerdict, Witness
from reports.peers import View, dead_peers
from reports.placed import Phases, PlacedFindings
from reports.recovery import Recovery, recoveries
from reports.replay import Replayed, Rows, as_rows, replay_rows
from reports.steadiness import GOOD, Comparison, Steadiness

__all__ = ["Assessment", "Setting", "assess", "judge_history"]

#: a declared herd share of all says nothing
ALL = 1.0
OURS = Policy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is known of a run besides its rows."""

    windows: tuple[Window, ...] = ()
    phases: Phases = ()
    #: users that were meant; fewer may have come
    users: int = 0
    #: how our client was told to come back
    policy: Policy = OURS
    start_ns: int = 0
    #: what the harness has against itself, why its timing cannot be trusted, which faults had no effect; empty: nothing
    trouble: tuple[str, ...] = ()
    unfit: str = ""
    unproven: str = ""
    #: ids of those faults; where they are not told apart, all of the plan's
    unproven_windows: frozenset[str] = frozenset()
    #: judged by what the run was played by; another contract may see other ends of turns
    same_contract: bool = True
    #: the experiment expects no reconnect
    lasting: bool = False
    #: windows in which our own Toxiproxy hung and was started anew, and every connection through it with it
    restarted: frozenset[str] = frozenset()
    #: checkers that the run is held to exercising, as ``reports.evidence.compared`` says
    compares: frozenset[str] = frozenset()
    views: tuple[View, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """``quota``: that most of what was decided was throttled; empty: it was not."""

    checks: tuple[Check, ...]
    evidence: Evidence
    placed: PlacedFindings
    recovered: tuple[Recovery, ...]
    quota: str


def judge_history(
    contract: Contract, users: int, windows: Sequence[Window], rows: Rows | Sequence[tuple[int, ...]], strings: Sequence[str],
    policy: Policy = OURS, trouble: Sequence[str] = (), start_ns: int = 0,
) -> tuple[Check, ...]:  # fmt: skip
    """All checks of one history: ``rows`` as recorded by one process, or as many tuples; all faults took effect."""
    setting = Setting(windows=tuple(windows), users=users, policy=policy, trouble=tuple(trouble), start_ns=start_ns)
    read = as_rows(rows)
    return assess(contract, read, strings, setting, replay_rows(contract, read, strings, windows)).checks


def assess(contract: Contract, rows: Rows, strings: Sequence[str], setting: Setting, replayed: Replayed) -> Assessment:
    """Judge what was read in one pass over the rows."""
    windows = setting.windows
    placed = PlacedFindings(contract, rows, strings, windows, setting.phases, setting.start_ns, replayed)
    budget_ns = contract.file.turn.recovery_ms * 1_000_000
    outages = [outage for account in replayed.clients.values() for outage in account.outages]
    client = contract.file.client
    policy = retry.declared(client, setting.policy)
    recovered = tuple(recoveries(outages, windows, budget_ns, replayed.last_ns, policy))
    found_herds = policies.herds(recovered, policy)
    control, astray = _control(rows, placed, setting, replayed.steadiness)
    restored = _own(rows, placed, replayed.steadiness.restored(), replayed.steadiness.restored)
    views = _views(setting.views, replayed)
    peers = dead_peers(views, replayed.opened, replayed.closed, budget_ns)
    trouble = _trouble(setting, replayed)
    if setting.lasting:
        told = frozenset(one.finding.row for one in placed.by_checker["close"])
        sent_away, broken = unexpected((one for one in recovered if one.window not in setting.restarted), told)
        peers, trouble = [*peers, *sent_away], (*trouble, *broken)
    evidence = _evidence(contract, setting, replayed, recovered, found_herds, control, restored, views)
    case = Case(
        contract=contract, windows=windows, placed=placed, recovered=recovered, missteps=replayed.missteps, herds=found_herds,
        policy=policy, herd_share=ALL if client is None else client.herd_share, control=control, restored=restored,
        astray=astray, peers=peers, trouble=trouble, start_ns=setting.start_ns,
    )  # fmt: skip
    return Assessment(
        checks=_checks(case, evidence, setting),
        evidence=evidence,
        placed=placed,
        recovered=recovered,
        quota=_quota(evidence),
    )


def _control(
    rows: Rows, placed: PlacedFindings, setting: Setting, steadiness: Steadiness
) -> tuple[Comparison, str]:  # fmt: skip
    """The control group's comparison, and why what it shows blames nobody. Who suffers while there is only a fault that nobody has
    seen bite was perhaps hit by it; who suffers from one that did has a witness, whatever other faults did.
    """
    found = steadiness.control()
    weak: Collection[str] = ()
    if found.broken:
        weak = setting.unproven_windows or {window.id for window in setting.windows if setting.unproven}
    if weak:
        proven = steadiness.control(weak)
        if not proven.broken:
            return found, setting.unproven
        found = replace(proven, meant=found.meant)
    return _own(rows, placed, found, lambda aside: steadiness.control(weak, aside)), ""


def _own(
    rows: Rows, placed: PlacedFindings, found: Comparison, without: Callable[[Sequence[int]], Comparison]
) -> Comparison:  # fmt: skip
    """What is wrong with turns that all have findings of their own is counted there, and under no other id: then the others are
    compared, of which none is bad.
    """
    if not (found.broken or found.unknown) or not _have_findings(rows, placed, found.rows):
        return found
    others = without(found.rows)
    if others.unknown and not found.broken:
        return found
    return replace(others, meant=found.meant, aside=len(found.rows))


def _have_findings(rows: Rows, placed: PlacedFindings, bad: Sequence[int]) -> bool:
    """Whether each of these turns was not answered and has a finding that no fault explains, or was meant while such a turn of its
    session was under way. A finding on a turn that was answered is no reason why it was slow.
    """
    found = {(one.session, one.turn) for some in placed.by_checker.values() for one, _ in some if not one.kind.warning}
    if not found:
        return False
    spans: dict[int, list[tuple[int, int]]] = {}
    ends = rows[rows["kind"] == RowKind.END]
    columns = (ends[name].tolist() for name in ("session", "turn", "code", "intended", "received"))
    for session, turn, end, start_ns, end_ns in zip(*columns, strict=True):
        if end not in GOOD and (session, turn) in found:
            spans.setdefault(session, []).append((start_ns, end_ns))
    mine = rows[list(bad)]
    return all(
        any(start_ns <= intended_ns <= end_ns for start_ns, end_ns in spans.get(session, ()))
        for session, intended_ns in zip(mine["session"].tolist(), mine["intended"].tolist(), strict=True)
    )


def _trouble(setting: Setting, replayed: Replayed) -> tuple[str, ...]:
    """What the harness has against itself, and what the rows themselves say of their being whole."""
    found = list(setting.trouble)
    if replayed.unfinished:
        found.append(f"{replayed.unfinished} sessions have no end in the rows")
    if replayed.unheard and setting.same_contract:
        found.append(f"{replayed.unheard} turns ended by an event that the rows do not hold")
    return tuple(found)


def _views(views: Sequence[View], replayed: Replayed) -> list[View]:
    """Those that can be held against the history: where it is cut short, nothing is known of what came after."""
    whole = replayed.clients and not replayed.unfinished
    return [view for view in views if whole or view.at_ns <= replayed.last_ns]


def _quota(evidence: Evidence) -> str:
    if not evidence.mostly_throttled:
        return ""
    return f"you measured the quota: {evidence.throttled_turns} of {evidence.turns} turns were throttled"


def _evidence(
    contract: Contract, setting: Setting, replayed: Replayed, recovered: Sequence[Recovery], found_herds: Sequence[policies.Herd],
    control: Comparison, restored: Comparison, views: Sequence[View],
) -> Evidence:  # fmt: skip
    tally, ends = replayed.tally, replayed.ends
    attempts = sum(len(one.outage.delays_ns) >= policies.LONG for one in recovered)
    return Evidence(
        contract=contract, windows=setting.windows, users=setting.users or len(replayed.clients), events=tally.events,
        ordered_turns=replayed.ordered, pair_events=tally.pair_events, good_turns=ends[End.OK] + ends[End.DEGRADED],
        begun_turns=replayed.begun, turns=ends.total() - ends[End.CUT_BY_STOP] - ends[End.IN_DOUBT],
        connections=int(tally.kinds[RowKind.OPEN]), numbered=tally.numbered, keyed=tally.keyed,
        chunks=tally.chunks, numbered_chunks=tally.numbered_chunks,
        claims=tally.resumed if contract.resumes else 0, named=tally.named, sessions=len(tally.sessions),
        outages=len(recovered), decided_outages=sum(one.decided for one in recovered),
        throttled_turns=ends[End.THROTTLED], doubtful=replayed.doubtful,
        resent=int(tally.kinds[RowKind.RESEND]), control_meant=control.meant, control_turns=control.samples,
        after_meant=restored.meant, after_turns=restored.samples,
        reconnections=sum(account.reconnections for account in replayed.clients.values()),
        long_outages=attempts if attempts >= policies.LEAST_OUTAGES else 0, herded=sum(len(one.came_ms) for one in found_herds),
        server_views=len(views), lasting=setting.lasting, compares=setting.compares,
    )  # fmt: skip


def _checks(case: Case, evidence: Evidence, setting: Setting) -> tuple[Check, ...]:
    """In the table's order; ``self`` comes last, because what our own client did wrong may be its finding too (law 3)."""
    *others, last = CHECKERS
    checks = [_check(one, case, evidence, setting, one.looks(case) if one.looks else None) for one in others]
    control = next(check for check in checks if check.id == "control")
    if control.verdict == "invalid":
        needs = {one.id for one in others if one.needs_effect}
        checks = [_void(one) if one.id in needs and one.verdict == "valid" else one for one in checks]
    ours = () if declares_client(evidence) else tuple(
        f"our own client: {one.id}: {one.reason}" for one in checks if one.subject == "client" and one.violations
    )  # fmt: skip
    trouble = (*case.trouble, *ours)
    opinion = Opinion(violations=len(trouble), reason="; ".join(trouble))
    return (*checks, _check(last, case, evidence, setting, opinion))


def _void(check: Check) -> Check:
    reason = "users that no fault touches suffer too: nothing can be blamed on a fault, or cleared of it"
    return replace(check, verdict="unknown", reason=reason)


def _check(checker: Checker, case: Case, evidence: Evidence, setting: Setting, own: Opinion | None) -> Check:
    placed = case.placed
    found = placed.by_checker.get(checker.id, [])
    counted = [one for one in found if not one.finding.kind.warning]
    kinds = Counter(placed.kinds[checker.id])
    serious = {kind: count for kind, count in kinds.items() if not BY_NAME[kind].warning}
    witnesses: list[Witness] = []
    shown: Counter[str] = Counter()
    for finding, fault in found:
        shown[finding.kind.name] += 1
        if shown[finding.kind.name] <= MOST_WITNESSES:
            witnesses.append(placed.witness(finding, fault))
    reason = "; ".join(dict.fromkeys(one.finding.kind.text for one in counted))
    scope = placed.scope(counted, serious)
    violations = sum(serious.values())
    warnings = kinds.total() - violations
    if own is not None:
        violations += own.violations
        kinds.update(own.kinds)
        witnesses += own.witnesses
        scope = scope or own.scope
    samples, required = checker.samples(evidence), checker.required(evidence)
    verdict, why = _verdict(checker, samples, violations, setting, own, required=required)
    excused = placed.excused[checker.id]
    aside = own.reason if own is not None else ""
    fine = f"{excused} explained by a fault on the session's own cohort" if excused else ""
    return Check(
        id=checker.id, subject=checker.subject, verdict=verdict, required=required, samples=samples, violations=violations,
        kinds=dict(kinds), warnings=warnings, reason=why or reason or aside or fine, witnesses=tuple(witnesses), scope=scope,
    )  # fmt: skip


def _verdict(
    checker: Checker, samples: int, violations: int, setting: Setting, own: Opinion | None, *, required: bool
) -> tuple[CheckVerdict, str]:
    """Laws 1 and 4: a witness stays, whatever could not be shown; nothing else is valid without something to rest on."""
    if violations and checker.timing and setting.unfit:  # times that we ourselves made long bear no witness
        return "unknown", f"the generator was the bottleneck: {setting.unfit}"
    if own is not None and own.astray:  # a fault may have hit whom it was not meant to
        return "unknown", own.astray
    if violations:
        return "invalid", ""
    if not samples:
        return "unknown" if required else "not-exercised", f"no {checker.rests_on}"
    unknown = own.unknown if own is not None else ""
    if checker.timing and setting.unfit:
        unknown = f"the generator was the bottleneck: {setting.unfit}"
    elif checker.needs_effect and required and setting.unproven:
        unknown = setting.unproven
    if unknown:
        return ("unknown" if required else "not-exercised"), unknown
    return "valid", ""
