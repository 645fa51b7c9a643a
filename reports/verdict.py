"""The laws of merging, and the sentence. Pure over checks and gates."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.metrics import limit_ms
from reports.judgement import Cause, Check, GateResult, Verdict

__all__ = ["causes", "merge", "sentence"]

MOST_CAUSES = 12


def merge(checks: Sequence[Check], gates: Sequence[GateResult]) -> Verdict:
    """Law 4, then law 2: a failed ``self`` caps at CANNOT SAY; else any invalid backend finding or failed gate is NO-GO;
    else anything unknown is CANNOT SAY; else GO. Warnings and what was not required never move it.
    """
    if any(check.subject == "harness" and check.verdict != "valid" for check in checks):
        return "cannot-say"
    deciding = [gate for gate in gates if gate.severity == "fail"]
    if any(check.subject == "backend" and check.verdict == "invalid" for check in checks):
        return "no-go"
    if any(gate.verdict == "fail" for gate in deciding):
        return "no-go"
    if any(check.verdict == "unknown" for check in checks) or any(gate.verdict == "unknown" for gate in deciding):
        return "cannot-say"
    return "go"


def causes(checks: Sequence[Check], gates: Sequence[GateResult]) -> tuple[Cause, ...]:
    """Why the verdict is not GO, the weightiest first: the harness itself, witnesses, gates, what is unknown."""
    found: list[tuple[int, Cause]] = []
    for check in checks:
        if check.verdict == "invalid":
            where = _where(check)
            title = f"{check.id}: {check.reason}"
            found.append(
                (0 if check.subject == "harness" else 1, Cause(title=title, detail=where, witnesses=check.witnesses))
            )
        elif check.verdict == "unknown":
            found.append(
                (4 if check.subject == "backend" else 0, Cause(title=f"{check.id}: cannot say", detail=check.reason))
            )
    for gate in gates:
        if gate.verdict == "fail":
            weight = 2 if gate.severity == "fail" else 5
            found.append(
                (weight, Cause(title=f"{gate.metric} {gate.rule} broken{_observed(gate)}", detail=gate.reason))
            )
        elif gate.verdict == "unknown" and gate.severity == "fail":
            found.append((3, Cause(title=f"{gate.metric} {gate.rule}: cannot say", detail=gate.reason)))
    found.sort(key=lambda pair: pair[0])
    return tuple(cause for _, cause in found[:MOST_CAUSES])


def _observed(gate: GateResult) -> str:
    if gate.unit == "ms":
        return f": {_spaced(gate.observed)} ms" if gate.observed is not None else ": never, in too many turns"
    if gate.unit == "share" and gate.observed is not None:
        return f": {gate.observed:.1%}"
    return ""


def _where(check: Check) -> str:
    return check.scope or "; ".join(f"{count} × {kind}" for kind, count in check.kinds.items())


def sentence(verdict: Verdict, reasons: Sequence[Cause], gates: Sequence[GateResult], turns: int, checked: int) -> str:
    """One sentence with the number that decides."""
    if verdict == "go":
        passed = [gate for gate in gates if gate.verdict == "pass"]
        text = f"{_spaced(turns)} turns, {checked} checks and {len(passed)} gates: no finding, every gate kept"
        tightest = _tightest(passed)
        return f"{text}; tightest: {tightest}" if tightest else text
    if not reasons:
        return "nothing was found, and nothing was shown"
    first = reasons[0]
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    detail = f" ({first.detail})" if first.detail else ""
    return f"{first.title}{detail}{more}"


def _spaced(number: float) -> str:
    """Thousands apart by a narrow space, as in the page's tables."""
    return f"{number:,.0f}".replace(",", "\u202f")


def _tightest(gates: Sequence[GateResult]) -> str:
    """The latency gate that came nearest to its limit."""
    best, share = "", 0.0
    for gate in gates:
        if gate.unit != "ms" or gate.observed is None:
            continue
        limit = limit_ms(gate.rule)
        if limit and gate.observed / limit > share:
            share = gate.observed / limit
            best = f"{gate.metric} at {_spaced(gate.observed)} of {_spaced(limit)} ms"
    return best
