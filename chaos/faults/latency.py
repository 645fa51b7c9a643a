"""Latency: every byte arrives later, with or without jitter; the connection lives on, the heal flushes what is held."""

from __future__ import annotations

from math import sqrt
from statistics import fmean, median
from typing import Annotated, ClassVar

import msgspec

from chaos.faults.fault import (
    LEAST_BASELINE,
    PINGS,
    Baseline,
    Bite,
    Direction,
    Fault,
    Group,
    Measured,
    Milliseconds,
    Toxic,
    Way,
    added,
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

    latency_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)]
    jitter_ms: Milliseconds = 0
    direction: Direction = "down"

    def __post_init__(self) -> None:
        if self.jitter_ms > self.latency_ms:
            raise ValueError(f"jitter_ms {self.jitter_ms} is more than latency_ms {self.latency_ms}")

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        return toxics_of(self.direction, "latency", latency=self.latency_ms, jitter=self.jitter_ms)

    @property
    def _ways(self) -> tuple[Way, ...]:
        return ("up", "down") if self.direction == "both" else (self.direction,)

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """The added round trip against what was asked, both ways of a ``both`` together.

        The typical ping must be late enough; the *fastest* one must not be later than asked, because a busy host only
        ever adds. Jitter is judged on the mean, with the width that so few pings allow.
        """
        ways = len(self._ways)
        asked_ms = float(self.latency_ms * ways)
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
        # three standard errors of the mean of a uniform +-jitter, per direction
        width_ms = 3 * self.jitter_ms * sqrt(ways / (3 * len(during.answered_ms)))
        slack_ms = max(SLACK_MS, SLACK_SHARE * asked_ms) + width_ms
        if typical_ms < asked_ms - slack_ms:
            return Bite("absent", measured, PINGS)
        if ways_ms := added(before, during, middle, LEAST_INSIDE):
            measured["direction"] = f"measured up {ways_ms['up']:+.1f} ms, down {ways_ms['down']:+.1f} ms"
            one_width_ms = 3 * self.jitter_ms * sqrt(1 / (3 * len(during.answered_ms)))
            least_ms = self.latency_ms - max(SLACK_MS, SLACK_SHARE * self.latency_ms) - one_width_ms
            if any(ways_ms[way] < least_ms for way in self._ways):
                return Bite("absent", measured | {"reason": "it went the other way"}, PINGS)
        if fastest_ms > asked_ms + slack_ms:
            return Bite("not-probed", measured | {"reason": "late by more than was asked"}, PINGS)
        return Bite("confirmed", measured, PINGS)
