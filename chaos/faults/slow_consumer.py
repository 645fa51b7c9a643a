"""Slow consumer: some clients stop reading for a while; what the backend does with the unread is the question."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from chaos.faults.acting import Acting, judge_acts
from chaos.faults.fault import ACTS, Baseline, Bite, Group, Measured, Share

__all__ = ["SlowConsumer"]


class SlowConsumer(Acting, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "slow-consumer"
    # any toxic call under a stalled reader wedges Toxiproxy, so nothing may go on beside it
    group: ClassVar[Group] = "actor"
    may_disconnect: ClassVar[bool] = True
    delays: ClassVar[bool] = True
    holds: ClassVar[bool] = True
    heals_intact: ClassVar[bool] = True

    share: Share = 0.1
    #: under so many bytes a session that stand unread with us, on the average, the backend cannot have felt it. The kernel keeps
    #: little for such a session, but 8 to 9 MB fit on the rest of the way, so that an answer must have more.
    least_bytes: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] = 0

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """Sessions stopped reading; and enough stood unread, where that is asked for."""
        del before
        bite = judge_acts(during.acted)
        if bite.effect != "confirmed" or not self.least_bytes:
            return bite
        per_session = (during.acted.held_bytes or 0) // max(1, during.acted.sessions)
        measured = bite.measured | {"unread_bytes_a_session": per_session, "asked_bytes_a_session": self.least_bytes}
        if per_session < self.least_bytes:
            return Bite("not-probed", measured | {"reason": "not reached: too few bytes to fill the way"}, ACTS)
        return Bite("confirmed", measured, ACTS)
