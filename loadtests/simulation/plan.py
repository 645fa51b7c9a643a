"""One seed becomes one plan: how many users, what they ask, on what network, and which faults they meet. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from loadtests import cohorts
from loadtests.backend.frames import Shape
from loadtests.contract.compile import Contract
from loadtests.prompts import Expect, Prompt
from loadtests.retry import Policy
from loadtests.simulation.faults import FAULTS, PlannedFault
from loadtests.simulation.link import Habits
from loadtests.simulation.pipe import Conditions

__all__ = ["CALM_MS", "PROMPTS", "SCENES", "STORM", "Plan", "plan_of"]

LEAST_USERS, MOST_USERS = 9, 10
TURNS = 5
#: a message in doubt that cannot be resent may be waited for from the last fault for a whole recovery budget, and all turns planned
#: meanwhile are dropped: so long must turns be planned that a user still has four
UNRESUMED_MS = 36_000
LEAST_FAULTS, MOST_FAULTS = 2, 4
PACE_MS = (3_000, 4_500)
QUIET_PACE_MS = 45_000
#: faults begin after everybody has had the time to connect, and end so that all can recover
FIRST_MS, LAST_MS = 800.0, 14_000.0
#: of a chain of faults with less than a recovery between them
MOST_TROUBLE_MS = 4_500.0
APART_MS = 3_000.0
CALM_MS = 12_000.0  # the final quiet in which everything must come right
TREATED_SHARES = (0.4, 0.6, 0.8)
CUT_SHORT_SHARE = 0.05
CANCEL_SHARE, OVERLAP_SHARE, OFTEN = 0.08, 0.08, 0.3
STORM = "storm"
CUTS = 4
PROMPTS: tuple[str | Prompt, ...] = (
    Prompt("What does it cost?", Expect(min_chars=20)),
    "Compare März and April.",
    Prompt('The code word is {nonce}. Say "hello" \\ twice.', Expect(pattern="hello")),
    Prompt("Please recall the code word.", Expect(recalls=True)),
    "Why is node-7 slow?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a run is a function of."""

    seed: int
    contract: str
    users: int
    treated: frozenset[int]
    turns: int
    pace_ms: int
    policy: Policy
    conditions: Conditions
    habits: Habits
    faults: tuple[PlannedFault, ...]
    shape: Shape = "flat"
    #: shares of the turns that are stopped, and during which something else is said
    cancel_share: float = 0.0
    overlap_share: float = 0.0
    #: the server's own count of connections is looked at
    watched: bool = False
    scene: str = STORM
    prompts: tuple[str | Prompt, ...] = PROMPTS
    #: no turn is planned later; 0: as their number and pace say
    lasts_ms: float = 0.0
    #: when the run is killed, turns in flight or not; 0: it ends in order
    killed_at_ms: float = 0.0
    #: a planted defect of the backend, or a mistake of the client; empty: none
    defect: str = ""

    @property
    def turns_end_ms(self) -> float:
        """No turn is planned later."""
        return self.lasts_ms or self.pace_ms * (1 + 1.5 * self.turns)


def plan_of(seed: int, contract: Contract, scene: str = STORM, defect: str = "") -> Plan:
    """The plan of a seed and scene. A defect changes nothing of it: the clean twin is the same plan without."""
    plan = _storm(seed, contract)
    if scene != STORM:
        rng = random.Random(f"{scene}:{contract.name}:{seed}")
        calm = replace(plan, killed_at_ms=0.0, cancel_share=0.0, overlap_share=0.0)
        plan = SCENES[scene](calm, rng, resumes=contract.resumes)
    return replace(plan, scene=scene, defect=defect)


def _storm(seed: int, contract: Contract) -> Plan:
    """Any network, any faults."""
    rng = random.Random(f"simulation:{contract.name}:{seed}")
    users = rng.randint(LEAST_USERS, MOST_USERS)
    pace_ms = rng.randint(*PACE_MS)
    treated = cohorts.treated(seed, users, rng.choice(TREATED_SHARES))
    conditions = Conditions(
        delay_ms=rng.choice((0.2, 2.0, 15.0)),
        jitter_ms=rng.choice((0.0, 0.5, 20.0)),
        split_share=rng.choice((0.0, 0.1, 0.5)),
        capacity_bytes=rng.choice((1_024, 65_536)),
    )
    habits = Habits(fragment_share=rng.choice((0.0, 0.0, 0.1)), ping_ms=rng.choice((0.0, 2_000.0, 20_000.0)))
    policy = Policy(base_ms=rng.choice((50, 100, 200)), cap_ms=rng.choice((800, 1_500)))
    turns = TURNS if contract.resumes else -(-UNRESUMED_MS // pace_ms)
    killed = pace_ms * (rng.uniform(5.2, 6.0) + (turns - TURNS)) if rng.random() < CUT_SHORT_SHARE else 0.0
    return Plan(
        seed=seed, contract=contract.name, users=users, treated=treated, turns=turns, pace_ms=pace_ms, policy=policy,
        conditions=conditions, habits=habits, faults=_faults(rng, resumes=contract.resumes), killed_at_ms=killed,
        cancel_share=CANCEL_SHARE if contract.file.cancel else 0.0,
        overlap_share=OVERLAP_SHARE if contract.file.turn.concurrent else 0.0,
        shape=rng.choice(("flat", "flat", "data", "payload", "wrapped")),
    )  # fmt: skip


def _talk(plan: Plan, rng: random.Random, *, resumes: bool) -> Plan:  # noqa: ARG001  # one signature for all scenes
    """Any network, any faults, and nobody interferes with a turn of his own."""
    return plan


def _stops(plan: Plan, rng: random.Random, *, resumes: bool) -> Plan:  # noqa: ARG001
    """Many turns are stopped."""
    return replace(plan, cancel_share=OFTEN)


def _seconds(plan: Plan, rng: random.Random, *, resumes: bool) -> Plan:  # noqa: ARG001
    """During many turns something else is said."""
    return replace(plan, overlap_share=OFTEN)


def _calm(plan: Plan, rng: random.Random, *, resumes: bool) -> Plan:  # noqa: ARG001
    """Slow, thin and in pieces, but never broken: nothing explains a silence."""
    faults = [(rng.choice(("latency", "slice", "thin")), 2_000.0 + 5_000.0 * number, 3_000.0) for number in range(3)]
    return replace(plan, turns=8, faults=_timed(rng, faults))


def _cuts(plan: Plan, rng: random.Random, *, resumes: bool) -> Plan:
    """Nearly everybody is cut off again and again, for long enough to miss something."""
    kinds = ("down", "drop", "flap", "truncate", "reset") if resumes else ("down", "flap", "reset", "cut")
    faults = [(rng.choice(kinds), 2_500.0 + 4_500.0 * number, rng.uniform(300.0, 900.0)) for number in range(CUTS)]
    return replace(
        plan, users=12, treated=cohorts.treated(plan.seed, 12, 0.75), turns=8, pace_ms=2_500, faults=_timed(rng, faults),
        policy=Policy(base_ms=50, cap_ms=400),
    )  # fmt: skip


def _crowd(plan: Plan, rng: random.Random, *, resumes: bool) -> Plan:
    """A client's habits show where many are lost together, kept out for a while, and some are sent away for good."""
    middle = rng.choice(("truncate", "drop")) if resumes else "cut"
    faults = (
        ("ban", 300.0, 60_000.0),
        ("down", 5_600.0, 3_000.0),
        (middle, 13_000.0, 1_500.0),
        ("flap", 18_000.0, 2_400.0),
    )
    return replace(
        plan, users=32, treated=cohorts.treated(plan.seed, 32, 0.8), turns=7, faults=_timed(rng, faults),
        policy=Policy(base_ms=100, cap_ms=1_500),
    )  # fmt: skip


def _ghosts(plan: Plan, rng: random.Random, *, resumes: bool) -> Plan:  # noqa: ARG001
    """Users who vanish leave half-open connections to a server that asks for them."""
    faults = (("vanish", 4_000.0, 150.0), ("reset", 8_000.0, 500.0))
    return replace(
        plan, turns=8, faults=_timed(rng, faults), conditions=replace(plan.conditions, delay_ms=2.0, jitter_ms=0.5),
        habits=replace(plan.habits, ping_ms=2_000.0, pong_ms=3_000.0), watched=True,
    )  # fmt: skip


def _late(plan: Plan, rng: random.Random, *, resumes: bool) -> Plan:  # noqa: ARG001
    """A slow connection, and one cut."""
    faults = (("latency", 3_000.0, 5_000.0), ("herd", 12_000.0, 100.0))
    planned = tuple(
        replace(fault, amount=rng.uniform(300.0, 600.0), direction="both") if fault.kind == "latency" else fault
        for fault in _timed(rng, faults)
    )
    return replace(plan, faults=planned)


def _sluggish(plan: Plan, rng: random.Random, *, resumes: bool) -> Plan:  # noqa: ARG001
    """Some clients stop reading for a while; everybody else is many."""
    faults = (("jam", 12_000.0, 5_000.0), ("jam", 21_000.0, 5_000.0))
    planned = tuple(replace(fault, direction="down") for fault in _timed(rng, faults))
    return replace(
        plan, users=24, treated=cohorts.treated(plan.seed, 24, 0.25), turns=7, faults=planned,
        conditions=replace(plan.conditions, capacity_bytes=1_024),
    )  # fmt: skip


def _long(plan: Plan, rng: random.Random, *, resumes: bool) -> Plan:  # noqa: ARG001
    """One cut, after a steady time and before a long one."""
    faults = _timed(rng, (("reset", 9_000.0, 500.0),))
    return replace(plan, users=12, treated=cohorts.treated(plan.seed, 12, 0.8), turns=14, pace_ms=3_000, faults=faults)


def _timed(rng: random.Random, faults: Iterable[tuple[str, float, float]]) -> tuple[PlannedFault, ...]:
    return tuple(
        PlannedFault(
            id=f"w{number}", kind=kind, start_ms=at_ms + rng.uniform(0.0, 400.0), duration_ms=duration_ms,
            direction="up" if kind == "drop" else "both", amount=rng.uniform(*FAULTS[kind].amount),
        )
        for number, (kind, at_ms, duration_ms) in enumerate(faults, 1)
    )  # fmt: skip


def _quiet(plan: Plan, rng: random.Random, *, resumes: bool) -> Plan:
    """Slow, thin and in pieces, with so much time between two turns that clients ask whether anybody is there."""
    return replace(_calm(plan, rng, resumes=resumes), turns=4, pace_ms=QUIET_PACE_MS)


class _Scene(Protocol):
    def __call__(self, plan: Plan, rng: random.Random, *, resumes: bool) -> Plan: ...


#: where a defect shows, and nothing else interferes with what it causes
SCENES: dict[str, _Scene] = {
    "calm": _calm,
    "crowd": _crowd,
    "cuts": _cuts,
    "ghosts": _ghosts,
    "late": _late,
    "long": _long,
    "quiet": _quiet,
    "seconds": _seconds,
    "sluggish": _sluggish,
    "stops": _stops,
    "talk": _talk,
}


def _faults(rng: random.Random, *, resumes: bool) -> tuple[PlannedFault, ...]:
    kinds = [kind for kind in FAULTS.values() if not kind.rare and (resumes or not kind.needs_resume)]
    breaking = [kind for kind in kinds if kind.disconnects]
    wanted = rng.randint(LEAST_FAULTS, MOST_FAULTS)
    # Swarm testing: not every kind in every run, but in nearly every run somebody must come back.
    chosen = [rng.choice(breaking if number == 0 and rng.random() < 0.95 else kinds) for number in range(wanted)]
    out: list[PlannedFault] = []
    at_ms = rng.uniform(FIRST_MS, 2 * FIRST_MS)
    trouble_ms = 0.0
    for number, kind in enumerate(rng.sample(chosen, len(chosen)), 1):
        duration_ms = min(rng.uniform(*kind.duration_ms), MOST_TROUBLE_MS - trouble_ms)
        out.append(
            PlannedFault(
                id=f"w{number}", kind=kind.name, start_ms=at_ms, duration_ms=duration_ms, direction=rng.choice(kind.directions),
                amount=rng.uniform(*kind.amount),
            )
        )  # fmt: skip
        trouble_ms += duration_ms
        gap_ms = rng.choice((-0.5 * duration_ms, rng.uniform(0.0, APART_MS), rng.uniform(APART_MS, 2 * APART_MS)))
        clash = any(one.kind == kind.name or FAULTS[one.kind].disconnects for one in out)
        if gap_ms < 0 and clash:
            gap_ms = rng.uniform(0.0, 500.0)  # two that both end connections, or two of a kind, take turns
        if gap_ms >= APART_MS or trouble_ms > 0.8 * MOST_TROUBLE_MS:
            gap_ms, trouble_ms = max(gap_ms, APART_MS), 0.0
        at_ms += duration_ms + gap_ms
    return tuple(fault for fault in out if fault.start_ms < LAST_MS)
