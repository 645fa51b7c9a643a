"""Faults on the backend itself: killed, paused, restarted. Everybody meets them, so there is no untouched cohort.

They are made by whoever keeps the backend's process: the conductor, for the embedded one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from chaos.faults.fault import FRESH, PINGS, Baseline, Bite, Fault, Group, Measured, Place, held

__all__ = ["ACTIONS", "BackendKill", "BackendPause", "BackendRestart"]

#: kind -> what its keeper does at the window's start and at its end
ACTIONS: Mapping[str, tuple[str, str]] = {
    "backend-kill": ("kill", "start"),
    "backend-pause": ("pause", "resume"),
    "backend-restart": ("restart", ""),
}


class _OnBackend(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    place: ClassVar[Place] = "backend"
    group: ClassVar[Group] = "actor"


class BackendKill(_OnBackend, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """SIGKILL at the window's start, a new process on the same port and data at its end."""

    kind: ClassVar[str] = "backend-kill"
    disconnects: ClassVar[bool] = True

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """The live connection ended, and no new one was answered."""
        answered = during.fresh.count("answered")
        measured = {
            "what": "new connections without an answer", "unit": "connections", "value": len(during.fresh) - answered,
            "tried": len(during.fresh), "live": during.ended_how or "alive",
        }  # fmt: skip
        return _cut(measured, before, during, bitten=not answered, tried=bool(during.fresh))


class BackendPause(_OnBackend, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """SIGSTOP at the window's start, SIGCONT at its end."""

    kind: ClassVar[str] = "backend-pause"
    may_disconnect: ClassVar[bool] = True
    delays: ClassVar[bool] = True
    holds: ClassVar[bool] = True
    heals_intact: ClassVar[bool] = True

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """No ping came back inside the window."""
        measured = {
            "what": "longest ping held", "unit": "ms", "value": round(max(during.held_ms), 2) if during.held_ms else None,
            "held": during.unanswered, "answered": len(during.answered_ms),
        }  # fmt: skip
        return held(measured, before, during)


class BackendRestart(_OnBackend, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An orderly stop and a start at the window's start."""

    kind: ClassVar[str] = "backend-restart"
    disconnects: ClassVar[bool] = True

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """The live connection ended."""
        measured = {"what": "how the live connection ended", "unit": "ending", "value": during.ended_how or "alive"}
        return _cut(measured, before, during, bitten=True, tried=True)


def _cut(measured: dict[str, Any], before: Baseline, during: Measured, *, bitten: bool, tried: bool) -> Bite:
    by = f"{PINGS}; {FRESH}"
    if not before.round_trips_ms or during.ended == "before":
        return Bite("not-probed", measured | {"reason": "no live connection before the fault"}, by)
    if during.ended != "window" or not bitten:
        return Bite("absent", measured, by)
    if not tried:
        return Bite("not-probed", measured | {"reason": "no new connection was tried"}, by)
    return Bite("confirmed", measured, by)
