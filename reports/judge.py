"""Run directory -> Judgement: a pure function of what was recorded, so that any run can be judged again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec

from chaos.cleanup import RECORD
from chaos.faults import FAULTS
from loadtests.configfile import convert, read_yaml
from loadtests.contract.schema import GateRule
from loadtests.metrics import NO_FAULT, Gate, parse_gates
from loadtests.rundir import RunData, read_run, wedged, windows_of
from reports.analytics import analyse
from reports.assessment import Setting, assess
from reports.bites import bites, places, strangers, unconfirmed, unproven
from reports.books import books, planned_turns
from reports.causes import grouped
from reports.checkers import declares_client
from reports.eventlines import event_lines
from reports.evidence import compared
from reports.faultlines import fault_results
from reports.frames import connections_frame, health_frame, journeys_frame, outages_frame, phases_of, turns_frame
from reports.gates import Measured, judge_gate
from reports.generator import generator_health
from reports.hypothesis import expected_reconnects, experiment_result
from reports.judgement import Check, GateResult, Judgement
from reports.nodes import moved
from reports.peers import views_of
from reports.replay import replay
from reports.selfcheck import problems
from reports.streams import gaps_frame
from reports.verdict import causes, merge, sentence

__all__ = ["judge"]


#: a closed model hides stalls: Tene, "How NOT to Measure Latency", 2013, calls it coordinated omission
CLOSED = "what users wait for whom a stall keeps from asking (a closed workload: whoever waits does not send)"


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
    health = health_frame(data)
    planned = planned_turns(data, turns, phases)
    account = books(data, turns, planned)
    generator = generator_health(data, health, turns, connections)
    replayed = replay(data, windows)
    bitten = bites(data, windows)
    trouble = problems(data, windows, account, replayed, same_contract=contract_name is None)
    trouble += strangers(data, windows, {number: one.cohort for number, one in replayed.clients.items()})
    setting = Setting(
        windows=tuple(windows), phases=phases, users=data.scenario.users, policy=data.scenario.retry, start_ns=data.start_ns,
        trouble=tuple(trouble), unfit="; ".join(generator.reasons), unproven=unproven(bitten, windows),
        same_contract=contract_name is None, views=tuple(views_of(data.journal)), lasting=expected_reconnects(data.manifest) == "none",
        restarted=wedged(data),
        compares=compared(data.manifest), unproven_windows=unconfirmed(bitten, windows),
    )  # fmt: skip
    assessed = assess(data.contract, data.rows, data.strings, setting, replayed)
    checks, outages = assessed.checks, outages_frame(assessed.recovered, connections, data)
    journeys = journeys_frame(data, windows, phases)
    measured = Measured(
        turns=turns, connections=connections, outages=outages, planned=planned,
        findings={check.id: check.violations for check in checks}, phases=frozenset(name for name, _, _ in phases),
        cohorts=frozenset(turns["cohort"]), cuts=assessed.evidence.cuts, faults={window.id: window.kind for window in windows},
        unfit=setting.unfit, unproven=setting.unproven, quota=assessed.quota, gaps=lambda: gaps_frame(data, turns),
        closed=data.scenario.arrivals.model == "closed", demands_stream=any(rule.role == "content" for rule in data.contract.demanded),
        journeys=journeys, has_journeys=bool(data.scenario.journeys),
    )  # fmt: skip
    results = tuple(judge_gate(gate, measured) for gate in gates)
    verdict = merge(checks, results, assessed.quota, declares_client=declares_client(assessed.evidence))
    reasons = causes(
        checks, results, grouped(one for found in assessed.placed.by_checker.values() for one in found), assessed.quota
    )
    exercised = sum(check.verdict in {"valid", "invalid"} for check in checks)
    return Judgement(
        verdict=verdict,
        sentence=sentence(verdict, reasons, results, account.sent, exercised),
        causes=reasons,
        checks=checks,
        gates=results,
        faults=fault_results(data, windows, bitten, turns, assessed.recovered, outages, connections),
        books=account,
        generator=generator,
        events=event_lines(data, turns, replayed.out_of_order, results),
        not_checked=_not_checked(data, checks, results),
        phases=tuple((name, data.seconds(start), data.seconds(end)) for name, start, end in phases),
        cleanup=_cleanup(data),
        run=path.resolve().name,
        manifest=data.manifest,
        turns=turns,
        connections=connections,
        health=health,
        analytics=analyse(data, turns),
        moved=moved(data.rows, data.strings),
        experiment=experiment_result(
            data.manifest, verdict, reasons, assessed.recovered, assessed.evidence.reconnections
        ),
    )


def _gates(data: RunData, gates_file: Path | None) -> list[Gate]:
    names = [phase.name for phase in data.scenario.phases]
    known = list(dict.fromkeys([*names, *map(str, data.manifest.get("declared_phases", []))]))
    # What an override removed is still understood: a phase has one fault, or those that the plan gave it.
    faults = list(dict.fromkeys([*(f"w{number}" for number, _ in enumerate(known, 1)), *places(data), *FAULTS]))
    kinds = [kind.name for kind in data.scenario.mix]
    budgets = parse_gates(data.contract.gates(), data.contract, known, data.contract.source, fault=NO_FAULT)
    if gates_file is None:
        return budgets + parse_gates(
            data.scenario.gates, data.contract, known, "scenario.yaml", faults=faults, kinds=kinds
        )
    raw = read_yaml(gates_file)
    file = convert(raw if "gates" in raw else {"gates": raw}, _GatesFile, str(gates_file))
    return budgets + parse_gates(file.gates, data.contract, known, str(gates_file), faults=faults, kinds=kinds)


def _not_checked(data: RunData, checks: Iterable[Check], gates: Iterable[GateResult]) -> tuple[str, ...]:
    out = [CLOSED] if data.scenario.arrivals.model == "closed" else []
    out += [f"{check.id} ({check.reason})" for check in checks if check.verdict == "not-exercised"]
    return (*out, *(f"{gate.metric} {gate.rule} ({gate.reason})" for gate in gates if gate.verdict == "not-checked"))


def _cleanup(data: RunData) -> str:
    records = [record for record in data.journal if record.get("type") == "cleanup"]
    if not records:
        said = "nothing to clean up" if not data.manifest.get("chaos") else "not recorded"
    elif all(record.get("ok") for record in records):
        said = "nothing left behind"
    else:
        left = [str(one) for record in records for one in record.get("left") or []]
        said = f"left behind: {', '.join(left) or 'unknown'}"
    return said + _cleaned_later(data.path)


def _cleaned_later(path: Path) -> str:
    """What ``gauntlet chaos cleanup`` did when the run was over; it changes nothing about the run."""
    try:
        later = json.loads((path / RECORD).read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    left = later.get("left") if isinstance(later, dict) else None
    if not isinstance(left, list):
        return ""
    return f"; cleaned up later: {'still left: ' + ', '.join(map(str, left)) if left else 'nothing left behind'}"
