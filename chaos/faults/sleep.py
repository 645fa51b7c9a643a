"""Sleep: some clients neither read nor write nor keep time, as a phone in a pocket; then they come back."""

from __future__ import annotations

from typing import ClassVar

from chaos.faults.acting import Acting

__all__ = ["Sleep"]


class Sleep(Acting, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "sleep"
    may_disconnect: ClassVar[bool] = True
    delays: ClassVar[bool] = True
    holds: ClassVar[bool] = True
    heals_intact: ClassVar[bool] = True
