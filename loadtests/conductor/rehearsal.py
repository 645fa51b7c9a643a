"""A run's scenario under any plan, played again in virtual time and judged: which ids are found.

What the simulated network cannot do as Toxiproxy, clients or commands do it, is left out and can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loadtests import cohorts, retry
from loadtests.conductor import selftest
from loadtests.contract.compile import Contract
from loadtests.journey import stated
from loadtests.scenario import Scenario
from loadtests.simulation import Plan, play
from loadtests.simulation.faults import PlannedFault
from loadtests.simulation.link import Habits
from loadtests.simulation.pipe import Conditions

if TYPE_CHECKING:
    from chaos.plan import Plan as ChaosPlan
    from chaos.plan import Window

__all__ = ["Rehearsal", "part_of", "unplayed"]

#: more users show nothing more and take longer
MOST_USERS = 24
SHORTEST_GAP = 0.5  # between two turns of a user, in paces
HARNESS = "self"


@dataclass(frozen=True, slots=True)
class _Role:
    """What a kind of fault is on the simulated network; ``amount`` of what was asked and for how long."""

    kind: str
    amount: Callable[[Mapping[str, Any], int], float] = lambda _asked, _ms: 0.0


_ROLES: dict[str, _Role] = {
    "latency": _Role("latency", lambda asked, _: asked["latency_ms"]),
    "jitter": _Role("latency", lambda asked, _: asked["mean_ms"] or asked["jitter_ms"]),
    "bandwidth": _Role("thin", lambda asked, _: 1_000 * asked["kb_per_s"]),
    "slicer": _Role("slice", lambda asked, _: asked["average_bytes"]),
    "limit-data": _Role("truncate", lambda asked, _: asked["bytes"]),
    "jam": _Role("jam"),
    "drop": _Role("drop"),
    # nothing passes, and its heal ends every connection that went through it
    "half-open": _Role("drop"),
    "reset": _Role("herd"),
    "mass-disconnect": _Role("herd", lambda asked, _: asked["share"]),
    "down": _Role("down"),
    "flap": _Role("flap", lambda asked, ms: max(1, round(ms / (asked["down_ms"] + asked["up_ms"])))),
    "backend-kill": _Role("restart"),
}


def part_of(window: Window) -> PlannedFault | None:
    """The window's fault on the simulated network; None: that cannot play it."""
    role = _ROLES.get(window.kind)
    if role is None:
        return None
    duration_ms, asked = window.end_ms - window.start_ms, window.fault.asked  # whole, with its defaults
    return PlannedFault(
        id=window.id, kind=role.kind, start_ms=window.start_ms, duration_ms=duration_ms, amount=role.amount(asked, duration_ms),
        direction=asked.get("direction", "both"),
    )  # fmt: skip


def unplayed(windows: Sequence[Window]) -> tuple[Window, ...]:
    """Windows that virtual time leaves out."""
    return tuple(window for window in windows if part_of(window) is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """One run, but for its plan."""

    scenario: Scenario
    contract: Contract
    seed: int
    defect: str = ""

    def found(self, plan: ChaosPlan) -> frozenset[str]:
        """The ids that are found under this plan; what the harness has against itself is none of them."""
        wire = selftest.compiled(selftest.WIRE, self.contract.file.turn.concurrent)
        played = play(self._staged(plan), self.contract, wire)
        return selftest.found(played, self.contract) - {HARNESS}

    def with_seed(self, seed: int) -> Rehearsal:
        return replace(self, seed=seed)

    def _staged(self, plan: ChaosPlan) -> Plan:
        one, file = self.scenario, self.contract.file
        users = min(one.users, MOST_USERS)
        faults = [part for window in plan.windows if (part := part_of(window)) is not None]
        return Plan(
            seed=self.seed, contract=self.contract.name, users=users, treated=cohorts.treated(self.seed, users, one.treated_share),
            turns=1 + int(plan.end_ms / (one.pace_ms * SHORTEST_GAP)), pace_ms=one.pace_ms, lasts_ms=plan.end_ms,
            policy=retry.declared(file.client, one.retry), conditions=Conditions(), habits=Habits(), faults=tuple(faults),
            cancel_share=one.cancel.share if file.cancel else 0.0, overlap_share=one.overlap.share if file.turn.concurrent else 0.0,
            prompts=tuple(one.prompts) or _said(one), scene=one.name, defect=self.defect,
        )  # fmt: skip


def _said(scenario: Scenario) -> tuple[str, ...]:
    """What journeys say, in single turns: virtual time plays no steps."""
    steps = [step for _, steps in scenario.journeys for step in steps if step.send is not None]
    return tuple(stated(step).say for step in steps) or ("…",)
