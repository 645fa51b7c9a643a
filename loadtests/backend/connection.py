"""One live connection: an outbox that a task pumps into the socket, so that no slow client holds up anybody."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from loadtests.backend.commits import AtOnce, Durability
from loadtests.backend.manager import Parcel

__all__ = ["CLOSE_TIMEOUT_S", "SocketLink"]

MOST_WAITING = 1_000
CLOSE_TIMEOUT_S = 2.0


class SocketLink:
    """The manager's ``Link`` over a websocket."""

    def __init__(
        self,
        socket: ServerConnection,
        now_s: float,
        gate: asyncio.Lock | None = None,
        durability: Durability | None = None,
    ) -> None:
        self.stream = ""
        self.user = ""
        #: when the client was last heard, or told that we are here
        self.heard_s = now_s
        self.welcomed = False
        #: of its client's token
        self.era = 0
        #: somebody who only looks whether there is a way
        self.observes = False
        #: it was we who closed
        self.closed_by_us = False
        self._socket = socket
        #: what all connections send through; only a planted defect has one
        self._gate = gate or contextlib.nullcontext()
        self._durability = durability or AtOnce()
        #: what is to be sent, and how much of the log must be safe before
        self._outbox: deque[tuple[Parcel, int]] = deque()
        self._wake = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._refuses = False

    def put(self, parcel: Parcel, *, whole: bool = False) -> bool:
        if self._refuses or self._socket.state is not State.OPEN:
            return False
        if len(self._outbox) >= MOST_WAITING and not whole:
            return False
        self._outbox.append((parcel, self._durability.written))
        # What comes after a planted close finds no connection.
        self._refuses = bool(parcel.close_code)
        self._wake.set()
        return True

    def close(self, code: int, reason: str) -> None:
        if not self._closing:
            self._refuses = True
            self._closing = asyncio.create_task(self._say_goodbye(code, reason))
            self._wake.set()

    def unsent(self) -> list[Parcel]:
        """What was taken and not handed to the network, in order."""
        return [parcel for parcel, _ in self._outbox]

    @property
    def closing(self) -> bool:
        """Goodbye is being said: what comes now comes too late."""
        return self._closing is not None

    async def pump(self) -> None:
        """Send until told to close; ends by itself when the connection does."""
        try:
            while not self._closing:
                while self._outbox and not self._closing:
                    parcel, mark = self._outbox[0]
                    await self._durability.reached(mark)
                    if self._closing:
                        break
                    if self._socket.state is not State.OPEN:
                        return
                    async with self._gate:
                        await self._socket.send(parcel.frame, text=True)
                    self._outbox.popleft()
                    if parcel.close_code:
                        self.close(parcel.close_code, "")
                if not self._closing:
                    self._wake.clear()
                    await self._wake.wait()
        except ConnectionClosed:
            self._refuses = True

    async def _say_goodbye(self, code: int, reason: str) -> None:
        self.closed_by_us = True
        try:
            # The library bounds the handshake but not the wait for a peer that reads nothing.
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._socket.close(code, reason)
        except TimeoutError:
            self._socket.transport.abort()
