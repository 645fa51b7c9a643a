"""Mass disconnect: many clients leave at one moment, without goodbye, and come back as their policy lets them."""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.faults.acting import judge_acts
from chaos.faults.fault import Baseline, Bite, Fault, Measured, Place, Share

__all__ = ["MassDisconnect"]


class MassDisconnect(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "mass-disconnect"
    place: ClassVar[Place] = "client"
    disconnects: ClassVar[bool] = True

    share: Share = 1.0
    how: Literal["fin", "rst"] = "rst"

    def judge(self, before: Baseline, during: Measured) -> Bite:
        del before
        return judge_acts(during.acted)
