"""What our own sessions do to themselves while a fault window is open: who plays in which act, and what was done. Pure.

These faults touch only our side: a reader that stops, a phone that sleeps, a network that is left. What they mean as faults
is not known here; the plan's windows arrive as data, and what was done is written down as the proof of their effect.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from loadtests.clocks import Alignment, shifted_record
from loadtests.journal import read_journal

__all__ = ["KINDS", "LEAD_MS", "SUFFIX", "Act", "Cast", "members_of", "read"]

#: done to live sessions; an act of any other kind only sends new connections elsewhere
KINDS = ("slow-consumer", "sleep", "mass-disconnect", "switch")
#: an act begins so much after its window, which the ledger must have told first
LEAD_MS = 50
#: what a reader that stops has room for, from its first connection on. The kernel's own choice grows with what was read before,
#: to several MB, and that of a proxy on the way with it: then a stalled client looks like one that reads.
SLOW_BUFFER_BYTES = 65_536
SUFFIX = ".acts.jsonl"


class Act(msgspec.Struct, frozen=True):
    """One window whose fault our own sessions make; ``listener``: where its sessions connect meanwhile, if not as ever."""

    id: str
    kind: str
    cohort: str
    start_ms: int
    end_ms: int
    asked: dict[str, Any] = {}
    listener: str = ""

    @property
    def share(self) -> float:
        """Of the cohort's sessions."""
        return min(1.0, max(0.0, float(self.asked.get("share", 1.0))))


class Cast:
    """Who plays in which act: a pure function of seed and cohorts, so that all load processes agree without a word.

    ``members``: cohort -> the user numbers of the whole run.
    """

    def __init__(self, acts: Iterable[Act], seed: int, members: Mapping[str, frozenset[int]]) -> None:
        self.acts = tuple(acts)
        self._sessions = {act.id: _drawn(act, seed, members.get(act.cohort, frozenset())) for act in self.acts}
        self._routed = tuple(act for act in self.acts if act.listener)

    def sessions(self, act: Act) -> frozenset[int]:
        return self._sessions[act.id]

    def receive_buffer_bytes(self, number: int) -> int:
        """Of the sockets of a user; 0: the system's choice."""
        slow = any(act.kind == "slow-consumer" and number in self._sessions[act.id] for act in self.acts)
        return SLOW_BUFFER_BYTES if slow else 0

    def listener(self, cohort: str, number: int, at_ms: float) -> str:
        """Where a session's new connection goes at a time of the run: its cohort's own listener, or an act's."""
        for act in self._routed:
            inside = act.start_ms <= at_ms < act.end_ms and act.cohort == cohort
            if inside and number in self._sessions[act.id]:
                return act.listener
        return cohort


def _drawn(act: Act, seed: int, members: frozenset[int]) -> frozenset[int]:
    count = round(len(members) * act.share)
    if act.share > 0 and members:
        count = max(1, count)
    return frozenset(random.Random(f"act:{seed}:{act.id}").sample(sorted(members), count))


def members_of(treated: frozenset[int], users: int) -> dict[str, frozenset[int]]:
    """The cohorts of a run as user numbers."""
    return {"treated": treated, "control": frozenset(range(users)) - treated}


def read(run_dir: Path, clocks: Mapping[str, Alignment] = MappingProxyType({})) -> list[dict[str, Any]]:
    """What the load processes wrote down: ``{id, kind, cohort, act: begin|end, at_ns, sessions, of, …}``, in order of time.

    ``clocks``: by load process, of hosts whose clock is not the master's; all times here are in the master's.
    """
    lines = []
    for file in sorted((run_dir / "rows").glob(f"*{SUFFIX}")):
        clock = clocks.get(file.name.removesuffix(SUFFIX))
        lines += [shifted_record(line, clock) if clock else line for line in read_journal(file)]
    whole = [line for line in lines if isinstance(line.get("at_ns"), int)]
    return sorted(whole, key=lambda line: int(line["at_ns"]))
