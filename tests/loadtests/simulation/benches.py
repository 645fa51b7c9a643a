"""One simulated client whose steps a test writes, and the server's end of its connections."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from typing import Any

from loadtests.simulation.client import Client
from loadtests.simulation.clock import START_NS, Clock
from loadtests.simulation.link import UPGRADED
from loadtests.simulation.network import Road, Socket
from loadtests.simulation.pipe import Conditions
from tests.loadtests.simulation.ears import Ear

__all__ = ["Bench"]


class FakeSession:
    def __init__(self) -> None:
        self.wake: Callable[[], None] = lambda: None
        self.opened_ns = 0
        self.frames: list[bytes] = []

    def opened(self, at_ns: int) -> None:
        self.opened_ns = at_ns

    def frame(self, raw: bytes, _at_ns: int) -> None:
        self.frames.append(raw)


class FakeConversation:
    stopped = False

    def __init__(self) -> None:
        self.closes: list[tuple[int, str]] = []
        self.cuts = 0

    def closed(self, code: int, reason: str, _at_ns: int) -> None:
        self.closes.append((code, reason))

    def cut(self) -> None:
        self.cuts += 1


class Bench:
    """One client whose steps a test writes, and the server's end of its connections."""

    def __init__(self, answer: bytes = UPGRADED) -> None:
        self.clock = Clock()
        self.answer = answer
        self.servers: list[tuple[Socket, Ear]] = []
        self.road = Road(self.clock, random.Random(1), Conditions(delay_ms=1.0), self.accept)
        self.session, self.talk = FakeSession(), FakeConversation()
        self.client = Client(self.session, self.clock, self.road, random.Random(2), b"0  cursor")  # type: ignore[arg-type]
        self.client.conversation = self.talk  # type: ignore[assignment]
        self.answers: list[tuple[float, Any]] = []

    def accept(self, socket: Socket) -> bool:
        ear = Ear()
        socket.attach(ear)
        self.servers.append((socket, ear))
        if self.answer:
            socket.send(self.answer)
        return True

    def perform(self, *requests: Any, ms: float = 20_000.0) -> None:
        def steps() -> Generator[Any, Any, None]:
            for request in requests:
                answer = yield request() if callable(request) else request
                self.answers.append((self.now_ms, answer))

        self.client.start(steps())
        self.run(ms)

    def run(self, ms: float) -> None:
        self.clock.run(self.clock.now_ns + int(ms * 1e6))

    @property
    def now_ms(self) -> float:
        return (self.clock.now_ns - START_NS) / 1e6

    def at_ms(self, ms: float) -> int:
        return START_NS + int(ms * 1e6)
