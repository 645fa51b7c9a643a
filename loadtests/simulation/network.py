"""An in-memory byte network: two pipes a connection, and one road, with its weather, for each cohort. Pure.

Bytes of one direction never overtake each other, as TCP promises; everything else may happen to them.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable

from loadtests.simulation.clock import Clock
from loadtests.simulation.pipe import Bite, Conditions, End, Pipe, Weather

__all__ = ["Connection", "Road", "Socket"]


class Socket:
    """One end of a connection, for its owner."""

    __slots__ = ("_connection", "_into", "_out")

    def __init__(self, connection: Connection, out: Pipe, into: Pipe) -> None:
        self._connection, self._out, self._into = connection, out, into

    def attach(self, owner: End) -> None:
        self._into.listener = self._out.writer = owner

    @property
    def has_room(self) -> bool:
        return self._out.has_room

    def send(self, data: bytes) -> None:
        self._out.send(data)

    def close(self) -> None:
        """Send nothing more and hear nothing more; the other end reads what was sent, then the end."""
        self._out.finish()
        self._into.listener = None
        self._out.writer = None
        self._connection.let_go()


class Connection:
    """One TCP connection through one cohort's listener."""

    __slots__ = ("_clock", "_held_by", "alive", "client", "down", "server", "up")

    def __init__(self, clock: Clock, rng: random.Random, conditions: Conditions, up: Weather, down: Weather) -> None:
        self._clock = clock
        self._held_by = 2
        self.alive = True
        self.up = Pipe(clock, rng, conditions, up)
        self.down = Pipe(clock, rng, conditions, down)
        self.down.on_spent = self.up.on_spent = self.sever
        self.client = Socket(self, self.up, self.down)
        self.server = Socket(self, self.down, self.up)

    def reset(self) -> None:
        """Both ends lose it at once, and everything that is under way."""
        self._end(lambda end: end.reset())

    def sever(self) -> None:
        """As a proxy that closes: both ends read the end of the stream, and nothing more."""
        self._end(lambda end: end.eof())

    def finish(self) -> None:
        """Both directions end, behind what is under way."""
        if self.alive:
            self.alive = False
            self.up.finish()
            self.down.finish()

    def orphan(self) -> None:
        """The client is gone for good, and not even the network says so to the server."""
        self.alive = False  # no fault of the road can end it any more
        self.up.deaf = self.down.deaf = True
        client, self.down.listener = self.down.listener, None
        if client is not None:
            self._clock.soon(client.vanish)

    def let_go(self) -> None:
        """One end has closed; what is under way still arrives."""
        self._held_by -= 1
        if not self._held_by:
            self.alive = False

    def _end(self, tell: Callable[[End], None]) -> None:
        self.alive = False
        ends = (self.up.listener, self.down.listener)
        self.up.kill()
        self.down.kill()
        self.up.listener = self.down.listener = None
        for end in ends:
            if end is not None:
                self._clock.soon(lambda end=end: tell(end))  # type: ignore[misc]


class Road:
    """What one cohort's sessions drive on: a listener, its weather, its connections."""

    def __init__(
        self, clock: Clock, rng: random.Random, conditions: Conditions, accept: Callable[[Socket], bool]
    ) -> None:
        self.clock, self.rng, self.conditions = clock, rng, conditions
        self._accept = accept
        self.up, self.down = Weather(), Weather()
        #: a fault has closed the listener
        self.refuses: Bite | None = None
        #: what a fault does to each new connection
        self.greet: Callable[[Connection], None] | None = None
        self.connections: list[Connection] = []

    def connect(self, owner: End) -> Socket | int:
        """A new connection's client end, or the errno of a refusal."""
        if self.refuses is not None:
            self.refuses.touched += 1
            return errno.ECONNREFUSED
        connection = Connection(self.clock, self.rng, self.conditions, self.up, self.down)
        connection.client.attach(owner)
        self.connections.append(connection)
        if self.greet is not None:
            self.greet(connection)
        if not self._accept(connection.server):
            connection.finish()
        return connection.client

    def live(self) -> list[Connection]:
        """Connections that are still there, oldest first."""
        self.connections = [one for one in self.connections if one.alive]
        return list(self.connections)

    def kick(self) -> None:
        """The weather has changed for everybody."""
        for one in self.connections:
            one.up.kick()
            one.down.kick()
