"""Faults on the backend itself, or on one of its nodes: killed, paused, restarted. There is no untouched cohort.

They are made by whoever keeps the backend's process: the conductor, for the embedded one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from chaos.faults.fault import FRESH, PINGS, READ_BACK, Baseline, Bite, Fault, Group, Measured, Place, held

__all__ = ["ACTIONS", "CLUSTER", "BackendKill", "BackendPause", "BackendRestart", "NodeKill", "Rollout"]

#: kind -> what its keeper does at the window's start and at its end
ACTIONS: Mapping[str, tuple[str, str]] = {
    "backend-kill": ("kill", "start"),
    "backend-pause": ("pause", "resume"),
    "backend-restart": ("restart", ""),
    "node-kill": ("kill-node", "start-node"),
    "rollout": ("roll", ""),
}
#: those for which one node is not enough
CLUSTER: frozenset[str] = frozenset({"node-kill", "rollout"})
KEEPER = "the keeper's answer"
NO_BASELINE = "no live connection before the fault"


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


class NodeKill(_OnBackend, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """SIGKILL of one node of a cluster, each time of the next, at the window's start, and a new one in its place at its end."""

    kind: ClassVar[str] = "node-kill"
    disconnects: ClassVar[bool] = True

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """The keeper has read back that the node is gone; a connection that is another node's sees nothing of it."""
        lived_on = during.ended != "window"
        measured = _ending("lived on, on another node" if lived_on else f"ended: {during.ended_how}")
        if not before.round_trips_ms or during.ended == "before":
            return Bite("not-probed", measured | {"value": None, "reason": NO_BASELINE}, KEEPER)
        return Bite("confirmed", measured, f"{KEEPER}: {READ_BACK}" if lived_on else f"{KEEPER}; {PINGS}")


class Rollout(_OnBackend, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each node of a cluster in turn ends in order, announces it to its clients, and is started again."""

    kind: ClassVar[str] = "rollout"
    disconnects: ClassVar[bool] = True

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """The live connection ended: whichever node it was on, that one was restarted too."""
        measured = _ending(f"ended: {during.ended_how}" if during.ended else "lived on")
        return _cut(measured, before, during, bitten=True, tried=True)


def _ending(how: str) -> dict[str, Any]:
    return {"what": "the live connection", "unit": "", "value": how}


def _cut(measured: dict[str, Any], before: Baseline, during: Measured, *, bitten: bool, tried: bool) -> Bite:
    by = f"{PINGS}; {FRESH}"
    if not before.round_trips_ms or during.ended == "before":
        return Bite("not-probed", measured | {"reason": NO_BASELINE}, by)
    if during.ended != "window" or not bitten:
        return Bite("absent", measured, by)
    if not tried:
        return Bite("not-probed", measured | {"reason": "no new connection was tried"}, by)
    return Bite("confirmed", measured, by)
