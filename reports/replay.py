"""Rows again through the trackers that users ran live: one code, the same findings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from loadtests.findings import Finding
from loadtests.history import Flag, RowKind
from loadtests.rundir import RunData
from loadtests.tracker import SessionTracker
from loadtests.turn import Rules

__all__ = ["Replayed", "replay"]

KEPT_FINDINGS = 100_000  # beyond these only counts grow, so that memory stays bounded


@dataclass(slots=True)
class Replayed:
    """``counts``: findings by kind name and worker; ``unfinished``: sessions whose end is not in the history."""

    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    unfinished: int = 0


def replay(data: RunData) -> Replayed:
    """One pass over all rows."""
    contract = data.contract
    numbers = {text: i for i, text in enumerate(data.strings)}
    roots = frozenset(numbers[name] for name in contract.file.agents.root if name in numbers)
    rules = Rules(contract, roots)
    result = Replayed()
    bounds = [*data.first_row, len(data.rows)]
    for worker, first, last in zip(data.workers, bounds, bounds[1:], strict=False):
        _replay_worker(data, rules, worker, first, last, result)
    return result


def _replay_worker(data: RunData, rules: Rules, worker: str, first: int, last: int, result: Replayed) -> None:
    counts = result.counts.setdefault(worker, Counter())
    findings = result.findings

    def emit(finding: Finding) -> None:
        counts[finding.kind.name] += 1
        if len(findings) < KEPT_FINDINGS:
            findings.append(finding)

    sessions: dict[int, SessionTracker] = {}
    asked: dict[int, int] = {}
    stopped: set[int] = set()
    event, send = int(RowKind.EVENT), int(RowKind.SEND)
    for offset, row in enumerate(data.rows[first:last].tolist()):
        (
            kind, _, flags, index, schema, session, connection, turn, _, agent, tool, execution, foreign, code, _, _, _, _, _,
            at_ns, cursor, key,
        ) = row  # fmt: skip
        tracker = sessions.get(session)
        if tracker is None:
            tracker = sessions[session] = SessionTracker(rules, session, emit)
        number = first + offset
        if kind == event:
            tracker.event(number, at_ns, index, flags, schema, turn, foreign, agent, tool, execution, cursor, key)
        elif kind == send:
            tracker.sent(number, turn)
        elif kind == RowKind.RESEND:
            tracker.resent(turn)
        elif kind == RowKind.OPEN:
            tracker.opened(connection)
        elif kind == RowKind.ASK:
            asked[session] = cursor
        elif kind == RowKind.CLAIM and data.contract.resumes:
            tracker.claim(number, at_ns, bool(flags & Flag.RESUMED), cursor, asked.get(session, -1))
        elif kind == RowKind.CLOSE:
            tracker.closed(
                number, at_ns, code, ours=bool(flags & Flag.OURS), ready=bool(flags & Flag.RESUMED),
                never_ready=bool(flags & Flag.NEVER_READY), mid_turn=bool(flags & Flag.MID_TURN),
            )  # fmt: skip
        elif kind == RowKind.END:
            tracker.ended(turn, code)
        elif kind == RowKind.STOP:
            tracker.finish(at_ns)
            stopped.add(session)
    result.unfinished += len(sessions) - len(stopped)
