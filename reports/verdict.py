"""The laws of merging, and the sentence. Pure over checks and gates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from loadtests.findings import BY_NAME
from loadtests.metrics import limit_ms
from reports.causes import Group
from reports.judgement import Cause, Check, GateResult, Verdict

__all__ = ["causes", "merge", "sentence"]

MOST_CAUSES = 12


def merge(
    checks: Sequence[Check], gates: Sequence[GateResult], quota: str = "", *, declares_client: bool = False
) -> Verdict:
    """Law 4, then law 2: a failed ``self`` caps at CANNOT SAY; else any invalid backend finding or failed gate is NO-GO;
    else anything unknown is CANNOT SAY; else GO. Warnings and what was not required never move it. ``declares_client``: the
    client's policy is the product's, and its findings count (law 3). ``quota``: why the turns say nothing of the backend.
    """
    if any(check.subject == "harness" and check.verdict != "valid" for check in checks):
        return "cannot-say"
    deciding = [gate for gate in gates if gate.severity == "fail"]
    subjects = {"backend", "client"} if declares_client else {"backend"}
    if any(check.subject in subjects and check.verdict == "invalid" for check in checks):
        return "no-go"
    if any(gate.verdict == "fail" for gate in deciding):
        return "no-go"
    if any(check.verdict == "unknown" for check in checks) or any(gate.verdict == "unknown" for gate in deciding):
        return "cannot-say"
    return "cannot-say" if quota else "go"


def causes(
    checks: Sequence[Check], gates: Sequence[GateResult], groups: Sequence[Group] = (), quota: str = ""
) -> tuple[Cause, ...]:
    """Why the verdict is not GO, the weightiest first: the harness itself, witnesses, gates, what is unknown. A checker whose
    findings all come from another's stands beneath it.
    """
    found: list[tuple[int, Cause]] = []
    partly = _partly_kept(checks, groups)
    beneath = _beneath(groups) - {BY_NAME[kind].checker for kind in partly}
    for check in checks:
        if check.verdict == "invalid":
            if check.id not in beneath:
                found.append((0 if check.subject == "harness" else 1, _invalid(check, groups, partly)))
        elif check.verdict == "unknown":
            title = f"{check.id}: cannot say"
            found.append((4 if check.subject == "backend" else 0, Cause(title=title, detail=check.reason, id=check.id)))
    if quota:
        title = quota[0].upper() + quota[1:]
        found.append((2, Cause(title=title, detail="", consequences=_gates_of(gates, quota))))
    for gate in gates:
        if gate.verdict == "fail":
            weight = 2 if gate.severity == "fail" else 5
            title = f"{gate.metric} {gate.rule} broken{_observed(gate)}"
            found.append((weight, Cause(title=title, detail=gate.reason, id=gate.metric)))
        elif gate.verdict == "unknown" and gate.severity == "fail" and not (quota and gate.reason == quota):
            found.append((3, Cause(title=f"{gate.metric} {gate.rule}: cannot say", detail=gate.reason, id=gate.metric)))
    found.sort(key=lambda pair: pair[0])
    return tuple(cause for _, cause in found[:MOST_CAUSES])


def _beneath(groups: Sequence[Group]) -> set[str]:
    """Checkers whose findings are all consequences of another's."""
    return {id_ for group in groups for id_, _, _ in group.consequences} - {group.id for group in groups}


def _partly_kept(checks: Sequence[Check], groups: Sequence[Group]) -> set[str]:
    """Kinds of which there are more than stand in groups: what came of the others nobody knows."""
    held: Counter[str] = Counter()
    for group in groups:
        held[group.kind] += group.count
        held.update({kind: count for _, kind, count in group.consequences})
    return {
        kind
        for check in checks
        for kind, count in check.kinds.items()
        if kind in BY_NAME and not BY_NAME[kind].warning and count > held[kind]
    }


def _invalid(check: Check, groups: Sequence[Group], partly: set[str]) -> Cause:
    mine = [group for group in groups if group.id == check.id]
    followed: Counter[tuple[str, str]] = Counter()
    for group in mine:
        for id_, kind, count in group.consequences:
            if id_ != check.id:  # its own kinds stand in its reason
                followed[id_, kind] += count
    counted = tuple((id_, kind, count) for (id_, kind), count in followed.most_common())
    windows = {group.window for group in mine}
    return Cause(
        title=f"{check.id}: {check.reason}",
        detail=_where(check),
        consequences=tuple(
            f"{id_}: {BY_NAME[kind].text}{_times(count, 'at least ' if kind in partly else '')}"
            for id_, kind, count in counted
        ),
        witnesses=check.witnesses,
        id=check.id,
        kind=mine[0].kind if mine else max(check.kinds, key=lambda kind: check.kinds[kind], default=""),
        turns=sum(group.turns for group in mine),
        window=windows.pop() if len(windows) == 1 and not partly & check.kinds.keys() else "",
        counted=counted,
    )


def _times(count: int, least: str) -> str:
    return f", {least}{_spaced(count)} times" if count > 1 else ""


def _gates_of(gates: Sequence[GateResult], reason: str) -> tuple[str, ...]:
    return tuple(f"{gate.metric} {gate.rule}: cannot say" for gate in gates if gate.reason == reason)


def _observed(gate: GateResult) -> str:
    if gate.unit == "ms":
        return f": {_spaced(gate.observed)} ms" if gate.observed is not None else ": never, in too many turns"
    if gate.unit == "per_s":
        return f": {gate.observed:.1f} a second" if gate.observed is not None else ": never, in too many turns"
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
