"""The checkers: one row each. What it counts stands in the findings' own table; here stand its subject, what makes the
plan or the contract require it, and what the history must hold for it to have been exercised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from loadtests.contract.compile import Contract
from loadtests.history import Window

__all__ = ["BUILT", "CHECKERS", "Checker", "Evidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the history holds, in numbers, and what was planned."""

    contract: Contract
    windows: tuple[Window, ...]
    users: int
    events: int
    ordered_turns: int
    pair_events: int
    good_turns: int
    begun_turns: int
    turns: int
    connections: int
    numbered: int
    keyed: int
    claims: int
    named: int
    sessions: int
    outages: int

    @property
    def cuts(self) -> bool:
        return any(window.disconnects for window in self.windows)


Subject = Literal["backend", "client", "harness"]


@dataclass(frozen=True, slots=True)
class Checker:
    """``required`` and ``samples`` derive from contract, plan and history, never from a hand-written list."""

    id: str
    subject: Subject
    required: Callable[[Evidence], bool]
    samples: Callable[[Evidence], int]
    rests_on: str
    #: its claim is void if a fault of the plan had no effect
    needs_effect: bool = False


def _always(_: Evidence) -> bool:
    return True


BUILT = (
    Checker("vocabulary", "backend", _always, lambda e: e.events, "events"),
    Checker("schema", "backend", _always, lambda e: e.events, "events"),
    Checker("complete", "backend", lambda e: bool(e.contract.demanded), lambda e: e.good_turns, "turns that ended well"),
    Checker("order", "backend", lambda e: bool(e.contract.automaton), lambda e: e.ordered_turns, "turns of two events or more"),
    Checker("pairing", "backend", lambda e: bool(e.contract.file.pairs), lambda e: e.pair_events, "events of pairs"),
    Checker("terminal", "backend", _always, lambda e: e.begun_turns, "turns that began"),
    Checker("silence", "backend", _always, lambda e: e.turns + e.connections, "messages and connections"),
    Checker("duplicate", "backend", lambda e: e.contract.has_cursor, lambda e: e.numbered or e.keyed, "events with a number or id"),
    Checker("loss", "backend", lambda e: e.contract.has_cursor, lambda e: e.numbered, "numbered events"),
    Checker("honesty", "backend", lambda e: e.contract.resumes and e.cuts, lambda e: e.claims, "claims of continuity", needs_effect=True),
    Checker("leak", "backend", lambda e: e.users > 1, lambda e: e.events if e.sessions > 1 else 0, "events, with two sessions or more"),
    Checker("phantom", "backend", _always, lambda e: e.named, "events of turns"),
    Checker("close", "backend", _always, lambda e: e.connections, "connections"),
    Checker("reconnect", "backend", lambda e: e.cuts, lambda e: e.outages, "cut sessions", needs_effect=True),
    Checker("self", "harness", _always, lambda _: 1, "the run itself"),
)  # fmt: skip

#: Named in the design and not built yet: never required, never exercised, listed under *not checked*.
_LATER: tuple[tuple[str, Subject], ...] = (
    ("idempotency", "backend"), ("restored", "backend"), ("dead-peers", "backend"), ("control", "backend"),
    ("retries", "client"), ("backoff", "client"), ("herd", "client"), ("sockets", "client"),
)  # fmt: skip

CHECKERS: tuple[Checker, ...] = (
    *BUILT,
    *(Checker(id_, subject, lambda _: False, lambda _: 0, "not yet built") for id_, subject in _LATER),
)
