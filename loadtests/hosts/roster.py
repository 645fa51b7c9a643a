"""What a master knows of its worker hosts, and its answer to each of their questions. No sockets and no clock: times come in.

A host is known by the key that its process chose, so whatever connection it comes by it is the same one.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from loadtests.clocks import Alignment
from loadtests.hosts.messages import (
    Answer,
    Ask,
    Beat,
    Chunk,
    Join,
    Now,
    Offer,
    Orders,
    Refused,
    Tally,
    Wanted,
    WhatTime,
)  # fmt: skip
from loadtests.hosts.parcels import Inbox
from loadtests.rundir import HOSTS

__all__ = ["Host", "Roster"]

NS_PER_S = 1_000_000_000


@dataclass(slots=True, kw_only=True)
class Host:
    """One worker host."""

    name: str
    address: str
    processes: int
    inbox: Inbox
    first: int = -1
    state: str = "joined"
    tally: Tally = field(default_factory=Tally)
    trouble: str = ""
    late_ms: int = 0
    heard_ns: int = 0
    clock: Alignment | None = None
    wrote: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def workers(self) -> list[str]:
        """The names of its load processes, as their files have them."""
        return [f"worker-{self.first + place}" for place in range(self.processes)] if self.first >= 0 else []

    @property
    def delivered(self) -> bool:
        return self.inbox.whole

    def silent_s(self, now_ns: int) -> float:
        """Since it was last heard of."""
        return (now_ns - self.heard_ns) / NS_PER_S


class Roster:
    """Of one run. ``same``: what all hosts must have in common with the master, by names a user knows. Safe to share between threads."""

    def __init__(self, expected: int, same: Mapping[str, str], run_dir: Path) -> None:
        self._expected, self._same, self._dir = expected, dict(same), run_dir
        self._hosts: dict[str, Host] = {}
        self._lock = threading.Lock()
        self._nonce = ""
        self._start_ns = 0
        self._stop = self._end = ""

    # -- what hosts ask ----------------------------------------------------------------------------------------------

    def answer(self, ask: Ask, raw: bytes, address: str, now_ns: int) -> Answer:
        """One answer to one question."""
        if isinstance(ask, WhatTime):
            return Now(now_ns)
        with self._lock:
            if isinstance(ask, Join):
                return self._join(ask, address, now_ns)
            host = self._hosts.get(ask.key)
            if host is None:
                return Refused("this host is not of the run")
            host.heard_ns = now_ns
            if isinstance(ask, Beat):
                host.state, host.tally, host.late_ms = ask.state, ask.tally, ask.late_ms
                host.trouble = host.trouble or ask.trouble
                return self._orders(host)
            return self._goods(host, ask, raw)

    def _join(self, ask: Join, address: str, now_ns: int) -> Answer:
        if ask.key in self._hosts:
            return self._orders(self._hosts[ask.key])
        unlike = [
            f"{name}: {theirs} there, {ours} at the master"
            for name, ours in self._same.items()
            if (theirs := ask.same.get(name, "nothing")) != ours
        ]
        if unlike:
            return Refused(f"not the same run ({'; '.join(unlike)}); give the same command on all hosts")
        if len(self._hosts) >= self._expected:
            return Refused(f"all {self._expected} worker hosts are here already")
        name = f"host-{len(self._hosts) + 1}"
        places = {"rows": self._dir / "rows", "own": self._dir / HOSTS / name}
        host = Host(name=name, address=address, processes=ask.processes, inbox=Inbox(places), heard_ns=now_ns)
        self._hosts[ask.key] = host
        return self._orders(host)

    def _orders(self, host: Host) -> Orders:
        workers = sum(one.processes for one in self._hosts.values()) if host.first >= 0 else 0
        return Orders(
            host=host.name, first=host.first, workers=workers, nonce=self._nonce, start_ns=self._start_ns, stop=self._stop,
            end=self._end,
        )  # fmt: skip

    def _goods(self, host: Host, ask: Offer | Chunk, raw: bytes) -> Answer:
        try:
            if isinstance(ask, Offer):
                host.wrote, host.clock = ask.wrote, ask.clock
                host.inbox.expect(ask.parcels)
            else:
                host.inbox.take(ask.folder, ask.name, ask.offset, raw, ask.sha256)
        except (ValueError, OSError) as error:
            host.trouble = host.trouble or f"its files could not be taken: {error}"
            return Refused(host.trouble)
        return Wanted(host.inbox.have, host.inbox.whole)

    # -- what the master says ----------------------------------------------------------------------------------------

    def assign(self, nonce: str) -> int:
        """All are here: number the load processes through, without gap or overlap; how many there are."""
        with self._lock:
            first = 0
            for host in self._hosts.values():
                host.first = first
                first += host.processes
            self._nonce = nonce
            return first

    def begin(self, start_ns: int) -> None:
        with self._lock:
            self._start_ns = start_ns

    def stop(self, why: str) -> None:
        """No more turns; those under way end."""
        with self._lock:
            self._stop = self._stop or why

    def end(self, why: str) -> None:
        """Whatever is under way ends now, and what is recorded is delivered."""
        with self._lock:
            self._end = self._end or why

    # -- what the master sees ----------------------------------------------------------------------------------------

    @property
    def hosts(self) -> list[Host]:
        with self._lock:
            return list(self._hosts.values())

    def all_in(self, *states: str) -> bool:
        """Every expected host is here, and in one of the states."""
        hosts = self.hosts
        return len(hosts) >= self._expected and all(host.state in states for host in hosts)

    @property
    def trouble(self) -> str:
        """What the first host that has any says; empty: none."""
        return next((f"{host.name} ({host.address}): {host.trouble}" for host in self.hosts if host.trouble), "")

    def tally(self) -> Tally:
        """Of all hosts together, as they last said it."""
        return sum((host.tally for host in self.hosts), Tally())

    def lost(self, now_ns: int, after_s: float) -> list[Host]:
        """Those who have not delivered and were not heard of for so long."""
        return [host for host in self.hosts if not host.delivered and host.silent_s(now_ns) > after_s]

    def account(self, start_ns: int) -> list[dict[str, Any]]:
        """For the manifest."""
        return [
            {
                "name": host.name, "address": host.address, "workers": host.workers, "delivered": host.delivered, "wrote": host.wrote,
                "late_ms": host.late_ms, "clock": msgspec.to_builtins(host.clock), "heard_rows": host.tally.rows,
                "heard_turns": host.tally.turns, "heard_s": round((host.heard_ns - start_ns) / NS_PER_S, 3) if start_ns else 0.0,
            }
            for host in self.hosts
        ]  # fmt: skip
