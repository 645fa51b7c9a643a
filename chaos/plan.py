"""A chaos plan: phases and fault windows on one time line, from a scenario's phases and a seed.

Pure: the same input gives the same bytes, and nothing here knows what a fault does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from chaos.faults import Fault, parse_fault
from loadtests.configfile import convert
from loadtests.errors import ConfigError

__all__ = ["CONTROL", "Phase", "PhaseSpec", "Plan", "Window", "make_plan"]

#: the cohort that no fault may ever touch
CONTROL = "control"


@dataclass(frozen=True, slots=True)
class PhaseSpec:
    """One phase as a scenario declares it."""

    name: str
    duration_s: float
    fault: Mapping[str, Any] | None = None
    cohort: str = "treated"


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


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    phases: tuple[Phase, ...]
    windows: tuple[Window, ...]

    @property
    def end_ms(self) -> int:
        return self.phases[-1].end_ms

    @property
    def cohorts(self) -> tuple[str, ...]:
        """The cohorts that some window touches, in order of first touch."""
        return tuple(dict.fromkeys(window.cohort for window in self.windows))

    def to_json(self) -> str:
        """Byte-identical for the same plan."""
        body = {"schema": 1, "seed": self.seed, "phases": self.phases, "windows": self.windows}
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
        return _checked(cls(read.seed, read.phases, read.windows), where)


def make_plan(phases: Sequence[PhaseSpec], seed: int, where: str = "plan") -> Plan:
    """Lay the phases end to end; a fault fills its phase.

    Raises:
        ConfigError: a fault is misspelt or out of bounds, or a rule is broken.
    """
    laid: list[Phase] = []
    windows: list[Window] = []
    now_s = 0.0
    for index, spec in enumerate(phases):
        place = f"phases[{index}]"
        if not spec.duration_s > 0:
            raise ConfigError(where, f"{place}.duration", f"{spec.duration_s} s", "more than 0 s")
        start_ms, end_ms = round(now_s * 1000), round((now_s + spec.duration_s) * 1000)
        now_s += spec.duration_s
        laid.append(Phase(spec.name, start_ms, end_ms))
        if spec.fault is not None:
            fault = parse_fault(spec.fault, where, f"{place}.fault")
            name = f"w{len(windows) + 1}"
            windows.append(Window(name, fault.kind, spec.cohort, spec.name, start_ms, end_ms, fault.asked))
    return _checked(Plan(seed, tuple(laid), tuple(windows)), where)


def _checked(plan: Plan, where: str) -> Plan:
    """The rules that hold for every plan, however it came about."""
    if not plan.phases:
        raise ConfigError(where, "phases", "there are none", "at least one phase")
    names = [phase.name for phase in plan.phases]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(where, "phases", f"{min(twice)!r} stands twice", "names that differ")
    free_ms: dict[str, int] = {}
    for window in sorted(plan.windows, key=lambda window: window.start_ms):
        place = f"windows.{window.id}"
        _ = window.fault
        if window.cohort == CONTROL:
            raise ConfigError(where, place, "a fault on the control cohort", "a cohort that may be hurt")
        if window.phase not in names:
            raise ConfigError(where, place, f"unknown phase {window.phase!r}", "one of " + ", ".join(names))
        if not free_ms.get(window.cohort, 0) <= window.start_ms < window.end_ms:
            raise ConfigError(where, place, f"overlaps another fault on {window.cohort}", "one fault at a time")
        free_ms[window.cohort] = window.end_ms
        if window.end_ms > plan.phases[-1].start_ms:
            raise ConfigError(where, place, "a fault in the last phase", "a last phase without faults")
    return plan
