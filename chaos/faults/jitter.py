"""Jitter: every piece of the way takes a time of its own, around a mean; order stays, connections live on."""

from __future__ import annotations

from math import sqrt
from statistics import fmean, stdev
from typing import Annotated, ClassVar

import msgspec

from chaos.faults.fault import (
    ELSEWHERE,
    LEAST_BASELINE,
    PINGS,
    WAYS,
    Baseline,
    Bite,
    Direction,
    Fault,
    Group,
    Measured,
    Toxic,
    each_way,
    in_words,
    one_way,
    toxics_of,
)

__all__ = ["Jitter"]

LEAST_INSIDE = 8
SLACK_MS = 2.0
#: three standard errors of the standard deviation of a uniform sample, times the root of its size
SPREAD_WIDTH = 1.35


class Jitter(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "jitter"
    group: ClassVar[Group] = "shape"
    delays: ClassVar[bool] = True
    heals_intact: ClassVar[bool] = True
    judges_ways: ClassVar[bool] = True

    #: the delay is uniform between mean less jitter and mean plus jitter
    jitter_ms: Annotated[int, msgspec.Meta(ge=1, le=30_000)]
    #: 0: as much as the jitter, so that the least delay is none
    mean_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0
    direction: Direction = "down"

    def __post_init__(self) -> None:
        if self.mean_ms and self.mean_ms < self.jitter_ms:
            raise ValueError(f"jitter_ms {self.jitter_ms} is more than mean_ms {self.mean_ms}")

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        return toxics_of(self.direction, "latency", latency=self.mean_ms or self.jitter_ms, jitter=self.jitter_ms)

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """The spread of the round trips, and of each way that was asked, with the width that so few pings allow."""
        ways, pings = WAYS[self.direction], len(during.answered_ms)
        asked_ms = self.jitter_ms * sqrt(len(ways) / 3)
        measured = {
            "what": "spread of the round trip (standard deviation)",
            "unit": "ms",
            "value": None,
            "asked_ms": round(asked_ms, 2),
            "pings": pings,
            "direction": one_way(self.direction),
        }
        if len(before.round_trips_ms) < LEAST_BASELINE or pings < LEAST_INSIDE:
            return Bite("not-probed", measured | {"reason": "too few pings were answered"}, PINGS)
        spread_ms, was_ms = stdev(during.answered_ms), stdev(before.round_trips_ms)
        mean_ms = fmean(during.answered_ms) - fmean(before.round_trips_ms)
        measured |= {"value": round(spread_ms, 2), "mean_ms": round(mean_ms, 2), "baseline_ms": round(was_ms, 2)}
        if spread_ms < _least_ms(asked_ms, pings):
            return Bite("absent", measured, PINGS)
        if was_ms > asked_ms / 2:
            return Bite("not-probed", measured | {"reason": "the way was as restless before the fault"}, PINGS)
        each = each_way(before, during, LEAST_INSIDE)
        # of a jitter too small to be told from a calm way, no direction is claimed
        if each and (least_ms := _least_ms(self.jitter_ms / sqrt(3), len(during.up_ms))) > 0:
            measured["direction"] = in_words({way: stdev(now) - stdev(was) for way, (was, now) in each.items()})
            if any(stdev(each[way][1]) < least_ms for way in ways):
                return Bite("absent", measured | {"reason": ELSEWHERE}, PINGS)
        return Bite("confirmed", measured, PINGS)


def _least_ms(asked_ms: float, pings: int) -> float:
    return asked_ms * (1 - SPREAD_WIDTH / sqrt(pings)) - SLACK_MS
