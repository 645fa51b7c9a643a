"""Jam: bytes are held, nothing is lost; at the heal they arrive intact on the same connection."""

from __future__ import annotations

from typing import ClassVar

from chaos.faults.fault import (
    PINGS,
    Baseline,
    Bite,
    Direction,
    Fault,
    Group,
    Measured,
    Toxic,
    held,
    held_way,
    toxics_of,
)

__all__ = ["Jam"]


class Jam(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "jam"
    group: ClassVar[Group] = "hold"
    may_disconnect: ClassVar[bool] = True
    delays: ClassVar[bool] = True
    holds: ClassVar[bool] = True
    heals_intact: ClassVar[bool] = True
    judges_ways: ClassVar[bool] = True

    direction: Direction = "both"

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        # not ``timeout: 0``: healing that one kills every connection, this one delivers what it held
        return toxics_of(self.direction, "bandwidth", rate=0)

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """No ping of the window came back inside it; ``intact`` says that all came back after the heal."""
        direction, right = held_way(self.direction, during)
        intact = bool(during.held_ms) and not during.lost and during.ended in {"", "heal"}
        measured = {
            "what": "longest ping held",
            "unit": "ms",
            "value": round(max(during.held_ms), 2) if during.held_ms else None,
            "held": during.unanswered,
            "answered": len(during.answered_ms),
            "intact": intact,
            "direction": direction,
        }
        bite = held(measured, before, during)
        if bite.effect == "confirmed" and not right:
            return Bite("absent", measured | {"reason": "it held the other way"}, PINGS)
        return bite
