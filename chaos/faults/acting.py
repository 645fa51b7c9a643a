"""What clients do themselves: how many of them, and how it is judged, by what the load processes wrote down."""

from __future__ import annotations

from typing import ClassVar

from chaos.faults.fault import ACTS, Acted, Baseline, Bite, Fault, Measured, Place, Share

__all__ = ["Acting", "judge_acts"]


class Acting(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    place: ClassVar[Place] = "client"

    share: Share = 1.0

    def judge(self, before: Baseline, during: Measured) -> Bite:
        del before
        return judge_acts(during.acted)


def judge_acts(acted: Acted) -> Bite:
    """Confirmed when sessions did it; absent when the load processes say that none did."""
    measured = {
        "what": "sessions that did it",
        "unit": "sessions",
        "value": acted.sessions,
        "of": acted.of,
        "back": acted.ended,
    }
    if not acted.lines:
        return Bite("not-probed", measured | {"reason": "the load processes wrote nothing about it"}, ACTS)
    return Bite("confirmed" if acted.sessions else "absent", measured, ACTS)
