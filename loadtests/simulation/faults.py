"""The faults of the simulated network, as a table: what each begins, what its heal ends, and what it may explain. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from loadtests.simulation.clock import START_NS
from loadtests.simulation.host import Host
from loadtests.simulation.network import Connection, Road
from loadtests.simulation.pipe import Bite, Weather

__all__ = ["FAULTS", "Kind", "PlannedFault", "Site"]

Direction = Literal["up", "down", "both"]
NS_PER_MS = 1_000_000
SLACK_MS = 500.0
MOST_PASSED_BYTES = 1_500  # a few events: so that the cut falls into one
FLAPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault:
    """One fault of a plan, in milliseconds since the run's start."""

    id: str
    kind: str
    start_ms: float
    duration_ms: float
    direction: Direction = "both"
    #: the kind's own measure: milliseconds, bytes, bytes per second, times, share; 0: as it comes
    amount: float = 0.0


@dataclass(slots=True, kw_only=True)
class Site:
    """Where one fault does its work."""

    fault: PlannedFault
    bite: Bite
    road: Road
    #: of all cohorts
    roads: Sequence[Road]
    host: Host
    rng: random.Random
    #: only when nothing is under way to the client: for a wire whose backend cannot know what was swallowed
    quietly: bool = False

    @property
    def is_past(self) -> bool:
        """Whoever waited for quiet until long after the window is spared: nobody would believe that it was this fault."""
        end_ms = self.fault.start_ms + self.fault.duration_ms + SLACK_MS
        return self.road.clock.now_ns > START_NS + int(end_ms * NS_PER_MS)

    @property
    def weathers(self) -> list[Weather]:
        both = {"up": [self.road.up], "down": [self.road.down], "both": [self.road.up, self.road.down]}
        return both[self.fault.direction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One row. ``disconnects`` and ``swallows`` mean what they mean of a ``history.Window``."""

    name: str
    begin: Callable[[Site], None]
    heal: Callable[[Site], None]
    #: bounds of a plan: how long, and how much of its own measure
    duration_ms: tuple[float, float]
    amount: tuple[float, float] = (0.0, 0.0)
    disconnects: bool = False
    swallows: bool = False
    directions: tuple[Direction, ...] = ("both",)
    #: it hits the control cohort too
    everybody: bool = False
    #: only in plans that need it
    rare: bool = False
    #: the backend under a contract without resume cannot make it good, by design
    needs_resume: bool = False


def _nothing(_site: Site) -> None:
    """Some faults are over by themselves."""


def _clear_up(site: Site) -> None:
    """Bytes fare as before, as far as this fault is concerned."""
    for weather in site.weathers:
        weather.end(site.bite)


def _late(site: Site) -> None:
    site.bite.extra_ms = site.fault.amount
    site.bite.jitter_ms = site.fault.amount * site.rng.random()
    for weather in site.weathers:
        weather.late = site.bite


def _slice(site: Site) -> None:
    site.bite.piece_bytes = max(1, int(site.fault.amount))
    site.bite.extra_ms = 0.2
    for weather in site.weathers:
        weather.slicer = site.bite


def _thin(site: Site) -> None:
    site.bite.rate_bytes_per_s = int(site.fault.amount)
    for weather in site.weathers:
        weather.thin = site.bite


def _jam(site: Site) -> None:
    for weather in site.weathers:
        weather.jam = site.bite


def _flow(site: Site) -> None:
    _clear_up(site)
    site.road.kick()


def _swallow(site: Site) -> None:
    for weather in site.weathers:
        weather.hole = site.bite


def _sever_all(site: Site) -> None:
    """As Toxiproxy: the heal of a black hole ends every connection that went through it."""
    _clear_up(site)
    for connection in site.road.live():
        connection.sever()


def _each(act: Callable[[Connection], None]) -> Callable[[Site], None]:
    """Every live connection, each at a moment of its own within the window."""

    def begin(site: Site) -> None:
        for connection in site.road.live():
            at_ms = site.rng.uniform(0.0, site.fault.duration_ms)
            site.road.clock.after_ms(at_ms, lambda one=connection: _end(site, one, act))  # type: ignore[misc]

    return begin


def _end(site: Site, connection: Connection, act: Callable[[Connection], None]) -> None:
    if not connection.alive or site.is_past:
        return
    if site.quietly and connection.down.in_flight:
        connection.down.on_quiet = lambda: _end(site, connection, act)
        return
    site.bite.touched += 1
    if site.quietly and act is Connection.finish:
        act = Connection.sever  # told at once, before the backend writes into what nobody reads any more
    act(connection)


def _truncate(site: Site) -> None:
    """So many bytes still pass, then the line breaks: nearly always inside a frame. Given a number, new lines break too."""
    for connection in site.road.live():
        _limit(site, connection)
    if site.fault.amount:
        site.road.greet = lambda connection: _limit(site, connection)


def _limit(site: Site, connection: Connection) -> None:
    pipe = connection.up if site.fault.direction == "up" else connection.down
    pipe.allowed = int(site.fault.amount) or site.rng.randint(1, MOST_PASSED_BYTES)
    pipe.on_spent = lambda: _end(site, connection, Connection.sever)


def _unlimited(site: Site) -> None:
    site.road.greet = None
    for connection in site.road.live():
        connection.up.allowed = connection.down.allowed = None


def _herd(site: Site) -> None:
    """Everybody, or a share, at once, and the listener stays open: they all come back at once."""
    live = site.road.live()
    if live and 0 < site.fault.amount < 1:
        live = site.rng.sample(live, max(1, round(len(live) * site.fault.amount)))
    for connection in live:
        _end(site, connection, Connection.reset)


def _close_listener(site: Site) -> None:
    site.road.refuses = site.bite
    for connection in site.road.live():
        _end(site, connection, Connection.reset)


def _open_listener(site: Site) -> None:
    site.road.refuses = None


def _flap(site: Site) -> None:
    """Down and up, several times; the last time up is the heal's."""
    flaps = int(site.fault.amount) or FLAPS
    step_ms = site.fault.duration_ms / (2 * flaps)
    for number in range(flaps):
        site.road.clock.after_ms(2 * number * step_ms, lambda: _close_listener(site))
        site.road.clock.after_ms((2 * number + 1) * step_ms, lambda: _open_listener(site))


def _kill(site: Site) -> None:
    site.host.kill()
    for road in site.roads:
        for connection in road.live():
            site.bite.touched += 1
            connection.reset()


def _start(site: Site) -> None:
    site.host.start()


def _ban(site: Site) -> None:
    """Some clients lose their right to come: the server sends them away for good in their next pause."""
    served = [link.client for link in site.host.links if link.welcomed]
    for number in site.rng.sample(served, min(len(served), max(1, int(site.fault.amount)))):
        site.bite.touched += 1
        site.host.banned.add(number)


def _vanish(site: Site) -> None:
    """Some users are gone without a word: a half-open connection is left to the server."""
    live = [one for one in site.road.live() if one.down.listener is not None]
    for connection in site.rng.sample(live, min(len(live), max(1, int(site.fault.amount)))):
        site.bite.touched += 1
        connection.orphan()


_ROWS = (
    Kind(name="latency", begin=_late, heal=_clear_up, duration_ms=(500, 4_000), amount=(20, 600), directions=("up", "down", "both")),
    Kind(name="slice", begin=_slice, heal=_clear_up, duration_ms=(500, 3_000), amount=(1, 60), directions=("down", "both")),
    Kind(name="thin", begin=_thin, heal=_clear_up, duration_ms=(500, 3_000), amount=(2_000, 20_000), directions=("down",)),
    Kind(name="jam", begin=_jam, heal=_flow, duration_ms=(200, 3_000), directions=("up", "down", "both"), swallows=True),
    Kind(
        name="drop", begin=_swallow, heal=_sever_all, duration_ms=(200, 3_000), directions=("up", "down", "both"), disconnects=True,
        swallows=True, needs_resume=True,
    ),
    Kind(name="reset", begin=_each(Connection.reset), heal=_nothing, duration_ms=(100, 3_000), disconnects=True, swallows=True),
    Kind(name="cut", begin=_each(Connection.finish), heal=_nothing, duration_ms=(100, 3_000), disconnects=True, swallows=True),
    Kind(
        name="truncate", begin=_truncate, heal=_unlimited, duration_ms=(500, 3_000), disconnects=True, swallows=True, needs_resume=True
    ),
    Kind(name="down", begin=_close_listener, heal=_open_listener, duration_ms=(200, 3_000), disconnects=True, swallows=True),
    Kind(name="flap", begin=_flap, heal=_open_listener, duration_ms=(600, 3_000), disconnects=True, swallows=True),
    Kind(name="herd", begin=_herd, heal=_nothing, duration_ms=(50, 200), disconnects=True, swallows=True),
    Kind(
        name="restart", begin=_kill, heal=_start, duration_ms=(200, 2_000), disconnects=True, swallows=True, needs_resume=True,
        everybody=True,
    ),
    Kind(
        name="vanish", begin=_vanish, heal=_nothing, duration_ms=(100, 200), amount=(2, 4), rare=True
    ),
    Kind(
        name="ban", begin=_ban, heal=_nothing, duration_ms=(5_000, 6_000), amount=(3, 6), disconnects=True, everybody=True, rare=True
    ),
)  # fmt: skip

FAULTS: dict[str, Kind] = {kind.name: kind for kind in _ROWS}
