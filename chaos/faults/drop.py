"""Drop: a black hole; bytes are thrown away, and the heal closes every connection of that direction."""

from __future__ import annotations

from typing import ClassVar

from chaos.faults.fault import PINGS, Baseline, Bite, Direction, Fault, Measured, Toxic, held_way, toxics_of

__all__ = ["Drop"]


class Drop(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "drop"
    disconnects: ClassVar[bool] = True
    judges_ways: ClassVar[bool] = True

    direction: Direction = "both"

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        return toxics_of(self.direction, "timeout", timeout=0)

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """No ping of the window ever came back, and the connection ended."""
        direction, right = held_way(self.direction, during)
        measured = {
            "what": "pings lost",
            "unit": "pings",
            "value": during.lost,
            "answered": len(during.answered_ms) + len(during.held_ms),
            "ended": during.ended or "not",
            "direction": direction,
        }
        if during.answered_ms or during.held_ms:
            return Bite("absent", measured, PINGS)
        if not during.lost or not before.round_trips_ms:
            return Bite("not-probed", measured | {"reason": "no ping was sent on a live connection"}, PINGS)
        if not during.ended:
            return Bite("not-probed", measured | {"reason": "the heal did not end the connection"}, PINGS)
        if not right:
            return Bite("absent", measured | {"reason": "it swallowed what went the other way"}, PINGS)
        return Bite("confirmed", measured, PINGS)
