"""Mass disconnect: many clients leave at one moment, without goodbye, and come back as their policy lets them."""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.faults.acting import Acting

__all__ = ["MassDisconnect"]


class MassDisconnect(Acting, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "mass-disconnect"
    disconnects: ClassVar[bool] = True

    how: Literal["fin", "rst"] = "rst"
