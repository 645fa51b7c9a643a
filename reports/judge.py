"""Run directory -> Judgement: a pure function of what was recorded, so that any run can be judged again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from chaos.faults import FAULTS
from loadtests import arrivals, cohorts
from loadtests.configfile import convert, read_yaml
from loadtests.contract.schema import GateRule
from loadtests.findings import KINDS
from loadtests.history import RowKind, Window, phase_at
from loadtests.metrics import NO_FAULT, Gate, limit_ms, parse_gates
from loadtests.rundir import RunData, read_run, windows_of
from reports.checkers import CHECKERS, Checker, Evidence
from reports.frames import connections_frame, health_frame, outages_frame, phases_of, turns_frame
from reports.gates import Measured, judge_gate, percentile
from reports.judgement import (
    Books,
    Check,
    CheckVerdict,
    EventLine,
    FaultResult,
    GateResult,
    GeneratorHealth,
    Judgement,
    Witness,
)
from reports.placed import Phases, PlacedFindings
from reports.replay import replay
from reports.selfcheck import problems
from reports.verdict import causes, merge, sentence

__all__ = ["judge"]

MOST_WITNESSES = 5
LEAST_HEALTH_SAMPLES = 3


class _GatesFile(msgspec.Struct, forbid_unknown_fields=True):
    gates: dict[str, list[str | GateRule]]


def judge(path: Path, contract_name: str | None = None, gates_file: Path | None = None) -> Judgement:
    """Judge a run, under its own contract and gates or others.

    Raises:
        ConfigError: no run directory, or a mistake in the contract or gates given.
    """
    data = read_run(path, contract_name)
    gates = _gates(data, gates_file)
    windows, phases = windows_of(data), phases_of(data)
    turns = turns_frame(data, windows, phases)
    connections = connections_frame(data, windows, phases)
    outages = outages_frame(connections, windows, data)
    health = health_frame(data)
    replayed = replay(data)
    planned = _planned(data, turns, phases)
    books = _books(data, turns, planned)
    trouble = problems(data, windows, books, replayed, same_contract=contract_name is None)
    generator = _generator(data, health)
    unproven = _unproven(data, windows)
    late = _unrecovered(outages, data)
    evidence = _evidence(data, windows, turns, connections, outages)
    judged = PlacedFindings(data, windows, phases, turns, replayed.findings)
    checks = tuple(_check(checker, evidence, judged, late, trouble, unproven, data) for checker in CHECKERS)
    measured = Measured(
        turns=turns, connections=connections, outages=outages, planned=planned,
        findings={check.id: check.violations for check in checks}, phases=frozenset(name for name, _, _ in phases),
        cohorts=frozenset(turns["cohort"]), cuts=evidence.cuts,
        faults={window.id: window.kind for window in windows}, unfit="; ".join(generator.reasons), unproven=unproven,
    )  # fmt: skip
    results = tuple(judge_gate(gate, measured) for gate in gates)
    verdict = merge(checks, results)
    reasons = causes(checks, results)
    exercised = sum(check.verdict in {"valid", "invalid"} for check in checks)
    return Judgement(
        verdict=verdict,
        sentence=sentence(verdict, reasons, results, books.sent, exercised),
        causes=reasons,
        checks=checks,
        gates=results,
        faults=_faults(data, windows, turns, outages, connections),
        books=books,
        generator=generator,
        events=_events(data, turns, judged, results),
        funnel=_funnel(data, turns),
        not_checked=_not_checked(checks, results),
        phases=tuple((name, data.seconds(start), data.seconds(end)) for name, start, end in phases),
        cleanup=_cleanup(data),
        run=path.resolve().name,
        manifest=data.manifest,
        turns=turns,
        connections=connections,
        health=health,
    )


def _gates(data: RunData, gates_file: Path | None) -> list[Gate]:
    names = [phase.name for phase in data.scenario.phases]
    known = list(dict.fromkeys([*names, *map(str, data.manifest.get("declared_phases", []))]))
    # What an override removed is still understood: a phase has one fault at most.
    faults = [*(f"w{number}" for number, _ in enumerate(known, 1)), *FAULTS]
    budgets = parse_gates(data.contract.gates(), data.contract, known, data.contract.source, fault=NO_FAULT)
    if gates_file is None:
        return budgets + parse_gates(data.scenario.gates, data.contract, known, "scenario.yaml", faults=faults)
    raw = read_yaml(gates_file)
    file = convert(raw if "gates" in raw else {"gates": raw}, _GatesFile, str(gates_file))
    return budgets + parse_gates(file.gates, data.contract, known, str(gates_file), faults=faults)


def _planned(data: RunData, turns: pd.DataFrame, phases: Phases) -> pd.DataFrame:
    """Every turn that the scenario means to send, counted from seed and pace alone, and whether it was sent."""
    if data.manifest.get("kind") == "plain-locust":
        drops = data.rows[data.rows["kind"] == RowKind.DROP]
        sent = turns[["intended_s", "cohort", "phase", "place"]].assign(sent=True)
        lost = pd.DataFrame(
            {"intended_s": (drops["intended"] - data.start_ns) / 1e9, "cohort": "direct", "phase": "", "place": "clear"}
        )
        return pd.concat([sent, lost.assign(sent=False)], ignore_index=True)
    scenario, seed = data.scenario, int(data.manifest.get("seed", 0))
    until_ms = scenario.total_s * 1000
    hit = cohorts.treated(seed, scenario.users, scenario.treated_share) if data.manifest.get("chaos") else frozenset()
    chaos = bool(data.manifest.get("chaos"))
    sent_at = defaultdict(set)
    for session, intended_s in zip(turns["session"], turns["intended_s"], strict=True):
        sent_at[session].add(round(intended_s * 1e6))
    out = []
    for user in range(scenario.users):
        cohort = ("treated" if user in hit else "control") if chaos else "direct"
        for at_ms in arrivals.paced(seed, user, scenario.pace_ms):
            if at_ms >= until_ms:
                break
            at_ns = data.start_ns + int(at_ms * 1_000_000)
            was_sent = round(data.seconds(at_ns) * 1e6) in sent_at[user]
            out.append((at_ms / 1000, cohort, phase_at(at_ns, phases), "clear", was_sent))
    return pd.DataFrame(out, columns=["intended_s", "cohort", "phase", "place", "sent"])


def _books(data: RunData, turns: pd.DataFrame, planned: pd.DataFrame) -> Books:
    drops = data.rows[data.rows["kind"] == RowKind.DROP]
    why: dict[str, int] = defaultdict(int)
    for text in drops["text"]:
        why[data.strings[text]] += 1
    outcome = turns["outcome"].value_counts()
    ok = int(outcome.get("ok", 0))
    censored = int(outcome.get("cut", 0) + outcome.get("in-doubt", 0))
    sent = len(turns)
    failed = sent - ok - censored
    whole = data.manifest.get("exit") == "ended"
    # A run that was interrupted could not send all that it meant to; then only what was sent is accounted for.
    balanced = not whole or (len(planned) == sent + len(drops) and int(planned["sent"].sum()) == sent)
    return Books(
        planned=len(planned), dropped=len(drops), sent=sent, ok=ok, failed=failed, censored=censored, balanced=balanced,
        dropped_why=dict(sorted(why.items())),
    )  # fmt: skip


def _generator(data: RunData, health: pd.DataFrame) -> GeneratorHealth:
    lag = float(np.percentile(health["loop_lag_p99_ms"], 95)) if len(health) else None
    cpu = float(np.percentile(health["cpu"], 95)) if len(health) else None
    limits, reasons = data.scenario.generator, []
    if len(health) < LEAST_HEALTH_SAMPLES:
        reasons.append("its health was not recorded")
    if lag is not None and lag > limits.loop_lag_p99_ms:
        reasons.append(f"its loop was {lag:.0f} ms late (limit {limits.loop_lag_p99_ms:.0f})")
    if cpu is not None and cpu > limits.cpu_p95:
        reasons.append(f"it used {cpu:.0%} of a core (limit {limits.cpu_p95:.0%})")
    lost = 0
    bounds = [*data.first_row, len(data.rows)]
    for worker, first, last in zip(data.workers, bounds, bounds[1:], strict=False):
        account = data.accounts.get(worker)
        lost += max(0, int(account["rows"]) - (last - first)) if account else 0
    rounded = (round(lag, 1) if lag is not None else None, round(cpu, 3) if cpu is not None else None)
    return GeneratorHealth(
        fit=not reasons, loop_lag_p99_ms=rounded[0], cpu_p95=rounded[1], rows_lost=lost, reasons=tuple(reasons)
    )


def _effects(data: RunData) -> dict[str, dict[str, Any]]:
    return {str(record.get("id")): record for record in data.journal if record.get("type") == "effect"}


def _unproven(data: RunData, windows: Iterable[Window]) -> str:
    effects = _effects(data)
    weak = [f"{w.id} ({w.kind}): {effects.get(w.id, {}).get('effect', 'not-probed')}" for w in windows]
    weak = [text for text in weak if not text.endswith("confirmed")]
    return f"fault without proven effect: {', '.join(weak)}" if weak else ""


def _unrecovered(outages: pd.DataFrame, data: RunData) -> pd.DataFrame:
    budget_s = data.contract.file.turn.recovery_ms / 1000
    settled = outages[~outages["censored"]]
    return settled[settled["recovery_s"].isna() | (settled["recovery_s"] > budget_s)]


def _evidence(
    data: RunData, windows: list[Window], turns: pd.DataFrame, connections: pd.DataFrame, outages: pd.DataFrame
) -> Evidence:
    rows = data.rows
    events = rows[rows["kind"] == RowKind.EVENT]
    roles = np.array(data.contract.roles)[np.minimum(events["event"], len(data.contract.events))]
    seen = turns.filter(like="event:").notna().sum(axis=1) if len(turns) else pd.Series(dtype=int)
    decided = ~turns["outcome"].isin(["cut", "in-doubt"])
    return Evidence(
        contract=data.contract, windows=tuple(windows), users=data.scenario.users, events=len(events),
        ordered_turns=int((seen >= 2).sum()), pair_events=int(np.isin(roles, ["tool-open", "tool-close"]).sum()),
        good_turns=int((turns["outcome"] == "ok").sum()), begun_turns=int(((seen > 0) & decided).sum()), turns=int(decided.sum()),
        connections=int(connections["open_s"].notna().sum()), numbered=int((events["cursor"] >= 0).sum()),
        keyed=int((events["key"] > 0).sum()), claims=int((rows["kind"] == RowKind.CLAIM).sum()) if data.contract.resumes else 0,
        named=int((events["turn"] > 0).sum()), sessions=len(np.unique(events["session"])), outages=len(outages),
    )  # fmt: skip


def _check(
    checker: Checker, evidence: Evidence, judged: PlacedFindings, late: pd.DataFrame, trouble: list[str], unproven: str, data: RunData
) -> Check:  # fmt: skip
    found = judged.by_checker.get(checker.id, [])
    counted = [(finding, fault) for finding, fault in found if not finding.kind.warning]
    kinds: dict[str, int] = defaultdict(int)
    witnesses: list[Witness] = []
    for finding, fault in found:
        kinds[finding.kind.name] += 1
        if kinds[finding.kind.name] <= MOST_WITNESSES:
            witnesses.append(judged.witness(finding, fault))
    violations, reason = len(counted), ""
    if counted:
        reason = "; ".join(dict.fromkeys(KINDS[finding.kind.code].text for finding, _ in counted))
    if checker.id == "reconnect" and len(late):
        violations, reason, kinds["not-back"] = len(late), "a cut session was not served again in time", len(late)
        witnesses = [_late_witness(one, data) for one in late.head(MOST_WITNESSES).itertuples()]
    if checker.id == "self":
        violations, reason = len(trouble), "; ".join(trouble)
    scope = judged.scope(counted)
    samples, required = checker.samples(evidence), checker.required(evidence)
    verdict: CheckVerdict = "valid"
    if violations:
        verdict = "invalid"
    elif not samples:
        verdict = "unknown" if required else "not-exercised"
        reason = f"no {checker.rests_on}" if checker.rests_on != "not yet built" else checker.rests_on
    elif checker.needs_effect and required and unproven:
        verdict, reason = "unknown", unproven
    return Check(
        id=checker.id, subject=checker.subject, verdict=verdict, required=required, samples=samples, violations=violations,
        kinds=dict(kinds), warnings=len(found) - len(counted), reason=reason or _fine(judged.excused.get(checker.id, 0)),
        witnesses=tuple(witnesses), scope=scope,
    )  # fmt: skip


def _fine(excused: int) -> str:
    return f"{excused} explained by a fault on the session's own cohort" if excused else ""


def _late_witness(one: Any, data: RunData) -> Witness:
    budget = data.contract.file.turn.recovery_ms / 1000
    text = f"cut at {one.close_s:.1f} s, " + (
        f"back after {one.recovery_s:.1f} s" if one.recovery_s == one.recovery_s else "never back"
    )
    return Witness(
        kind="not-back", session=str(one.session), turn="", row=one.close_row, text=f"{text} (budget {budget:g} s)",
        at_s=round(one.close_s, 3), phase=one.phase, fault=one.fault,
    )  # fmt: skip


def _faults(
    data: RunData, windows: list[Window], turns: pd.DataFrame, outages: pd.DataFrame, connections: pd.DataFrame
) -> tuple[FaultResult, ...]:
    effects, out = _effects(data), []
    for window in windows:
        effect = effects.get(window.id, {})
        mine = outages[outages["fault"] == window.id]
        hit = turns[(turns["fault"] == window.id) & (turns["place"] == "during")]
        before = turns[(turns["cohort"] == window.cohort) & (turns["place"] == "clear")]
        start_s = data.seconds(window.start_ns)
        end_s = data.seconds(window.end_ns) if window.end_ns is not None else None
        before = before[before["end_s"] <= start_s]
        recovered = mine["recovery_s"].dropna()
        out.append(
            FaultResult(
                id=window.id, kind=window.kind, cohort=window.cohort, phase=window.phase, start_s=round(start_s, 3),
                end_s=round(end_s, 3) if end_s is not None else None, asked=window.asked,
                measured=dict(effect.get("measured") or {}), effect=effect.get("effect", "not-probed"), by=str(effect.get("by", "")),
                sessions=int(connections[connections["cohort"] == window.cohort]["session"].nunique()),
                disconnected=int(mine["session"].nunique()), reconnects_peak_per_s=_peak(mine["ready_s"].dropna().to_numpy()),
                recovery_s=round(float(recovered.median()), 3) if len(recovered) else None,
                recovery_max_s=round(float(recovered.max()), 3) if len(recovered) else None,
                unrecovered=int((mine["recovery_s"].isna() & ~mine["censored"].astype(bool)).sum()),
                turns=len(hit), turns_lost=int((~hit["outcome"].isin(["ok", "cut"])).sum()), slowdown=_slowdown(hit, before),
            )
        )  # fmt: skip
    return tuple(out)


def _peak(at_s: np.ndarray[Any, Any]) -> int:
    """Most in any second, sliding."""
    at_s = np.sort(at_s)
    return int((np.searchsorted(at_s, at_s + 1.0) - np.arange(len(at_s))).max(initial=0))


def _slowdown(hit: pd.DataFrame, before: pd.DataFrame) -> float | None:
    a, b = hit["total_ms"].dropna(), before["total_ms"].dropna()
    return round(float(a.quantile(0.95) / b.quantile(0.95)), 2) if len(a) and len(b) else None


def _events(
    data: RunData, turns: pd.DataFrame, judged: PlacedFindings, gates: tuple[GateResult, ...]
) -> tuple[EventLine, ...]:
    out = []
    ok = turns[turns["outcome"] == "ok"]
    misplaced = Counter(int(data.rows["event"][finding.row]) for finding, _ in judged.by_checker.get("order", ()))
    for rule in data.contract.demanded:
        values = turns[f"event:{rule.name}"].dropna()
        quantiles = [percentile(values.to_numpy(), q) for q in (0.5, 0.95, 0.99)]
        mine = [gate for gate in gates if gate.metric.partition("{")[0] == f"event.{rule.name}"]
        worst = next((g for v in ("fail", "unknown", "pass") for g in mine if g.verdict == v), None)
        percent = worst.rule.strip()[2:].partition(")")[0] if worst and worst.rule.strip().startswith("p(") else ""
        missing = int(ok[f"event:{rule.name}"].isna().sum())
        broken = missing or misplaced[rule.index]
        out.append(
            EventLine(
                name=rule.name, role=rule.role, seen=len(values), missing=missing, misplaced=misplaced[rule.index],
                p50_ms=quantiles[0], p95_ms=quantiles[1], p99_ms=quantiles[2], budget_ms=limit_ms(worst.rule) if worst else None,
                budget_percent=float(percent) if percent else None,
                verdict="broken" if broken else worst.verdict if worst else "seen",
            )
        )  # fmt: skip
    return tuple(out)


def _funnel(data: RunData, turns: pd.DataFrame) -> tuple[tuple[str, int], ...]:
    names = [rule.name for rule in data.contract.demanded]
    return (("sent", len(turns)), *((name, int(turns[f"event:{name}"].notna().sum())) for name in names))


def _not_checked(checks: Iterable[Check], gates: Iterable[GateResult]) -> tuple[str, ...]:
    out = [f"{check.id} ({check.reason})" for check in checks if check.verdict == "not-exercised"]
    return (*out, *(f"{gate.metric} {gate.rule} ({gate.reason})" for gate in gates if gate.verdict == "not-checked"))


def _cleanup(data: RunData) -> str:
    records = [record for record in data.journal if record.get("type") == "cleanup"]
    if not records:
        return "nothing to clean up" if not data.manifest.get("chaos") else "not recorded"
    left = [str(one) for record in records for one in record.get("left") or []]
    return (
        "nothing left behind" if all(r.get("ok") for r in records) else f"left behind: {', '.join(left) or 'unknown'}"
    )
