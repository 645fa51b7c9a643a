"""``gauntlet capacity``: one run a trial, level by level, until an interval holds the most that the target bears."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from loadtests import manifest, scenario
from loadtests.capacity import Found, Outcome, Search, Trial
from loadtests.conductor.options import RunOptions
from loadtests.conductor.run import INTERRUPTED, Progress, Say, run
from loadtests.contract.schema import GateRule
from loadtests.errors import ConfigError, GauntletError, PreflightError, RigError
from loadtests.scenario import ACHIEVED, ACHIEVED_RULE, Phase, Scenario

if TYPE_CHECKING:
    from reports.capacity import Step

__all__ = ["BY", "CapacityOptions", "at_level", "capacity", "exit_code", "sentence"]

By = Literal["users", "rate"]
BY: tuple[By, ...] = ("users", "rate")
SETTLE, HOLD, DRAIN = "settle", "hold", "drain"
DRAIN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityOptions:
    """``run``: as for a single run; its users and scenario are the search's first level."""

    run: RunOptions
    by: By = "users"
    start: int = 0
    least: int = 1
    most: int = 10_000
    precision: float = 0.1
    repeats: int = 2
    settle_s: float = 3.0
    hold_s: float = 10.0
    cool_down_s: float = 1.0
    out: Path | None = None


def capacity(options: CapacityOptions, say: Say, progress: Progress) -> int:
    """Search, write ``capacity.json`` and ``capacity.html``; returns the exit code: 0 an interval was found, 3 not, 130 interrupted.

    Raises:
        GauntletError: whatever a single run may raise, before any load.
    """
    from reports.capacity import outcome_of, step_of

    own, _ = scenario.load(options.run.scenario)
    _check(options, own)
    folder = _folder(options, own.name)
    search = Search(_start(options, own), options.least, options.most, options.precision, options.repeats)
    trials: list[Trial] = []
    steps: list[Step] = []
    code, why = 0, ""
    outcome: Outcome
    while (level := search.next(trials)) is not None:
        if trials:
            time.sleep(options.cool_down_s)
        where = folder / f"step-{len(trials) + 1:02}-{level}"
        file = folder / f"{where.name}.yaml"
        file.write_bytes(msgspec.yaml.encode(at_level(own, options, level)))
        say(f"step {len(trials) + 1}: {level} {_unit(options.by)}")
        try:
            code = run(
                replace(options.run, scenario=str(file), users=None, out=where, seed=options.run.seed + len(trials)),
                say,
                progress,
            )
            if code == INTERRUPTED:
                break
            outcome, why = outcome_of(json.loads((where / "verdict.json").read_bytes()))
            steps.append(step_of(where, level, outcome, why))
        except GauntletError as error:
            if not trials:
                raise
            # It could be had before. Who answers no more has broken; what we cannot make ourselves says nothing of the backend.
            outcome, why = ("broken" if isinstance(error, PreflightError) else "saturated"), str(error)
        trials.append(Trial(level, outcome, why))
        _write(folder, options, own, search.found(trials), steps)
        say(f"step {len(trials)}: {level} {_unit(options.by)}: {outcome}{f' ({why})' if why else ''}")
    found = search.found(trials)
    _write(folder, options, own, found, steps)
    say(sentence(found, options.by))
    say(f"page {folder / 'capacity.html'}")
    return INTERRUPTED if code == INTERRUPTED else exit_code(found)


def _check(options: CapacityOptions, own: Scenario) -> None:
    if options.by not in BY:
        raise ConfigError("--by", "", f"{options.by!r}", "one of " + ", ".join(BY))
    if options.by == "rate" and own.arrivals.model != "open":
        raise ConfigError(
            "--by", "", f"arrivals of {own.name} are {own.arrivals.model}, and have no rate", "--by users"
        )
    if options.by == "users" and own.arrivals.rate_per_s is not None:
        problem = f"arrivals of {own.name} have a rate of their own, and more users ask no more"
        raise ConfigError("--by", "", problem, "--by rate")
    if not 1 <= options.least <= options.most:
        raise ConfigError("--least", "", f"{options.least} to {options.most}", "1 or more, and no more than --most")
    if options.repeats < 1 or not 0 < options.precision < 1:
        raise ConfigError(
            "--precision", "", f"{options.precision:g} with {options.repeats} repeats", "a share, and 1 repeat or more"
        )


def _start(options: CapacityOptions, own: Scenario) -> int:
    return options.start or (own.users if options.by == "users" else max(1, round(own.rate_per_s)))


def _unit(by: By) -> str:
    return "users" if by == "users" else "turns a second"


def _folder(options: CapacityOptions, name: str) -> Path:
    folder = options.out or Path("runs") / f"{manifest.stamp()}-{name}-capacity"
    try:
        if folder.exists() and any(folder.iterdir()):
            raise RigError(f"--out {folder}: the folder is not empty; a search never writes over another")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {folder}", "", str(error.strerror), "a folder that is empty or new") from None
    return folder.resolve()


def at_level(own: Scenario, options: CapacityOptions, level: int) -> Scenario:
    """The scenario of one step: settle, hold, drain, with the gates on what is held; with an experiment its phases stay."""
    changes: dict[str, Any] = {"name": f"{own.name}-{level}"}
    if options.by == "users":
        changes["users"] = level
    else:
        changes["arrivals"] = msgspec.structs.replace(own.arrivals, rate_per_s=float(level))
    if not options.run.experiment:
        phases = [Phase(SETTLE, options.settle_s), Phase(HOLD, options.hold_s), Phase(DRAIN, DRAIN_S)]
        gates: dict[str, list[str | GateRule]] = dict(_held(own.gates))
        if own.arrivals.model != "closed":  # what was not even sent has no latency
            gates[f"{ACHIEVED}{{phase:{HOLD}}}"] = [ACHIEVED_RULE]
        changes |= {"phases": phases, "gates": gates}
    return msgspec.structs.replace(own, **changes)


def _held(gates: Mapping[str, list[str | GateRule]]) -> list[tuple[str, list[str | GateRule]]]:
    """Gates without a phase, or on the steady one, are gates on what is held; those on other phases say nothing here."""
    out = []
    for metric, rules in gates.items():
        name, _, labels = metric.partition("{")
        pairs = dict(pair.split(":", 1) for pair in labels.rstrip("}").split(",") if ":" in pair)
        if pairs.get("phase", scenario.STEADY) != scenario.STEADY or name in {
            "connect.ready",
            "recovery.session",
            ACHIEVED,
        }:
            continue
        if not name.startswith("findings."):
            pairs["phase"] = HOLD
        text = ",".join(f"{key}:{value}" for key, value in pairs.items())
        out.append((f"{name}{{{text}}}" if text else name, rules))
    return out


def exit_code(found: Found) -> int:
    """0 if the search says something of the backend; 3 if not, as when no level could be judged."""
    return 0 if found.is_decided else 3


def sentence(found: Found, by: By) -> str:
    """The result in words."""
    unit = _unit(by)
    if found.gave_in == "nobody":
        return f"{found.low} {unit} keep every gate, and more was not asked for"
    if found.gave_in == "generator":
        return f"{found.low or 'no'} {unit} keep every gate; beyond that the generator gave in, and nothing is known of the backend"
    if found.high is None:
        return f"{found.low or 'no'} {unit} keep every gate for sure; where the backend gives in could not be decided"
    return f"between {found.low} and {found.high} {unit}: {found.low or 'none'} keep every gate, {found.high} break one each time"


def _write(folder: Path, options: CapacityOptions, own: Scenario, found: Found, steps: list[Step]) -> None:
    from reports.capacity import rises
    from reports.render.capacity import Page, render_capacity

    knee = found.high if found.high is not None else max((step.level for step in steps), default=0)
    rose = rises(steps, knee)
    page = Page(
        scenario=own.name, unit=_unit(options.by), sentence=sentence(found, options.by), found=found, steps=tuple(steps), rose=rose,
        knee=knee, experiment=options.run.experiment, target=options.run.target or "the embedded backend",
    )  # fmt: skip
    record = {
        "schema": 1, "scenario": own.name, "by": options.by, "experiment": options.run.experiment, **asdict(found),
        "sentence": page.sentence, "steps": [asdict(step) for step in steps], "rose": [asdict(one) for one in rose],
    }  # fmt: skip
    (folder / "capacity.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    (folder / "capacity.html").write_text(render_capacity(page), encoding="utf-8")
