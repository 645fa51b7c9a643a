"""``--dry-run``: what would happen, in words, without any traffic; and, for every run, which gates it is too small for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from loadtests import arrivals
from loadtests.cohorts import size
from loadtests.conductor.options import Prepared
from loadtests.conductor.planning import FORMS
from loadtests.journey import in_words
from loadtests.metrics import JOURNEYS, NO_FAULT, Gate
from loadtests.scenario import Phase, Scenario
from loadtests.workload import kinds_of

if TYPE_CHECKING:
    from chaos.plan import Window

__all__ = ["describe", "doubts", "undecidable"]

PER_S = "_per_s"


def doubts(prepared: Prepared) -> Iterator[str]:
    """A line for each gate that this run is too small to decide."""
    turns = _turns(prepared)
    for gate in prepared.gates:
        note = undecidable(gate, prepared, turns)
        if note and not note.startswith("not checked"):
            yield f"{gate.selector} {gate.threshold.text} {note}"


def undecidable(gate: Gate, prepared: Prepared, turns: int | None) -> str:
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
    if gate.selector.name == "arrivals.achieved" and prepared.scenario.arrivals.model == "closed":
        return "users of a closed workload plan no arrivals"
    if gate.selector.name in JOURNEYS and not prepared.scenario.journeys:
        return "this scenario has no journeys"
    if gate.selector.name == "recovery.session" and not any(window.fault.disconnects for window in windows):
        return "no fault cuts connections"
    return ""


def _cohorts(prepared: Prepared) -> dict[str, float]:
    """Share of the users by cohort."""
    hit = prepared.scenario.treated_share
    shares = {"control": 1 - hit, "treated": hit} if prepared.chaos else {"direct": 1.0}
    return {cohort: share for cohort, share in shares.items() if share}


def _samples(gate: Gate, prepared: Prepared, turns: int | None) -> int | None:
    """About how many there will be; None: that cannot be known beforehand."""
    labels, users = gate.selector.labels, prepared.scenario.users
    fault = labels.get("fault", NO_FAULT)
    share = _cohorts(prepared).get(labels.get("cohort", ""), 1.0) * _share_of_kind(labels, prepared)
    if gate.selector.name.startswith("stream."):
        return None  # how many turns stream their answer is the backend's to say
    if gate.selector.name == "connect.ready":
        return round(users * share) if fault == NO_FAULT and "phase" not in labels else None
    if gate.selector.name == "recovery.session":
        named = [w for w in prepared.plan.windows if "fault" not in labels or fault in {w.id, w.kind}]
        return sum(w.fault.disconnects for w in named) * size(users, prepared.scenario.treated_share)
    if turns is None:
        return None
    of_journeys = gate.selector.name in JOURNEYS
    if of_journeys or (gate.selector.name == "arrivals.achieved" and prepared.scenario.journeys):
        turns = _arrivals(prepared, journeys=of_journeys)
    share = _share(labels, prepared, by_fault=gate.selector.name != "arrivals.achieved") * _share_of_kind(
        labels, prepared
    )
    return int(round(turns * share, 6))  # whole ones; a sum of shares may be a hair below


def _share_of_kind(labels: Mapping[str, str], prepared: Prepared) -> float:
    """Of the users; a kind of another pace sends more or less than its share, and nobody needs that exactly."""
    one = prepared.scenario
    if "kind" not in labels:
        return 1.0
    dealt = kinds_of(prepared.options.seed, one.users, one.mix)
    return sum(one.mix[place].name == labels["kind"] for place in dealt) / one.users


def _share(labels: Mapping[str, str], prepared: Prepared, *, by_fault: bool) -> float:
    """The share of all turns that the labels select, if turns come as the load says and none overlaps two places."""
    plan, grace_ms, levels = prepared.plan, prepared.contract.file.turn.recovery_ms, prepared.scenario.levels
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
                found += weight * (levels.area_at(end) - levels.area_at(start))
    return found / levels.area


def _turns(prepared: Prepared) -> int | None:
    """How many are planned; None: whoever thinks after each answer sends as the backend lets them."""
    if prepared.scenario.arrivals.model == "closed":
        return None
    return arrivals.turns(prepared.scenario, prepared.options.seed)


def _arrivals(prepared: Prepared, *, journeys: bool) -> int:
    """How many are planned; ``journeys``: of users who have one."""
    one, seed = prepared.scenario, prepared.options.seed
    kinds = kinds_of(seed, one.users, one.mix)
    return sum(not journeys or bool(one.journey_of(kinds[user])) for _, user in arrivals.planned(one, seed))


def _journeys(scenario: Scenario) -> list[str]:
    """What users do each time, step by step."""
    found = []
    every = [("", scenario.journey), *((f" of {kind.name}", kind.journey or []) for kind in scenario.mix)]
    for whose, steps in every:
        found += [f"journey{whose}"] if steps else []
        found += [f"  {number:>3}  {in_words(step)}" for number, step in enumerate(steps, 1)]
    return found


def _how_often(scenario: Scenario, turns: int | None) -> str:
    """When turns come, in words."""
    how = scenario.arrivals
    if turns is None:
        low, high = (bound / 1000 for bound in how.think_ms)
        return f"a turn {low:g} to {high:g} s after the one before: closed, so a slow backend is asked less"
    about = f"about {turns} turns in {round(scenario.total_s, 1):g} s"
    if how.model == "open":
        return f"{scenario.rate_per_s:g} turns arrive a second ({how.schedule}), whoever is free takes them: {about}"
    return f"a turn every {scenario.pace_ms / 1000:g} s each: {about}"


def _in_words(kind: str, asked: Mapping[str, Any]) -> str:
    """``latency 150 ms, jitter 20 ms, direction down``."""
    parts = []
    for key, value in asked.items():
        if key.endswith(PER_S):
            parts.append(f"{value} {key.removesuffix(PER_S)} a second")
            continue
        name, _, unit = key.rpartition("_")
        parts.append(f"{name} {value} {unit}" if name else f"{key} {value}")
    words = ", ".join(parts)
    return words if words.startswith(f"{kind} ") else f"{kind} {words}".rstrip()


def _said(window: Window) -> str:
    return f"{window.id} {_in_words(window.kind, window.asked)}"


def _cost(scenario: Scenario) -> list[str]:
    """What it may cost, and how fast users come."""
    limits = scenario.limits
    words = [f"{value:,} {name}" for name, value in (("turns", limits.turns), ("tokens", limits.tokens)) if value]
    if limits.money is not None:
        prices = limits.prices
        each = f"{prices.input:g} in and {prices.output:g} out a million tokens"
        words.append(f"{limits.money:g} {prices.currency}".rstrip() + f" ({each})")
    found = [f"          at most {' or '.join(words)}, then it drains"] if words else []
    if limits.connects_per_s is not None:
        found.append(f"          users connect before the start, {limits.connects_per_s:g} a second")
    return found


def _load(phase: Phase) -> str:
    """The level of load, where it is not the nominal one."""
    if isinstance(phase.load, list):
        return f"  load {phase.load[0]:g} to {phase.load[1]:g}"
    return "" if phase.load == 1 else f"  load {phase.load:g}"


def _mix(scenario: Scenario, seed: int) -> list[str]:
    """How many users there are of each kind."""
    dealt = Counter(kinds_of(seed, scenario.users, scenario.mix))
    words = [f"{dealt[i]} {kind.name}" + ("" if kind.talks else " (silent)") for i, kind in enumerate(scenario.mix)]
    return [f"          of which {', '.join(words)}"] if words else []


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
    lines.append(f"load      {s.users} users in {options.processes} {many}, seed {options.seed}")
    lines.append(f"          {_how_often(s, turns)}")
    lines += _mix(s, options.seed)
    lines += _cost(s)
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
    if s.journeys:
        lines += ["", *_journeys(s)]
    lines += ["", "phases"]
    at = 0.0
    for phase in s.phases:
        windows = [w for w in p.plan.windows if w.phase == phase.name]
        filling = len(windows) == 1 and windows[0].end_ms - windows[0].start_ms == round(phase.s * 1000)
        fault = f"  {_said(windows[0])}" if filling else ""
        lines.append(f"  {at:7.1f} to {at + phase.s:7.1f} s  {phase.name}{_load(phase)}{fault}")
        if not filling:
            lines += [f"  {w.start_ms / 1000:9.1f} to {w.end_ms / 1000:7.1f} s  {_said(w)}" for w in windows]
        at += phase.s
    lines += ["", "gates"]
    for gate in p.gates:
        note = undecidable(gate, p, turns)
        lines.append(f"  {gate.selector} {gate.threshold.text}" + (f"  ({note})" if note else ""))
    return "\n".join(lines)
