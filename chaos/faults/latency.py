"""Latency: every byte arrives later, with or without jitter; the connection lives on, the heal flushes what is held."""

from __future__ import annotations

from math import sqrt
from statistics import fmean, median
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
    Milliseconds,
    Toxic,
    each_way,
    in_words,
    one_way,
    toxics_of,
)

__all__ = ["Latency"]

#: Toxiproxy itself was late by 0.5 to 1 ms in every trial, so no share alone can be the tolerance of a small delay
SLACK_MS, SLACK_SHARE = 2.0, 0.1
LEAST_INSIDE = 3


class Latency(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "latency"
    group: ClassVar[Group] = "shape"
    delays: ClassVar[bool] = True
    heals_intact: ClassVar[bool] = True
    judges_ways: ClassVar[bool] = True

    latency_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)]
    jitter_ms: Milliseconds = 0
    direction: Direction = "down"

    def __post_init__(self) -> None:
        if self.jitter_ms > self.latency_ms:
            raise ValueError(f"jitter_ms {self.jitter_ms} is more than latency_ms {self.latency_ms}")

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        return toxics_of(self.direction, "latency", latency=self.latency_ms, jitter=self.jitter_ms)

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """The added round trip against what was asked, both ways of a ``both`` together, and then each way that was asked.

        The typical ping must be late enough; the *fastest* one must not be later than asked, because a busy host only
        ever adds. Jitter is judged on the mean, with the width that so few pings allow.
        """
        ways = WAYS[self.direction]
        asked_ms = float(self.latency_ms * len(ways))
        measured = {
            "what": "added round trip",
            "unit": "ms",
            "value": None,
            "asked_ms": asked_ms,
            "pings": len(during.answered_ms),
            "direction": one_way(self.direction),
        }
        if len(before.round_trips_ms) < LEAST_BASELINE or len(during.answered_ms) < LEAST_INSIDE:
            return Bite("not-probed", measured | {"reason": "too few pings were answered"}, PINGS)
        middle = fmean if self.jitter_ms else median
        typical_ms = middle(during.answered_ms) - median(before.round_trips_ms)
        fastest_ms = min(during.answered_ms) - min(before.round_trips_ms)
        measured |= {
            "value": round(typical_ms, 2),
            "fastest_ms": round(fastest_ms, 2),
            "baseline_ms": round(median(before.round_trips_ms), 2),
        }
        tolerance_ms = max(SLACK_MS, SLACK_SHARE * asked_ms)
        slack_ms = tolerance_ms + self._width_ms(len(ways), len(during.answered_ms))
        if typical_ms < asked_ms - slack_ms:
            return Bite("absent", measured, PINGS)
        if each := each_way(before, during, LEAST_INSIDE):
            added_ms = {way: middle(now) - median(was) for way, (was, now) in each.items()}
            measured["direction"] = in_words(added_ms)
            least_ms = self.latency_ms - tolerance_ms - self._width_ms(1, len(during.up_ms))
            if any(added_ms[way] < least_ms for way in ways):
                return Bite("absent", measured | {"reason": ELSEWHERE}, PINGS)
        if fastest_ms > asked_ms + slack_ms:
            return Bite("not-probed", measured | {"reason": "late by more than was asked"}, PINGS)
        return Bite("confirmed", measured, PINGS)

    def _width_ms(self, ways: int, pings: int) -> float:
        """Three standard errors of the mean of a uniform +-jitter, per direction."""
        return 3 * self.jitter_ms * sqrt(ways / (3 * pings))
