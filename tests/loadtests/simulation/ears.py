"""Ends of simulated connections that only remember, and a road with one connection between two of them."""

from __future__ import annotations

import random

from loadtests.simulation.clock import START_NS, Clock
from loadtests.simulation.network import Road, Socket
from loadtests.simulation.pipe import Conditions

__all__ = ["FAR_NS", "Ear", "Pair"]

FAR_NS = START_NS + 3_600_000_000_000


class Ear:
    """An end that remembers."""

    def __init__(self) -> None:
        self.heard = b""
        self.chunks: list[bytes] = []
        self.ends: list[str] = []
        self.drains = 0

    def data(self, chunk: bytes) -> None:
        self.heard += chunk
        self.chunks.append(chunk)

    def eof(self) -> None:
        self.ends.append("eof")

    def reset(self) -> None:
        self.ends.append("reset")

    def vanish(self) -> None:
        self.ends.append("vanished")

    def drained(self) -> None:
        self.drains += 1


class Pair:
    """A road with one connection, and an ear at each end."""

    def __init__(self, **conditions: float) -> None:
        self.clock = Clock()
        self.client, self.server = Ear(), Ear()
        self.at_server: Socket
        self.road = Road(self.clock, random.Random(7), Conditions(**conditions), self.accept)  # type: ignore[arg-type]
        socket = self.road.connect(self.client)
        assert not isinstance(socket, int)
        self.at_client = socket

    def accept(self, socket: Socket) -> bool:
        self.at_server = socket
        socket.attach(self.server)
        return True

    def run(self, until_ms: float = 0.0) -> None:
        self.clock.run(self.clock.now_ns + int(until_ms * 1e6) if until_ms else FAR_NS)
