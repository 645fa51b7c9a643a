"""When canaries' pings arrived here: the one thing about a way that its other end cannot see."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode

from loadtests.pings import named

__all__ = ["Arrivals", "HearingConnection"]

#: a canary sends about ten a second
MOST = 20_000


class Arrivals:
    """The latest, of all canaries; times are those of the monotonic clock."""

    def __init__(self) -> None:
        self._log: deque[tuple[bytes, int, int]] = deque(maxlen=MOST)

    def note(self, payload: bytes) -> None:
        if (ping := named(payload)) is not None:
            self._log.append((*ping, time.monotonic_ns()))

    def of(self, name: str) -> list[tuple[int, int]]:
        """(number of the ping, when it arrived), of the canary with this name in hexadecimal."""
        return [(number, at_ns) for whose, number, at_ns in self._log if whose.hex() == name]


class HearingConnection(ServerConnection):
    """A connection that notes when pings arrive, once it is known to be a canary's."""

    arrivals: Arrivals | None = None

    def process_event(self, event: Any) -> None:
        if self.arrivals is not None and isinstance(event, Frame) and event.opcode is Opcode.PING:
            self.arrivals.note(bytes(event.data))
        super().process_event(event)
