"""When canaries' pings arrived here: the one thing about a way that its other end cannot see."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode

from loadtests.pings import PING_BYTES, named

__all__ = ["Arrivals", "HearingConnection"]

#: a canary sends about ten a second: half an hour of one, and so more than any window with what was before it, in 3 MB and an
#: answer that is made in some 10 ms
MOST = 20_000


class Arrivals:
    """The latest, of all canaries; times are those of the monotonic clock."""

    def __init__(self) -> None:
        self._log: deque[tuple[bytes, int, int]] = deque(maxlen=MOST)

    def note(self, payload: bytes) -> None:
        # Large ones come in bursts of thousands, and say how wide a way is, not how long.
        if len(payload) == PING_BYTES and (ping := named(payload)) is not None:
            self._log.append((*ping, time.monotonic_ns()))

    def of(self, name: str) -> list[tuple[int, int]]:
        """(number of the ping, when it arrived), of the canary with this name in hexadecimal."""
        try:
            asked = bytes.fromhex(name)
        except ValueError:
            return []
        return [(number, at_ns) for whose, number, at_ns in self._log if whose == asked]


class HearingConnection(ServerConnection):
    """A connection that notes when pings arrive, once it is known to be a canary's."""

    arrivals: Arrivals | None = None

    def process_event(self, event: Any) -> None:
        if self.arrivals is not None and isinstance(event, Frame) and event.opcode is Opcode.PING:
            self.arrivals.note(bytes(event.data))
        super().process_event(event)
