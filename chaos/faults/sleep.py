"""Sleep: some clients neither read nor write nor keep time, as a phone in a pocket; then they come back."""

from __future__ import annotations

from typing import ClassVar

from chaos.faults.acting import judge_acts
from chaos.faults.fault import Baseline, Bite, Fault, Measured, Place, Share

__all__ = ["Sleep"]


class Sleep(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "sleep"
    place: ClassVar[Place] = "client"
    may_disconnect: ClassVar[bool] = True
    delays: ClassVar[bool] = True
    holds: ClassVar[bool] = True
    heals_intact: ClassVar[bool] = True

    share: Share = 1.0

    def judge(self, before: Baseline, during: Measured) -> Bite:
        del before
        return judge_acts(during.acted)
