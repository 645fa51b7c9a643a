"""Down: the listener is closed; live connections end at once and new ones are refused until the heal."""

from __future__ import annotations

from typing import ClassVar

from chaos.faults.fault import FRESH, PINGS, Baseline, Bite, Fault, Measured

__all__ = ["Down"]


class Down(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "down"
    disconnects: ClassVar[bool] = True
    disables: ClassVar[bool] = True

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """Every new connection of the window was refused, and a live one, if there was one, ended in it."""
        refused = during.fresh.count("refused")
        was_live = bool(before.round_trips_ms) and during.ended != "before"
        measured = {
            "what": "new connections refused",
            "unit": "connections",
            "value": refused,
            "tried": len(during.fresh),
            "live": (during.ended_how or "alive") if was_live else "not probed",
        }
        by = f"{FRESH}; {PINGS}"
        if during.answered_ms and during.ended != "window":
            return Bite("absent", measured, by)
        if not during.fresh or before.fresh == "refused":
            reason = "no new connection was tried" if not during.fresh else "refused before the fault already"
            return Bite("not-probed", measured | {"reason": reason}, by)
        survived = was_live and during.ended != "window"
        return Bite("absent" if survived or refused < len(during.fresh) else "confirmed", measured, by)
