"""Reset: live connections end by a true RST (ECONNRESET on both sides); new ones are ordinary again at once.

Only a listener that was armed before anybody connected can do it: Toxiproxy sets SO_LINGER to 0 when a connection starts
with such a toxic, whatever its toxicity, and closing the listener then resets. The price: an ordinary close of an armed
connection is a reset too.
"""

from __future__ import annotations

from typing import ClassVar

from chaos.faults.fault import PINGS, Baseline, Bite, Fault, Measured, Step

__all__ = ["Reset"]


class Reset(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "reset"
    disconnects: ClassVar[bool] = True
    disables: ClassVar[bool] = True
    arms: ClassVar[bool] = True

    @property
    def begin(self) -> tuple[Step, ...]:
        return (Step("disable"), Step("enable"))

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """The live connection ended by a reset, and not by an end of file."""
        measured = {
            "what": "how the live connection ended",
            "unit": "ending",
            "value": during.ended_how or "alive",
            "direction": "seen by the client",
        }
        if not before.round_trips_ms or during.ended == "before":
            return Bite("not-probed", measured | {"reason": "no live connection before the fault"}, PINGS)
        bitten = during.ended == "window" and during.ended_how == "reset"
        return Bite("confirmed" if bitten else "absent", measured, PINGS)
