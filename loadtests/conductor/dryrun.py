"""``--dry-run``: what would happen, in words, without any traffic."""

from __future__ import annotations

from loadtests import arrivals
from loadtests.conductor.options import Prepared
from loadtests.metrics import Gate

__all__ = ["describe", "undecidable"]


def undecidable(gate: Gate, prepared: Prepared, turns: int) -> str:
    """A warning when the gate could not be decided even if nothing went wrong; else an empty string."""
    from reports.gates import bounds

    if gate.unit == "count":
        return ""
    labels = dict(gate.selector.labels)
    phases = {phase.name: phase.s for phase in prepared.scenario.phases}
    if labels.get("phase", next(iter(phases))) not in phases:
        return "not checked: this run has no such phase"
    if (
        labels.get("cohort", "control") not in ({"control", "treated"} if prepared.chaos else {"direct"})
        and "cohort" in labels
    ):
        return "not checked: this run has no such cohort"
    share = phases[labels["phase"]] / prepared.scenario.total_s if "phase" in labels else 1.0
    samples = turns * share * (prepared.scenario.treated_share if "cohort" in labels else 1.0)
    if gate.selector.name == "connect.ready":
        samples = prepared.scenario.users
    elif gate.selector.name == "recovery.session":
        cuts = [window for window in prepared.plan.windows if window.fault.disconnects]
        if not cuts:
            return "not checked: no fault cuts connections"
        samples = len(cuts) * prepared.scenario.users * prepared.scenario.treated_share
    upper = bounds(0, max(1, int(samples)))[1]
    if upper > gate.threshold.share:
        return f"cannot be decided by about {int(samples)} samples, even if none is bad"
    return ""


def describe(prepared: Prepared) -> str:
    """A page of text: who, where, how much, which faults, which gates."""
    p, s, options = prepared, prepared.scenario, prepared.options
    turns = arrivals.planned(options.seed, s.users, s.pace_ms, s.total_s * 1000)
    where = p.target.url if p.target else "the embedded backend, started for the run"
    lines = [
        f"scenario  {s.name}: {s.title}" if s.title else f"scenario  {s.name}",
        f"target    {where}" + (f", with defect {options.defect}" if options.defect else ""),
        f"contract  {p.contract.name} ({p.contract.digest}), {len(p.contract.events)} events, {len(p.contract.demanded)} demanded",
    ]
    many = "processes" if options.processes > 1 else "process"
    how_often = f"a turn every {s.pace_ms / 1000:g} s each: about {turns} turns in {s.total_s:g} s"
    lines.append(f"load      {s.users} users in {options.processes} {many}, {how_often}, seed {options.seed}")
    if p.chaos:
        hit = round(s.users * s.treated_share)
        how = options.toxiproxy_url or "private processes, one a cohort"
        lines.append(f"chaos     Toxiproxy ({how}); {hit} users treated, {s.users - hit} control")
    else:
        lines.append("chaos     none")
    lines += ["", "phases"]
    at = 0.0
    for phase in s.phases:
        window = next((w for w in p.plan.windows if w.phase == phase.name), None)
        fault = f"  {window.id} {window.kind} {window.asked or ''}".rstrip() if window else ""
        lines.append(f"  {at:7.1f} to {at + phase.s:7.1f} s  {phase.name}{fault}")
        at += phase.s
    lines += ["", "gates"]
    for gate in p.gates:
        note = undecidable(gate, p, turns)
        lines.append(f"  {gate.selector} {gate.threshold.text}" + (f"  ({note})" if note else ""))
    return "\n".join(lines)
