"""``--dry-run``: what would happen, in words, without any traffic; and, for every run, which gates it is too small for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from loadtests import arrivals
from loadtests.cohorts import size
from loadtests.conductor.options import Prepared
from loadtests.conductor.planning import FORMS
from loadtests.metrics import NO_FAULT, Gate
from loadtests.scenario import Scenario

if TYPE_CHECKING:
    from chaos.plan import Window

__all__ = ["describe", "doubts", "undecidable"]


def doubts(prepared: Prepared) -> Iterator[str]:
    """A line for each gate that this run is too small to decide."""
    turns = _turns(prepared)
    for gate in prepared.gates:
        note = undecidable(gate, prepared, turns)
        if note and not note.startswith("not checked"):
            yield f"{gate.selector} {gate.threshold.text} {note}"


def undecidable(gate: Gate, prepared: Prepared, turns: int) -> str:
    """A warning when the gate could not be decided even if nothing went wrong; else an empty string."""
    from reports.gates import bounds

    if gate.unit == "count":
        return ""
    if absent := _absent(gate, prepared):
        return f"not checked: {absent}"
    samples = _samples(gate, prepared, turns)
    if samples is None:
        return ""
    upper = bounds(0, max(1, samples))[1]
    if upper > gate.threshold.share:
        return f"cannot be decided by about {samples} samples, even if none is bad"
    return ""


def _absent(gate: Gate, prepared: Prepared) -> str:
    labels, windows = gate.selector.labels, prepared.plan.windows
    phases = {phase.name for phase in prepared.scenario.phases}
    if labels.get("phase", "") not in {"", *phases}:
        return "this run has no such phase"
    if labels.get("cohort", "") not in {"", *_cohorts(prepared)}:
        return "this run has no such cohort"
    fault = labels.get("fault", NO_FAULT)
    if fault != NO_FAULT and not any(fault in {window.id, window.kind} for window in windows):
        return "this run has no such fault"
    if gate.selector.name == "recovery.session" and not any(window.fault.disconnects for window in windows):
        return "no fault cuts connections"
    return ""


def _cohorts(prepared: Prepared) -> dict[str, float]:
    """Share of the users by cohort."""
    hit = prepared.scenario.treated_share
    shares = {"control": 1 - hit, "treated": hit} if prepared.chaos else {"direct": 1.0}
    return {cohort: share for cohort, share in shares.items() if share}


def _samples(gate: Gate, prepared: Prepared, turns: int) -> int | None:
    """About how many there will be; None: that cannot be known beforehand."""
    labels, users = gate.selector.labels, prepared.scenario.users
    fault = labels.get("fault", NO_FAULT)
    share = _cohorts(prepared).get(labels.get("cohort", ""), 1.0)
    if gate.selector.name.startswith("stream."):
        return None  # how many turns stream their answer is the backend's to say
    if gate.selector.name == "connect.ready":
        return round(users * share) if fault == NO_FAULT and "phase" not in labels else None
    if gate.selector.name == "recovery.session":
        named = [w for w in prepared.plan.windows if "fault" not in labels or fault in {w.id, w.kind}]
        return sum(w.fault.disconnects for w in named) * size(users, prepared.scenario.treated_share)
    share = _share(labels, prepared, by_fault=gate.selector.name != "arrivals.achieved")
    return int(round(turns * share, 6))  # whole ones; a sum of shares may be a hair below


def _share(labels: Mapping[str, str], prepared: Prepared, *, by_fault: bool) -> float:
    """The share of all turns that the labels select, if turns come evenly and none overlaps two places."""
    plan, grace_ms = prepared.plan, prepared.contract.file.turn.recovery_ms
    edges = {0, *(p.end_ms for p in plan.phases), *(e for w in plan.windows for e in (w.start_ms, w.end_ms + grace_ms))}
    found = 0.0
    for start, end in pairwise(sorted(edge for edge in edges if edge <= plan.end_ms)):
        phase = next(p.name for p in plan.phases if start < p.end_ms)
        for cohort, weight in _cohorts(prepared).items():
            # Between two edges nothing changes; the later of two windows explains more than the earlier one's grace.
            hit = [w for w in plan.windows if w.cohort == cohort and w.start_ms <= start < w.end_ms + grace_ms]
            faults = {hit[-1].id, hit[-1].kind} if hit else {NO_FAULT}
            fits = labels.get("phase", phase) == phase and labels.get("cohort", cohort) == cohort
            if fits and (not by_fault or "fault" not in labels or labels["fault"] in faults):
                found += weight * (end - start)
    return found / plan.end_ms


def _turns(prepared: Prepared) -> int:
    s = prepared.scenario
    return arrivals.planned(prepared.options.seed, s.users, s.pace_ms, s.total_s * 1000)


def _in_words(kind: str, asked: Mapping[str, Any]) -> str:
    """``latency 150 ms, jitter 20 ms, direction down``."""
    parts = []
    for key, value in asked.items():
        name, _, unit = key.rpartition("_")
        parts.append(f"{name} {value} {unit}" if name else f"{key} {value}")
    words = ", ".join(parts)
    return words if words.startswith(f"{kind} ") else f"{kind} {words}".rstrip()


def _said(window: Window) -> str:
    return f"{window.id} {_in_words(window.kind, window.asked)}"


def _limits(scenario: Scenario) -> list[str]:
    """When the run would stop of itself."""
    limits = msgspec.to_builtins(scenario.abort)
    words = [f"{name.replace('_', ' ')} over {value:g}" for name, value in limits.items() if value is not None]
    return [f"          stops itself at {' or '.join(words)}"] if words else []


def describe(prepared: Prepared) -> str:
    """A page of text: who, where, how much, which faults, which gates."""
    p, s, options = prepared, prepared.scenario, prepared.options
    turns = _turns(p)
    where = p.target.url if p.target else "the embedded backend, started for the run"
    lines = [
        f"scenario  {s.name}: {s.title}" if s.title else f"scenario  {s.name}",
        f"target    {where}" + (f", with defect {options.defect}" if options.defect else ""),
        f"contract  {p.contract.name} ({p.contract.digest}), {len(p.contract.events)} events, {len(p.contract.demanded)} demanded",
    ]
    many = "processes" if options.processes > 1 else "process"
    how_often = f"a turn every {s.pace_ms / 1000:g} s each: about {turns} turns in {round(s.total_s, 1):g} s"
    lines.append(f"load      {s.users} users in {options.processes} {many}, seed {options.seed}")
    lines.append(f"          {how_often}")
    if p.chaos:
        hit = size(s.users, s.treated_share)
        how = options.toxiproxy_url or "private processes, one a cohort"
        who = (
            f"{hit} users treated, {s.users - hit} control"
            if hit < s.users
            else "all users meet the faults, no control"
        )
        lines.append(f"chaos     Toxiproxy ({how}); {who}")
        lines += _limits(s)
    else:
        lines.append("chaos     none")
    if p.experiment is not None:
        lines.append(f"test      {p.experiment.name}, {options.form or FORMS[0]} form: {p.experiment.hypothesis}")
    lines += ["", "phases"]
    at = 0.0
    for phase in s.phases:
        windows = [w for w in p.plan.windows if w.phase == phase.name]
        filling = len(windows) == 1 and windows[0].end_ms - windows[0].start_ms == round(phase.s * 1000)
        fault = f"  {_said(windows[0])}" if filling else ""
        lines.append(f"  {at:7.1f} to {at + phase.s:7.1f} s  {phase.name}{fault}")
        if not filling:
            lines += [f"  {w.start_ms / 1000:9.1f} to {w.end_ms / 1000:7.1f} s  {_said(w)}" for w in windows]
        at += phase.s
    lines += ["", "gates"]
    for gate in p.gates:
        note = undecidable(gate, p, turns)
        lines.append(f"  {gate.selector} {gate.threshold.text}" + (f"  ({note})" if note else ""))
    return "\n".join(lines)
