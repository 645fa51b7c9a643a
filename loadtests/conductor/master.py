"""The master of a run on several hosts: makes no load; begins and ends that of its worker hosts, collects what they recorded, judges.

Rows stay with the workers during the run, so a broken link costs nothing but news. What is missing in the end is known by number.
"""

from __future__ import annotations

import time
from typing import Any

from loadtests.conductor.hostoptions import COME_S, LOST_S, bound_to, same_of
from loadtests.conductor.run import DRAIN_MARGIN_S, NS_PER_S, WORKERS_UP_S, Conductor
from loadtests.conductor.watch import Disorder, await_all
from loadtests.errors import PreflightError
from loadtests.hosts.roster import Host, Roster
from loadtests.hosts.server import Door
from loadtests.hosts.wire import TOKEN_VARIABLE, take_token

__all__ = ["Master"]

#: whoever is heard of and delivers nothing for so long is given up too
STALL_S = 60.0
POLL_S = 0.05


class Master(Conductor):
    START_DELAY_NS = 2_000_000_000

    def __init__(self, *arguments: Any) -> None:
        """Raises:
        ConfigError: no token, or an address that is not ours.
        """
        super().__init__(*arguments)
        options = self._p.options
        self._start_ns = 0
        self._roster = Roster(options.workers, same_of(self._p, self._dir), self._dir)
        self._door = Door(bound_to(options), take_token(), self._roster.answer)

    def _open_listeners(self) -> None:
        """Whoever makes no load has nothing that a fault could be on."""

    def _run_load(self) -> None:
        p, roster, expected = self._p, self._roster, self._p.options.workers
        host, port = self._door.address
        self._say(f"waiting for {expected} worker hosts at {host}:{port}; {TOKEN_VARIABLE} lets them in")
        try:
            await_all(
                lambda: roster.all_in("joined", "ready", "running"), COME_S,
                f"not all {expected} worker hosts came within {COME_S:g} s", (self._broken,),
            )  # fmt: skip
            self._facts["workers"] = roster.assign(self._papers.nonce)
            for one in roster.hosts:
                self._say(f"{_named(one)}: {', '.join(one.workers)}")
            rate_per_s = p.scenario.limits.connects_per_s
            await_all(
                lambda: roster.all_in("ready"), WORKERS_UP_S + (p.scenario.users / rate_per_s if rate_per_s else 0),
                "the worker hosts did not become ready", (self._broken,),
            )  # fmt: skip
        except Disorder as error:
            raise PreflightError("worker hosts", str(error)) from None
        self._start_ns = start_ns = self._set_start()
        roster.begin(start_ns)
        watched = (self._broken, self._lookout_now, self._stop_now)
        await_all(
            lambda: roster.all_in("ended"),
            p.scenario.total_s + (start_ns - time.monotonic_ns()) / NS_PER_S + self._drain_s + LOST_S,
            "users did not come to an end", watched,
            lambda: self._progress(*self._where((time.monotonic_ns() - start_ns) / NS_PER_S)),
        )  # fmt: skip

    def _broken(self) -> str:
        if self._guard is not None and not self._guard.alive:
            return "the guard is gone"
        if trouble := self._roster.trouble:
            return trouble
        lost = self._roster.lost(time.monotonic_ns(), LOST_S)
        return f"{_named(lost[0])} was not heard of for {LOST_S:g} s" if lost else ""

    def _lookout_now(self) -> str:
        trouble = self._lookout.trouble_in(self._roster.tally())
        return f"stopped by its own limits: {trouble}" if trouble else ""

    def _drain(self) -> None:
        self._roster.stop(self._reason)
        await_all(
            lambda: self._roster.all_in("ended"),
            self._drain_s + LOST_S,
            "users did not come to an end",
            (self._broken,),
        )

    def _finish(self) -> None:
        try:
            self._collect()
        finally:
            self._facts["hosts"] = self._roster.account(self._start_ns)
            self._door.close()
            super()._finish()

    def _collect(self) -> None:
        """Everything that worker hosts have recorded; whoever is not heard of, or does not go on, is given up."""
        if self._reason != "ended":
            self._roster.end(self._reason)
        if not self._start_ns:
            # Nothing is recorded; but who waits for a start shall hear that there is none.
            self._roster.end(self._reason)
            _wait(
                lambda: all(one.state == "ended" or one.silent_s(time.monotonic_ns()) > 1 for one in self._roster.hosts)
            )
            return
        self._say("collecting what the worker hosts have recorded")
        seen, stalled_at = -1, time.monotonic()
        while any(not one.delivered and one.silent_s(time.monotonic_ns()) <= LOST_S for one in self._roster.hosts):
            have = sum(sum(one.inbox.have.values()) for one in self._roster.hosts)
            if have != seen:
                seen, stalled_at = have, time.monotonic()
            if time.monotonic() - stalled_at > STALL_S + DRAIN_MARGIN_S:
                break
            time.sleep(POLL_S)
        for one in self._roster.hosts:
            self._say(_told(one))


def _named(host: Host) -> str:
    return f"{host.name} ({host.address})"


def _told(host: Host) -> str:
    """What came of it, and how its clock stands."""
    if not host.delivered:
        return f"{_named(host)}: has not delivered; it had {host.tally.rows} rows when last heard of"
    rows = sum(sum(kinds.values()) for kinds in host.wrote.values())
    if host.clock is None:
        return f"{_named(host)}: {rows} rows; its clock was not read"
    one = host.clock
    ahead = f"{one.before.ahead_ns / NS_PER_S:+.6f} s"
    return f"{_named(host)}: {rows} rows; its clock {ahead} to ours, ± {one.bound_ns / 1e6:.3f} ms, drifted {one.drift_ns / 1e6:+.3f} ms"


def _wait(done: Any) -> None:
    deadline = time.monotonic() + LOST_S
    while not done() and time.monotonic() < deadline:
        time.sleep(POLL_S)
