"""Flap: the listener goes down and comes up again, over and over; every time all live connections end."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from chaos.faults.fault import FRESH, PINGS, Baseline, Bite, Fault, Measured, Probe, Step

__all__ = ["Flap"]

HalfPeriod = Annotated[int, msgspec.Meta(ge=100, le=30_000)]


class Flap(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "flap"
    disconnects: ClassVar[bool] = True
    disables: ClassVar[bool] = True
    probe: ClassVar[Probe] = "downs"

    down_ms: HalfPeriod = 500
    up_ms: HalfPeriod = 1500

    def between(self, window_ms: int) -> list[tuple[int, Step]]:
        """It begins with down; what would begin after the window is left out, and the heal brings it up."""
        steps = []
        period_ms = self.down_ms + self.up_ms
        for at_ms in range(0, window_ms, period_ms):
            steps += [(at_ms, Step("disable"))] if at_ms else []
            steps += [(at_ms + self.down_ms, Step("enable"))] if at_ms + self.down_ms < window_ms else []
        return steps

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """A new connection was refused in each of its downs, and the live one ended."""
        refused = during.fresh.count("refused")
        measured = {
            "what": "new connections refused",
            "unit": "connections",
            "value": refused,
            "tried": len(during.fresh),
            "downs": during.cycles,
            "live": during.ended_how or "alive",
        }
        by = f"{FRESH}, one in each down; {PINGS}"
        if before.round_trips_ms and during.answered_ms and not during.ended:
            return Bite("absent", measured, by)
        if not during.fresh or not during.cycles or before.fresh == "refused":
            return Bite("not-probed", measured | {"reason": "no new connection was tried while down"}, by)
        return Bite("confirmed" if refused >= during.cycles else "absent", measured, by)
