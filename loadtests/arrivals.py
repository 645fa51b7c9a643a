"""When turns are meant to be sent. Pure: a schedule is a function of scenario, seed and user, so planned turns can be counted
again from the scenario alone, whatever the run did.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from loadtests.journey import sends
from loadtests.workload import Levels, Range, kinds_of

if TYPE_CHECKING:
    from loadtests.scenario import Scenario

__all__ = ["opened", "paced", "planned", "talking", "thinking", "turns"]


def paced(seed: int, user: int, pace_ms: int, start_ms: float = 0.0, levels: Levels | None = None) -> Iterator[float]:
    """Milliseconds since the run's start at which user number ``user`` means to send; without ``levels`` without end.

    The first is uniform in one pace, so that users do not march in step; gaps are uniform in 0.5-1.5 paces.
    """
    rng = random.Random(f"arrivals:{seed}:{user}")
    at_ms = start_ms + rng.uniform(0.0, pace_ms)
    if levels is None or levels.flat:
        while True:
            yield at_ms
            at_ms += pace_ms * rng.uniform(0.5, 1.5)
    while at_ms < levels.area:
        yield levels.time_of(at_ms)
        at_ms += pace_ms * rng.uniform(0.5, 1.5)


def opened(
    seed: int, users: Sequence[int], rate_per_s: float, schedule: Literal["poisson", "fixed"], levels: Levels
) -> Iterator[tuple[float, int]]:
    """All arrivals of the run in order: milliseconds since its start, and the user whom each is meant for, drawn evenly.

    ``poisson``: exponential gaps of the mean 1 / ``rate_per_s``; ``fixed``: all gaps alike, the first half of one.
    """
    rng = random.Random(f"opened:{seed}")
    per_ms = rate_per_s / 1000
    at_ms = rng.expovariate(per_ms) if schedule == "poisson" else 0.5 / per_ms
    while users and at_ms < levels.area:
        yield levels.time_of(at_ms), users[rng.randrange(len(users))]
        at_ms += rng.expovariate(per_ms) if schedule == "poisson" else 1 / per_ms


def thinking(
    seed: int, user: int, think_ms: Range, now_ms: Callable[[], float], levels: Levels, rank: float
) -> Iterator[float]:
    """The next send after a while of thinking, each drawn when it is asked for; the first at once, but for a random start.

    ``rank``, from 0 to below 1: the user talks while the level is over it.
    """
    rng = random.Random(f"thinking:{seed}:{user}")
    at_ms = now_ms() + rng.uniform(0.0, think_ms[1])
    while (at_ms := levels.next_above(at_ms, rank)) < float("inf"):
        yield at_ms
        at_ms = now_ms() + rng.uniform(*think_ms)


def talking(scenario: Scenario, seed: int) -> list[int]:
    """The users who say anything at all."""
    kinds = kinds_of(seed, scenario.users, scenario.mix)
    return [user for user, kind in enumerate(kinds) if not scenario.mix or scenario.mix[kind].talks]


def planned(scenario: Scenario, seed: int) -> Iterator[tuple[float, int]]:
    """Every turn that is meant to be sent: milliseconds since the run's start, and whose it is; of a closed model there is none
    before it is sent. Not in the order of time.
    """
    model, levels, until_ms = scenario.arrivals.model, scenario.levels, scenario.total_s * 1000
    if model == "open":
        yield from opened(seed, talking(scenario, seed), scenario.rate_per_s, scenario.arrivals.schedule, levels)
    elif model == "paced":
        kinds = kinds_of(seed, scenario.users, scenario.mix)
        for user in talking(scenario, seed):
            for at_ms in paced(seed, user, scenario.pace_of(kinds[user]), levels=levels):
                if at_ms >= until_ms:
                    break
                yield at_ms, user


def turns(scenario: Scenario, seed: int) -> int:
    """How many are planned: one for each arrival, or as many as the steps of its journey send."""
    kinds = kinds_of(seed, scenario.users, scenario.mix)
    journeys = map(scenario.journey_of, range(max(1, len(scenario.mix))))
    each = [len(sends(steps)) if steps else 1 for steps in journeys]
    return sum(each[kinds[user]] for _, user in planned(scenario, seed))
