"""How much is asked of the backend and when: the arrivals' model, the level of load over time, and kinds of users. Data, pure.

Levels are shares of the nominal load, so a ramp, steps or a spike are phases with a level of their own. Time is bent, never
thinned: a schedule is laid out over the area under the level, so the same seed gives the same turns whatever the shape.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import inf, sqrt
from typing import Annotated, Literal

import msgspec

from loadtests.journey import JourneyStep

__all__ = ["Arrivals", "Kind", "Level", "Levels", "Range", "kinds_of"]

NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Range = tuple[NonNegative, NonNegative]
_Level = Annotated[float, msgspec.Meta(ge=0, le=1000)]
#: of the nominal load, all through a phase or from its start to its end; a list, since msgspec 0.22 reads the bounds of a number
#: wrongly where a tuple of two is the other choice
Level = _Level | Annotated[list[_Level], msgspec.Meta(min_length=2, max_length=2)]


class Arrivals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When turns begin.

    ``paced``: each user means to send about every ``pace_ms``, whatever became of the turn before. ``open``: turns arrive from
    outside at a rate, whoever is free takes them, and one that finds nobody free is late or dropped. ``closed``: each user thinks,
    sends and waits, so that a slow backend is asked less; it hides stalls, and says so.
    """

    model: Literal["paced", "open", "closed"] = "paced"
    #: open: of a second, all users together; without it one turn a user and pace
    rate_per_s: Annotated[float, msgspec.Meta(gt=0, le=100_000)] | None = None
    #: open: gaps as if by chance (exponential), or all alike
    schedule: Literal["poisson", "fixed"] = "poisson"
    #: open: an arrival that finds nobody free waits so long, then it is dropped; without it one pace
    late_ms: Annotated[int, msgspec.Meta(ge=0)] | None = None
    #: closed: between a turn's end and the next send, uniform between two bounds
    think_ms: Range = (500.0, 2000.0)


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Users of one kind. What is None is as the scenario has it for all."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    #: how many of them there are, in proportion to the other kinds
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    pace_ms: Annotated[int, msgspec.Meta(ge=1)] | None = None
    think_ms: Range | None = None
    #: false: they stay connected and say nothing
    talks: bool = True
    #: what each of them does in the place of single turns; an empty list: single turns, whatever the others do
    journey: list[JourneyStep] | None = None
    #: how long they stay connected before they say goodbye and come back by a new connection, uniform between two bounds
    stay_s: Range | None = None
    #: how long they are away in between
    away_s: Range = (0.0, 0.0)


class Levels:
    """The level of load over the run, piecewise linear, and the area under it: load time, in milliseconds at level 1."""

    def __init__(self, phases: Iterable[tuple[float, Level]]) -> None:
        """``phases``: (milliseconds, level) each."""
        pieces = [(ms, (level[0], level[1]) if isinstance(level, list) else (level, level)) for ms, level in phases]
        self._levels = [level for _, level in pieces]
        self._starts_ms = [0.0, *accumulate(ms for ms, _ in pieces)]
        self._areas = [0.0, *accumulate(ms * (first + last) / 2 for ms, (first, last) in pieces)]
        #: level 1 throughout: load time is time
        self.flat = all(level == (1.0, 1.0) for level in self._levels)

    @property
    def area(self) -> float:
        """Of the whole run."""
        return self._areas[-1]

    def level(self, at_ms: float) -> float:
        """At a time of the run; outside of it nothing is asked."""
        i = bisect_right(self._starts_ms, at_ms) - 1
        if not 0 <= i < len(self._levels):
            return 0.0
        first, last = self._levels[i]
        return first + (last - first) * (at_ms - self._starts_ms[i]) / (self._starts_ms[i + 1] - self._starts_ms[i])

    def area_at(self, at_ms: float) -> float:
        """Load time up to a time of the run."""
        i = min(max(bisect_right(self._starts_ms, at_ms) - 1, 0), len(self._levels) - 1)
        into_ms = min(max(at_ms, 0.0), self._starts_ms[-1]) - self._starts_ms[i]
        first, last = self._levels[i]
        share = into_ms / (self._starts_ms[i + 1] - self._starts_ms[i])
        return self._areas[i] + into_ms * (first + share * (last - first) / 2)

    def time_of(self, area: float) -> float:
        """When so much load time has passed, in milliseconds of the run; infinite: never within it."""
        if self.flat:
            return area if area < self._areas[-1] else inf
        i = bisect_left(self._areas, area, 1) - 1
        if i >= len(self._levels):
            return inf
        first, last = self._levels[i]
        left, length = area - self._areas[i], self._starts_ms[i + 1] - self._starts_ms[i]
        slope = (last - first) / length
        # Of first·t + slope·t²/2 = left the root that is there for slope 0 too.
        into_ms = 2 * left / (first + sqrt(max(0.0, first * first + 2 * slope * left))) if left > 0 else 0.0
        return self._starts_ms[i] + min(into_ms, length)

    def next_above(self, at_ms: float, least: float) -> float:
        """The first time from ``at_ms`` on at which the level is over ``least``; infinite: there is none."""
        if self.level(at_ms) > least:
            return at_ms
        for i, (first, last) in enumerate(self._levels):
            start_ms, end_ms = self._starts_ms[i], self._starts_ms[i + 1]
            if end_ms <= at_ms or max(first, last) <= least:
                continue
            crossed_ms = (
                start_ms if first > least else start_ms + (end_ms - start_ms) * (least - first) / (last - first)
            )
            if first > least and start_ms < at_ms:
                continue  # it falls, and is below already
            return max(at_ms, crossed_ms)
        return inf


def kinds_of(seed: int, users: int, mix: Sequence[Kind]) -> list[int]:
    """User number -> place of its kind in ``mix``: exactly the weights' shares, as whole users go, dealt out by the seed."""
    if len(mix) <= 1:
        return [0] * users
    whole = sum(kind.weight for kind in mix)
    exact = [users * kind.weight / whole for kind in mix]
    counts = [int(one) for one in exact]
    # The largest remainders take what is left.
    for place in sorted(range(len(mix)), key=lambda i: (counts[i] - exact[i], i))[: users - sum(counts)]:
        counts[place] += 1
    dealt = [place for place, count in enumerate(counts) for _ in range(count)]
    random.Random(f"kinds:{seed}").shuffle(dealt)
    return dealt
