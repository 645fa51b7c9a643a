"""A chaos plan: phases and fault windows on one time line, from a scenario's phases and a seed.

Pure: the same input gives the same bytes. What a fault does, it asks the fault; which may overlap, is a rule here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import msgspec

from chaos.faults import Fault, parse_fault
from chaos.overlap import clash, on_backend
from chaos.schedule import Drawn, draw
from loadtests.configfile import convert
from loadtests.errors import ConfigError

__all__ = ["CONTROL", "TREATED", "Phase", "PhaseSpec", "Plan", "Scope", "Window", "make_plan", "numbered"]

#: the cohort that no fault may ever touch
CONTROL = "control"
TREATED = "treated"
Scope = Literal["cohort", "backend"]


@dataclass(frozen=True, slots=True)
class PhaseSpec:
    """One phase as a scenario declares it."""

    name: str
    duration_s: float
    #: fills the phase
    fault: Mapping[str, Any] | None = None
    cohort: str = TREATED
    #: have times of their own within it
    faults: Sequence[Mapping[str, Any]] = ()


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    start_ms: int
    end_ms: int


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault on one cohort, from asked to healed; ``asked`` and ``kind`` together are the fault."""

    id: str
    kind: str
    cohort: str
    phase: str
    start_ms: int
    end_ms: int
    asked: dict[str, Any]

    @property
    def fault(self) -> Fault:
        return parse_fault({"kind": self.kind, **self.asked}, "plan", f"windows.{self.id}")


class _PlanFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    seed: int
    phases: tuple[Phase, ...]
    windows: tuple[Window, ...]
    scope: Scope = "cohort"


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    phases: tuple[Phase, ...]
    windows: tuple[Window, ...]
    #: ``backend``: the faults are on the backend itself, so everybody is treated and nobody control
    scope: Scope = "cohort"

    @property
    def end_ms(self) -> int:
        return self.phases[-1].end_ms

    @property
    def cohorts(self) -> tuple[str, ...]:
        """The cohorts that some window touches, in order of first touch."""
        return tuple(dict.fromkeys(window.cohort for window in self.windows))

    @property
    def listeners(self) -> tuple[str, ...]:
        """The listeners that the plan needs, beside the control cohort's."""
        extra = (f"{w.cohort}-{w.fault.extra}" for w in self.windows if w.fault.extra)
        return tuple(dict.fromkeys([*self.cohorts, *extra])) or (TREATED,)

    @property
    def armed(self) -> tuple[str, ...]:
        """The listeners to make ready for resets before anybody connects."""
        return tuple(dict.fromkeys(window.cohort for window in self.windows if window.fault.arms))

    def to_json(self) -> str:
        """Byte-identical for the same plan."""
        body: dict[str, Any] = {"schema": 1, "seed": self.seed, "phases": self.phases, "windows": self.windows}
        if self.scope != "cohort":
            body["scope"] = self.scope
        return json.dumps(body, default=msgspec.to_builtins, indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "plan.json") -> Plan:
        """Read a plan back, holding it to the same rules.

        Raises:
            ConfigError: no JSON, an unknown key, or a plan that breaks a rule.
        """
        try:
            data = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ConfigError(where, "", str(error), "a plan as JSON") from None
        read = convert(data, _PlanFile, where)
        if read.schema != 1:
            raise ConfigError(where, "schema", f"version {read.schema}", "version 1")
        return _checked(cls(read.seed, read.phases, read.windows, read.scope), where)


def make_plan(phases: Sequence[PhaseSpec], seed: int, where: str = "plan", scope: Scope | None = None) -> Plan:
    """Lay the phases end to end. Without ``scope`` it is ``backend`` as soon as one fault is on the backend itself.

    Raises:
        ConfigError: a fault is misspelt or out of bounds, or a rule is broken.
    """
    laid: list[Phase] = []
    drawn: list[tuple[int, str, Drawn]] = []
    now_s = 0.0
    for index, spec in enumerate(phases):
        place = f"phases[{index}]"
        if not spec.duration_s > 0:
            raise ConfigError(where, f"{place}.duration", f"{spec.duration_s} s", "more than 0 s")
        start_ms, end_ms = round(now_s * 1000), round((now_s + spec.duration_s) * 1000)
        now_s += spec.duration_s
        laid.append(Phase(spec.name, start_ms, end_ms))
        mine = draw(spec.faults, spec.duration_s, seed, spec.name, where, f"{place}.faults")
        if spec.fault is not None:
            fault = parse_fault(spec.fault, where, f"{place}.fault")
            mine.insert(0, Drawn(fault, spec.cohort, 0, end_ms - start_ms))
        drawn += [(start_ms, spec.name, one) for one in mine]
    windows = _fitting(drawn)
    if scope is None:
        scope = "backend" if any(on_backend(window.fault) for window in windows) else "cohort"
    return _checked(Plan(seed, tuple(laid), windows, scope), where)


def _fitting(drawn: Sequence[tuple[int, str, Drawn]]) -> tuple[Window, ...]:
    """In order of time; what is optional yields to what is not, and to what was drawn before it."""
    kept: list[tuple[Window, Fault]] = []
    for at_ms, phase, one in sorted(drawn, key=lambda row: row[2].optional):
        start_ms, end_ms = at_ms + one.start_ms, at_ms + one.end_ms
        window = Window("", one.fault.kind, one.cohort, phase, start_ms, end_ms, one.fault.asked)
        if not one.optional or not any(_unfit(window, one.fault, *other) for other in kept):
            kept.append((window, one.fault))
    return numbered(window for window, _ in kept)


def numbered(windows: Iterable[Window]) -> tuple[Window, ...]:
    """In order of time, and named by it."""
    ordered = sorted(windows, key=lambda window: window.start_ms)
    return tuple(msgspec.structs.replace(window, id=f"w{number}") for number, window in enumerate(ordered, 1))


def _unfit(window: Window, fault: Fault, other: Window, other_fault: Fault) -> bool:
    pairs = sorted(((window, fault), (other, other_fault)), key=lambda pair: pair[0].start_ms)
    return clash(*pairs[0], *pairs[1]) is not None


def _checked(plan: Plan, where: str) -> Plan:
    """The rules that hold for every plan, however it came about."""
    if not plan.phases:
        raise ConfigError(where, "phases", "there are none", "at least one phase")
    names = [phase.name for phase in plan.phases]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(where, "phases", f"{min(twice)!r} stands twice", "names that differ")
    ids = [window.id for window in plan.windows]
    if twice := {name for name in ids if ids.count(name) > 1}:
        raise ConfigError(where, "windows", f"{min(twice)!r} stands twice", "ids that differ")
    faults = {window.id: window.fault for window in plan.windows}
    for window in plan.windows:
        if problem := _wrong(window, faults[window.id], plan):
            raise ConfigError(where, f"windows.{window.id}", *problem)
    for one, other in combinations(sorted(plan.windows, key=lambda window: window.start_ms), 2):
        if problem := clash(one, faults[one.id], other, faults[other.id]):
            raise ConfigError(where, f"windows.{other.id}", *problem)
    return plan


def _wrong(window: Window, fault: Fault, plan: Plan) -> tuple[str, str] | None:
    """What is wrong with a window by itself, and what was expected."""
    names = [phase.name for phase in plan.phases]
    if window.cohort == CONTROL:
        return "a fault on the control cohort", "a cohort that may be hurt"
    if window.phase not in names:
        return f"unknown phase {window.phase!r}", "one of " + ", ".join(names)
    if not 0 <= window.start_ms < window.end_ms:
        return f"from {window.start_ms} to {window.end_ms} ms", "an end after its start"
    if window.end_ms > plan.phases[-1].start_ms:
        return "a fault in the last phase", "a last phase without faults"
    if plan.scope == "cohort" and on_backend(fault):
        return f"{window.kind} leaves no cohort untouched", "scope: backend"
    if plan.scope == "backend" and window.cohort != TREATED:
        return f"cohort {window.cohort!r} where everybody is treated", f"cohort: {TREATED}"
    if window.cohort != TREATED:
        return f"nobody is in cohort {window.cohort!r}", f"cohort: {TREATED}"
    return None
