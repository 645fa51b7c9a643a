"""A scenario: how many users do what for how long, which faults they meet, and what must hold. Data, read once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from loadtests.cohorts import LEAST_CONTROL, size
from loadtests.configfile import convert, nearest, read_yaml
from loadtests.contract.schema import Concurrent, ContractFile, GateRule
from loadtests.errors import ConfigError
from loadtests.feeders import people_from, prompts_from
from loadtests.journey import JourneyStep, Outside, check_journey, check_journey_promised, stated
from loadtests.limits import Limits
from loadtests.metrics import NO_FAULT
from loadtests.outside import folder_of
from loadtests.prompts import Interference, Prompt, check
from loadtests.retry import Policy, policy_of
from loadtests.workload import Arrivals, Kind, Level, Levels

__all__ = [
    "BUILT_IN",
    "Abort",
    "Generator",
    "Overrides",
    "Phase",
    "Scenario",
    "check_promised",
    "duration_s",
    "load",
    "names",
    "whole",
]

BUILT_IN = Path(__file__).parent / "scenarios"
STEADY = "steady"
#: a closed model without a pace: whoever cannot send for so long drops the turn
DEFAULT_LATE_MS = 5000
#: of an open scenario that has no gate of its own on it
ACHIEVED, ACHIEVED_RULE = "arrivals.achieved", "rate>0.95"
#: of one with journeys that has no gate of its own on it
SUCCEEDED, SUCCEEDED_RULE = "journey.success", "rate>0.95"
#: keys of a fault in ``faults`` that are seconds within their phase
TIMES = frozenset({"at_s", "for_s", "every_s"})


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``fault`` fills the phase, ``faults`` have times of their own within it. Both are read by the chaos package, which alone
    knows the kinds.
    """

    name: str
    s: Annotated[float, msgspec.Meta(gt=0)]
    fault: dict[str, Any] | None = None
    faults: list[dict[str, Any]] = []
    #: of the nominal load: one level all through, or [from, to]; for a closed model the share of the users who talk
    load: Level = 1.0

    @property
    def is_quiet(self) -> bool:
        return not self.fault and not self.faults


class Abort(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a run must stop, and heal, of itself: shares of what the last ten seconds showed."""

    #: of the turns that ended: failed, or given up
    error_rate: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    #: of all sessions: cut, refused, or with a turn that ended badly
    share_hit: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None


class Generator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits beyond which our own timing cannot be trusted."""

    loop_lag_p99_ms: float = 50.0
    cpu_p95: float = 0.9
    #: a turn is sent so late though its user is free and connected; no less than the loop may be late
    send_late_p99_ms: float = 100.0
    #: of all cores' time, what the host's other guests took
    steal_p95: float = 0.1


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    scenario: Literal[1]
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    users: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    phases: Annotated[list[Phase], msgspec.Meta(min_length=1)]
    #: whoever has a journey that says all by itself can do without
    prompts: list[str | Prompt] = []
    #: what a user does each time, step by step, in the place of a single turn; ``cancel`` and ``overlap`` are not for it
    journey: list[JourneyStep] = []
    #: each user means to send a turn about this often; an open or a closed model can do without
    pace_ms: Annotated[int, msgspec.Meta(ge=1)] = 0
    arrivals: Arrivals = Arrivals()
    #: kinds of users; none: all are alike
    mix: list[Kind] = []
    #: user n is row n, over and over; its columns fill ``{column}`` in prompts
    people: list[dict[str, str]] = []
    title: str = ""
    contract: str = "reference"
    #: share of the users whose network is broken; the others are the control group
    treated_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    #: ``backend``: the faults are on the backend itself, so everybody meets them and nobody is control
    scope: Literal["cohort", "backend"] = "cohort"
    abort: Abort = Abort()
    #: what it may cost
    limits: Limits = Limits()
    #: turns that their user stops, and turns during which their user says something else
    cancel: Interference = Interference()
    overlap: Interference = Interference()
    retry: Policy = Policy()
    gates: dict[str, list[str | GateRule]] = {}
    generator: Generator = Generator()

    @property
    def total_s(self) -> float:
        return sum(phase.s for phase in self.phases)

    @property
    def has_faults(self) -> bool:
        return not all(phase.is_quiet for phase in self.phases)

    @property
    def levels(self) -> Levels:
        """The level of load over the run."""
        return Levels((phase.s * 1000, phase.load) for phase in self.phases)

    @property
    def rate_per_s(self) -> float:
        """Of an open model at level 1, all users together."""
        return self.arrivals.rate_per_s or self.users * 1000 / self.pace_ms

    @property
    def late_ms(self) -> int:
        """By how much a turn may be late before it is dropped."""
        return self.pace_ms if self.arrivals.late_ms is None else self.arrivals.late_ms

    def pace_of(self, kind: int) -> int:
        """Of the users of a kind, by its place in ``mix``."""
        return (self.mix[kind].pace_ms if self.mix else None) or self.pace_ms

    def journey_of(self, kind: int) -> list[JourneyStep]:
        """Of the users of a kind, by its place in ``mix``; empty: they send single turns."""
        own = self.mix[kind].journey if self.mix else None
        return self.journey if own is None else own

    @property
    def journeys(self) -> list[tuple[str, list[JourneyStep]]]:
        """All of them, each with its place in the file."""
        every = [
            ("journey", self.journey),
            *((f"mix[{i}].journey", kind.journey or []) for i, kind in enumerate(self.mix)),
        ]
        return [(place, steps) for place, steps in every if steps]

    @property
    def functions(self) -> list[tuple[str, Outside]]:
        """What journeys call, each with its place in the file."""
        return [
            (f"{place}[{i}].python", stated(step))
            for place, steps in self.journeys
            for i, step in enumerate(steps)
            if step.python is not None
        ]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line changes. Phases are scaled by share; without faults their time goes to steady."""

    users: int | None = None
    duration_s: float | None = None
    chaos: bool = True

    def apply(self, scenario: Scenario) -> Scenario:
        """The scenario that will run.

        Raises:
            ConfigError: a number that makes no run.
        """
        phases = list(scenario.phases)
        if not self.chaos and scenario.has_faults:
            phases = _without_faults(phases)
        if self.duration_s is not None:
            if self.duration_s <= 0:
                raise ConfigError("--duration", "", f"{self.duration_s:g} s", "more than nothing")
            share = self.duration_s / sum(phase.s for phase in phases)
            phases = [_scaled(phase, share) for phase in phases]
        users = self.users if self.users is not None else scenario.users
        if users < 1:
            raise ConfigError("--users", "", f"{users}", "at least 1")
        split = scenario.scope == "cohort" and not all(phase.is_quiet for phase in phases)
        if split and size(users, scenario.treated_share) in {0, users}:
            raise ConfigError("--users", "", f"{users} users cannot be split into two cohorts", "more, or --no-chaos")
        return msgspec.structs.replace(scenario, phases=phases, users=users)


def _without_faults(phases: list[Phase]) -> list[Phase]:
    """Fault phases and the recoveries that follow them give their time to the steady phase."""
    kept, freed, after_fault = [], 0.0, False
    for i, phase in enumerate(phases):
        last = i == len(phases) - 1
        if not phase.is_quiet or (after_fault and not last):
            freed += phase.s
            after_fault = True
        else:
            kept.append(phase)
    at = next((i for i, phase in enumerate(kept) if phase.name == STEADY), 0)
    kept[at] = msgspec.structs.replace(kept[at], s=kept[at].s + freed)
    return kept


def _scaled(phase: Phase, share: float) -> Phase:
    faults = [
        {key: _times(value, share) if key in TIMES else value for key, value in one.items()} for one in phase.faults
    ]
    return msgspec.structs.replace(phase, s=round(phase.s * share, 3), faults=faults)


def _times(value: Any, share: float) -> Any:
    """A time, or the bounds of one; what is neither is for the chaos package to refuse."""
    if isinstance(value, list):
        return [_times(one, share) for one in value]
    return round(value * share, 3) if isinstance(value, int | float) else value


def names() -> list[str]:
    """The built-in scenarios."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def load(name_or_path: str) -> tuple[Scenario, str]:
    """A built-in scenario or a YAML file, and where it came from.

    Raises:
        ConfigError: no such scenario, or a mistake in it.
    """
    built_in = {path.stem: path for path in sorted(BUILT_IN.glob("*.yaml"))}
    path, where = built_in.get(name_or_path), f"scenario {name_or_path}"
    if path is None:
        path, where = Path(name_or_path), name_or_path
        if path.suffix not in {".yaml", ".yml"} and not path.is_file():
            hint = nearest(name_or_path, list(built_in)) + " or a YAML file"
            raise ConfigError("SCENARIO", "", f"no scenario {name_or_path!r}", hint)
    data = read_yaml(path)
    _feed(data, path.parent, where)
    if "retry" in data:
        data["retry"] = msgspec.to_builtins(policy_of(data["retry"], where))
    scenario = _found(whole(convert(data, Scenario, where), where), path.parent)
    return scenario, where


def _found(scenario: Scenario, folder: Path) -> Scenario:
    """With the place of each module that lies beside the scenario, so that load processes find it from elsewhere."""

    def step(one: JourneyStep) -> JourneyStep:
        if one.python is None or stated(one).folder:
            return one
        there = folder_of(stated(one).call, folder)
        return msgspec.structs.replace(one, python=msgspec.structs.replace(stated(one), folder=there)) if there else one

    def own(steps: list[JourneyStep]) -> list[JourneyStep]:
        return [step(one) for one in steps]

    mix = [
        kind if kind.journey is None else msgspec.structs.replace(kind, journey=own(kind.journey))
        for kind in scenario.mix
    ]
    return msgspec.structs.replace(scenario, journey=own(scenario.journey), mix=mix)


def _feed(data: dict[str, Any], folder: Path, where: str) -> None:
    """Put what files hold into their place, so that what ran stands in one file; paths are from the scenario's own folder.

    Raises:
        ConfigError: a file that cannot be read, or a key given in both ways.
    """
    for key, read in (("prompts", prompts_from), ("people", people_from)):
        name = data.pop(f"{key}_from", None)
        if name is None:
            continue
        if key in data:
            raise ConfigError(where, f"{key}_from", f"{key} are given as well", "only one of them")
        if not isinstance(name, str):
            raise ConfigError(where, f"{key}_from", f"is {type(name).__name__}", "a file's name")
        data[key] = read(folder / name)


def whole(scenario: Scenario, where: str) -> Scenario:
    """What its keys amount to together.

    Raises:
        ConfigError: they break a rule that no single one can break.
    """
    if scenario.scope == "backend":
        scenario = msgspec.structs.replace(scenario, treated_share=1.0)
    elif scenario.treated_share > 1 - LEAST_CONTROL:
        limit = f"at most {1 - LEAST_CONTROL:g}, so that a control group is left"
        raise ConfigError(where, "treated_share", f"{scenario.treated_share:g}", limit)
    check(scenario.prompts, where, scenario.people)
    scenario = _check_load(scenario, where)
    scenario = _check_journeys(scenario, where)
    _check_limits(scenario.limits, where)
    if scenario.cancel.share + scenario.overlap.share > 1:
        raise ConfigError(where, "overlap.share", "more than all turns together with cancel.share", "at most 1 in all")
    names = [phase.name for phase in scenario.phases]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ConfigError(where, f"phases[{i}].name", f"{name!r} stands twice", "a name of its own")
    if not scenario.phases[-1].is_quiet:
        raise ConfigError(
            where, f"phases[{len(names) - 1}]", "the last phase has a fault", "a quiet one, to recover in"
        )
    return scenario


def _check_load(scenario: Scenario, where: str) -> Scenario:
    model, rate = scenario.arrivals.model, scenario.arrivals.rate_per_s
    if rate is not None and model != "open":
        raise ConfigError(where, "arrivals.rate_per_s", f"arrivals are {model}", "model: open, or pace_ms instead")
    if not scenario.pace_ms:
        if model == "paced" or (model == "open" and rate is None):
            raise ConfigError(where, "pace_ms", "is missing", "how often each user sends, in milliseconds")
        pace_ms = DEFAULT_LATE_MS if rate is None else max(1, round(scenario.users * 1000 / rate))
        scenario = msgspec.structs.replace(scenario, pace_ms=pace_ms)
    for i, phase in enumerate(scenario.phases):
        if model == "closed" and max(phase.load if isinstance(phase.load, list) else [phase.load]) > 1:
            problem = f"{phase.load}: in a closed model it is the share of the users who talk"
            raise ConfigError(where, f"phases[{i}].load", problem, "at most 1, and more users")
    if not scenario.levels.area:
        raise ConfigError(where, "phases", "no phase has any load", "a level over 0 somewhere")
    _check_mix(scenario, where)
    if model == "open" and not any(metric.startswith(ACHIEVED) for metric in scenario.gates):
        # Whoever found nobody free has no latency: without this gate a backend that serves half could keep every other one.
        scenario = msgspec.structs.replace(scenario, gates={**scenario.gates, ACHIEVED: [ACHIEVED_RULE]})
    return scenario


def _check_mix(scenario: Scenario, where: str) -> None:
    model, names = scenario.arrivals.model, [kind.name for kind in scenario.mix]
    for i, (name, kind) in enumerate(zip(names, scenario.mix, strict=True)):
        if name in names[:i]:
            raise ConfigError(where, f"mix[{i}].name", f"{name!r} stands twice", "a name of its own")
        for key, fits in (("pace_ms", "paced"), ("think_ms", "closed")):
            if getattr(kind, key) is not None and model != fits:
                raise ConfigError(where, f"mix[{i}].{key}", f"arrivals are {model}", f"model: {fits}")
    if scenario.mix and not any(kind.talks for kind in scenario.mix):
        raise ConfigError(where, "mix", "nobody talks", "a kind that does")


def _check_journeys(scenario: Scenario, where: str) -> Scenario:
    columns = list(scenario.people[0]) if scenario.people else None
    for place, steps in scenario.journeys:
        check_journey(steps, where, place, scenario.prompts, columns)
    for i, kind in enumerate(scenario.mix):
        if kind.journey and not kind.talks:
            raise ConfigError(
                where, f"mix[{i}].journey", "is of a kind that does not talk", "talks: true, or no journey"
            )
    kinds = range(len(scenario.mix)) if scenario.mix else range(1)
    single = any(not scenario.journey_of(kind) for kind in kinds if not scenario.mix or scenario.mix[kind].talks)
    if single and not scenario.prompts:
        raise ConfigError(where, "prompts", "is missing, or empty", "what users say")
    if scenario.journeys and not any(metric.startswith(SUCCEEDED) for metric in scenario.gates):
        # A step that does not show what it must is nobody's finding: without this gate it would only be counted.
        gates = {**scenario.gates, f"{SUCCEEDED}{{fault:{NO_FAULT}}}": [SUCCEEDED_RULE]}
        scenario = msgspec.structs.replace(scenario, gates=gates)
    return scenario


def _check_limits(limits: Limits, where: str) -> None:
    if limits.money is not None and not limits.prices.input + limits.prices.output:
        raise ConfigError(where, "limits.money", "nothing has a price", "limits.prices, of a million tokens")


def check_promised(scenario: Scenario, contract: ContractFile, where: str) -> None:
    """What the scenario asks of the backend beyond single turns, the contract must promise, or a sound backend would be blamed.

    Raises:
        ConfigError: it does not.
    """
    if scenario.overlap.share and not contract.turn.concurrent:
        problem = f"contract {contract.name} promises nothing of a message that comes while another turn is under way"
        hint = f"turn.concurrent in the contract ({', '.join(filter(None, get_args(Concurrent)))}), or no overlap"
        raise ConfigError(where, "overlap", problem, hint)
    for place, steps in scenario.journeys:
        check_journey_promised(steps, contract, where, place)
    for key in ("tokens", "money"):
        if getattr(scenario.limits, key) is not None and contract.usage is None:
            problem = f"contract {contract.name} does not say where frames tell how many tokens were used"
            raise ConfigError(where, f"limits.{key}", problem, "usage in the contract, or limits.turns")


def duration_s(text: str, where: str = "--duration") -> float:
    """``90s``, ``5m``, ``1h30m`` or plain seconds.

    Raises:
        ConfigError: none of these.
    """
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip())
    if not text.strip() or found is None or not any(found.groups()):
        raise ConfigError(where, "", f"{text!r}", "a duration such as 90s, 5m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds
