"""A host over a backend that notes what it is told, and one client that speaks bytes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from websockets.client import ClientProtocol
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from loadtests.backend.manager import Parcel
from loadtests.backend.world import World
from loadtests.simulation.clock import Clock
from loadtests.simulation.head import HELLO_END
from loadtests.simulation.host import Host
from loadtests.simulation.link import Habits
from loadtests.simulation.network import Road
from loadtests.simulation.pipe import Conditions
from tests.loadtests.simulation.ears import Ear

__all__ = ["Fake", "Scene"]


class Fake:
    """A backend that notes what it is told."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.links: list[Any] = []
        self.users: list[tuple[str, bool]] = []
        self.heard: list[bytes] = []
        self.lost_ones: list[tuple[int, bool]] = []
        self.idled = 0
        self.open = True

    def admits(self) -> bool:
        return self.open

    def connected(self, link: Any, user: str, *, cursor: bool) -> bool:
        self.links.append(link)
        self.users.append((user, cursor))
        return True

    def received(self, _link: Any, raw: bytes) -> None:
        self.heard.append(raw)

    def lost(self, _link: Any, unsent: Sequence[Parcel], *, cut: bool) -> None:
        self.lost_ones.append((len(unsent), cut))

    def idle(self, _link: Any) -> None:
        self.idled += 1

    def sweep(self) -> None:
        pass

    @property
    def connections(self) -> int:
        return len(self.links) - len(self.lost_ones)


class Scene:
    """A host, and one client that speaks bytes."""

    def __init__(self, *, capacity_bytes: int = 65_536, **habits: float) -> None:
        self.clock = Clock()
        self.built: list[Fake] = []
        self.host = Host(self.clock, random.Random(1), 0, Habits(**habits), self.build)
        self.road = Road(self.clock, random.Random(2), Conditions(capacity_bytes=capacity_bytes), self.host.accept)
        self.ear = Ear()
        self.socket: Any = self.road.connect(self.ear)

    def build(self, world: World) -> Any:
        self.built.append(Fake(world))
        return self.built[-1]

    @property
    def backend(self) -> Fake:
        return self.built[-1]

    def run(self, ms: float) -> None:
        self.clock.run(self.clock.now_ns + int(ms * 1e6))

    def upgrade(self, hello: bytes = b"3 user3 cursor") -> None:
        self.socket.send(hello + HELLO_END)
        self.run(5)

    def say_close(self, code: int) -> None:
        protocol = ClientProtocol(parse_uri("ws://x/"), state=OPEN)
        protocol.send_close(code, "")
        for data in protocol.data_to_send():
            self.socket.send(data)
