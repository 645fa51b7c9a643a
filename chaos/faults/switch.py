"""Switch: the old way jams, and the client comes back at once by another, as a phone that leaves a wireless network."""

from __future__ import annotations

from typing import ClassVar

from chaos.faults.acting import Acting, judge_acts
from chaos.faults.fault import ACTS, PINGS, Baseline, Bite, Effect, Measured, Toxic, held, toxics_of

__all__ = ["Switch"]


class Switch(Acting, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "switch"
    disconnects: ClassVar[bool] = True
    holds: ClassVar[bool] = True
    extra: ClassVar[str] = "alt"

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        return toxics_of("both", "bandwidth", rate=0)

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """Sessions moved, and nothing passed on the way that they left."""
        moved = judge_acts(during.acted)
        jam = held({"held": during.unanswered, "answered": len(during.answered_ms)}, before, during)
        measured = jam.measured | moved.measured
        seen = {moved.effect, jam.effect}
        worst: Effect = "absent" if "absent" in seen else "not-probed" if "not-probed" in seen else "confirmed"
        return Bite(worst, measured, f"{ACTS}; {PINGS} that they left")
