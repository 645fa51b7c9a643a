"""Slow close: the end of a connection is told to the other side only after a while; all else flows."""

from __future__ import annotations

from math import isfinite
from statistics import median
from typing import Annotated, ClassVar

import msgspec

from chaos.faults.fault import READ_BACK, STREAMS, Baseline, Bite, Direction, Fault, Measured, Probe, Toxic, toxics_of

__all__ = ["SlowClose"]

HALVES = "half-closed new connections through this listener"
SLACK_MS, SLACK_SHARE = 20.0, 0.1
WORTH_MS = 300.0


class SlowClose(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "slow-close"
    may_disconnect: ClassVar[bool] = True
    delays: ClassVar[bool] = True
    heals_intact: ClassVar[bool] = True
    probe: ClassVar[Probe] = "close"

    delay_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)]
    direction: Direction = "both"

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        return toxics_of(self.direction, "slow_close", delay=self.delay_ms)

    @property
    def patience_ms(self) -> int:
        return len(STREAMS[self.direction]) * self.delay_ms + 500

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """From closing our half until the other half closed, against the same before the fault."""
        asked_ms = self.delay_ms * len(STREAMS[self.direction])
        seen = [ms for ms in during.closes_ms if isfinite(ms)]
        measured = {
            "what": "half-close to end",
            "unit": "ms",
            "value": round(median(seen), 1) if seen else None,
            "asked_ms": asked_ms,
            "tried": len(during.closes_ms),
            "baseline_ms": None if before.close_ms is None else round(before.close_ms, 1),
            "direction": "both" if self.direction == "both" else READ_BACK,
        }
        if before.close_ms is None or not during.closes_ms:
            reason = "the backend did not close, or nothing was tried"
            return Bite("not-probed", measured | {"reason": reason}, HALVES)
        if seen:
            late_ms = median(seen) - before.close_ms
            slack_ms = max(SLACK_MS, SLACK_SHARE * asked_ms)
            if late_ms < asked_ms - slack_ms:
                return Bite("absent", measured, HALVES)
            return Bite("confirmed", measured, HALVES)
        measured |= {"value": round(during.close_waited_ms, 1), "what": "half-close without an end for at least"}
        if during.close_waited_ms < max(WORTH_MS, 4 * before.close_ms):
            return Bite("not-probed", measured | {"reason": "the window was too short to see it"}, HALVES)
        return Bite("confirmed", measured, HALVES)
