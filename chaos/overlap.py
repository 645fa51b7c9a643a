"""Which faults may be on one cohort at once, and how near each other windows may begin and end. Pure.

What a canary measures must be one fault's doing, or it proves nothing.
"""

from __future__ import annotations

from typing import Protocol

from chaos.faults import Fault

__all__ = ["APART_MS", "Timed", "clash", "may_overlap", "on_backend"]

#: between the edges of two windows on one cohort, so that what each does can be told apart
APART_MS = 1_000
#: groups that may stand beside each other on one cohort, if the kinds differ
BESIDE = frozenset(map(frozenset, ({"shape"}, {"shape", "cut"}, {"shape", "hold"}, {"shape", "door"})))
#: vanishing behind a half-open way is how ghosts are made
GHOSTS = frozenset({"half-open", "mass-disconnect"})
#: what leaves the connections, and so the canary, alive
GENTLE = frozenset({"shape", "hold"})
RULE = "one cut at a time, shapes of different kinds, a hold beside shapes only, actors alone"


class Timed(Protocol):
    """A window, as far as time goes."""

    @property
    def id(self) -> str: ...
    @property
    def cohort(self) -> str: ...
    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...


def on_backend(fault: Fault) -> bool:
    """It touches all sessions."""
    return fault.place in {"backend", "command"}


def may_overlap(one: Fault, other: Fault) -> bool:
    """May two faults be on one cohort at once?"""
    if {one.kind, other.kind} == GHOSTS:
        return True
    if one.kind == other.kind:
        return False
    groups = frozenset({one.group, other.group})
    return groups in BESIDE or _by_the_door(one, other)


def clash(one: Timed, fault: Fault, other: Timed, other_fault: Fault) -> tuple[str, str] | None:
    """Why two windows cannot be in one plan, and what could; ``other`` does not begin earlier."""
    gap_ms = other.start_ms - one.end_ms
    if gap_ms >= APART_MS or (one.cohort != other.cohort and not (on_backend(fault) or on_backend(other_fault))):
        return None
    about = f"{one.id} ({fault.kind}) on {one.cohort}"
    if gap_ms < 0 and not may_overlap(fault, other_fault):
        return f"{other_fault.kind} overlaps {about}", RULE
    if gap_ms < 0 and fault.group in {"cut", "hold"} and other_fault.group == "shape":
        return f"{other_fault.kind} begins inside {about}", "an earlier start: nobody could see it begin"
    if gap_ms >= 0 and {fault.group, other_fault.group} <= GENTLE:
        return None
    if {fault.kind, other_fault.kind} == GHOSTS or _by_the_door(fault, other_fault):
        return None
    near_ms = min(abs(a - b) for a in (one.start_ms, one.end_ms) for b in (other.start_ms, other.end_ms))
    if near_ms < APART_MS:
        return f"{other_fault.kind} begins or ends {near_ms} ms from an edge of {about}", f"{APART_MS} ms between them"
    return None


def _by_the_door(one: Fault, other: Fault) -> bool:
    """A client that is sent away comes back by the door, which is a listener of its own with a canary of its own."""
    by_client = any(fault.group == "cut" and fault.place == "client" for fault in (one, other))
    return by_client and "door" in {one.group, other.group}
