"""What planted defects do to a resume: pure functions over the honest answer; None where it gives no occasion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby

from loadtests.backend.eventlog import Claim, Entry
from loadtests.contract.schema import Role

__all__ = [
    "OVERTAKERS",
    "ReplayHook",
    "RewindHook",
    "begins_anew",
    "is_behind",
    "keeps_the_last",
    "repeats_all",
    "repeats_last",
    "replays_nothing",
    "reversed_order",
    "skips_one",
]

#: The events to send after the claim was made.
ReplayHook = Callable[[Claim, Mapping[str, Role]], tuple[Entry, ...] | None]
#: The number up to which the log still knows the stream, whatever the client has seen of it.
RewindHook = Callable[[Claim], int | None]

#: events of these roles may come at any time of a turn that has begun: what they overtake is all that is wrong
OVERTAKERS: frozenset[Role] = frozenset({"thinking", "tool-open", "content"})


def repeats_last(claim: Claim, _roles: Mapping[str, Role]) -> tuple[Entry, ...] | None:
    return (claim.last_had, *claim.missed) if claim.last_had and claim.missed else None


def repeats_all(claim: Claim, _roles: Mapping[str, Role]) -> tuple[Entry, ...] | None:
    return (*claim.had, *claim.missed) if claim.had else None


def skips_one(claim: Claim, _roles: Mapping[str, Role]) -> tuple[Entry, ...] | None:
    middle = (len(claim.missed) - 1) // 2
    return (*claim.missed[:middle], *claim.missed[middle + 1 :]) if claim.missed else None


def keeps_the_last(claim: Claim, _roles: Mapping[str, Role]) -> tuple[Entry, ...] | None:
    return claim.missed[-1:] if len(claim.missed) > 1 else None


def replays_nothing(claim: Claim, _roles: Mapping[str, Role]) -> tuple[Entry, ...] | None:
    return () if claim.missed else None


def reversed_order(claim: Claim, roles: Mapping[str, Role]) -> tuple[Entry, ...] | None:
    """The first stretch in which an event's number says all about its place: no beginning, no result, no end."""
    at = 0
    for free, group in groupby(claim.missed, lambda entry: roles.get(entry.kind) in OVERTAKERS):
        stretch = tuple(group)
        if free and len(stretch) > 1:
            return (*claim.missed[:at], *reversed(stretch), *claim.missed[at + len(stretch) :])
        at += len(stretch)
    return None


def begins_anew(claim: Claim) -> int | None:
    return 0 if claim.after else None


def is_behind(claim: Claim) -> int | None:
    return claim.after - 1 if claim.after > 1 else None
