"""One connection's client end in virtual time: upgrade, frames, close, as ``loadtests.transport`` does it on sockets. Pure.

Frames go through the same splitter and the same library.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

from websockets.client import ClientProtocol
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from loadtests.framing import Splitter
from loadtests.history import ABNORMAL
from loadtests.simulation.clock import Clock
from loadtests.simulation.head import Head
from loadtests.simulation.network import Road, Socket

__all__ = ["Owner", "Wire"]

LIMIT_BYTES = 16 * 1024 * 1024
SWITCHING = b"101"
URI = parse_uri("ws://simulated/")


class Owner(Protocol):
    """Who hears what a transport tells a chat."""

    @property
    def clock(self) -> Clock: ...
    def upgraded(self, wire: Wire) -> None: ...
    def text(self, raw: bytes, at_ns: int) -> None: ...
    def binary(self, raw: bytes, at_ns: int) -> None: ...
    def ended(self, wire: Wire, code: int, reason: str, *, was_open: bool) -> None: ...
    def stop(self) -> None: ...


class Wire:
    """One connection's client end: the network's ``End``. ``owner`` hears of it what a transport tells a chat."""

    def __init__(self, owner: Owner, hello: bytes) -> None:
        self._owner = owner
        self._hello = hello
        self._head = Head()
        self._socket: Socket | None = None
        #: at its end: the beginning of a frame whose end never came
        self.rest = b""
        self.upgraded = self.is_open = self.over = False

    # Made once upgraded: most dials of an outage never come so far.

    @cached_property
    def _protocol(self) -> ClientProtocol:
        return ClientProtocol(URI, state=OPEN, max_size=LIMIT_BYTES)

    @cached_property
    def _splitter(self) -> Splitter:
        return Splitter(self._protocol, LIMIT_BYTES, self._texts, self._binary)

    def connect(self, road: Road) -> int:
        """Begin; the errno of a refusal, or 0."""
        socket = road.connect(self)
        if isinstance(socket, int):
            return socket
        self._socket = socket
        socket.send(self._hello)
        return 0

    def _texts(self, raws: Sequence[bytes], at_ns: int, _: bytes) -> None:
        for raw in raws:
            self._owner.text(raw, at_ns)

    def _binary(self, raw: bytes, at_ns: int) -> None:
        self._owner.binary(raw, at_ns)

    # The network's side

    def data(self, chunk: bytes) -> None:
        if self.over:
            return
        if not self.upgraded:
            read = self._head.feed(chunk)
            if read is None:
                return
            head, chunk = read
            if head != SWITCHING:
                self._finish(int(head), "refused")
                return
            self.upgraded = self.is_open = True
            self._owner.upgraded(self)
        if not chunk:
            return
        self._splitter.feed(chunk, self._owner.clock.now_ns)
        if self._protocol.writes:
            self._flush()
        if self._protocol.close_rcvd is not None or self._protocol.parser_exc is not None:
            self._finish(*self._ending())

    def eof(self) -> None:
        if self.over:
            return
        if self.upgraded:
            self.rest = self._splitter._rest
            self._splitter.finish(self._owner.clock.now_ns)
        self._finish(*self._ending())

    def reset(self) -> None:
        self._finish(ABNORMAL, errno.errorcode[errno.ECONNRESET])

    def vanish(self) -> None:
        """The user is gone, and whoever is at the other end will not be told."""
        self._owner.stop()

    def drained(self) -> None:
        """Writes are never held back here: a chat's messages are few."""

    # The owner's side

    def send(self, frame: bytes) -> None:
        if self.is_open and self._socket is not None and self._protocol.state is OPEN:
            self._socket.send(frame)

    def say_goodbye(self, code: int, reason: str) -> None:
        self._protocol.send_close(code, reason)
        self._flush()

    def abort(self) -> None:
        """Let go at once, and tell nobody."""
        if not self.over:
            self.over = True
            self.is_open = False
            if self._socket is not None:
                self._socket.close()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data and self._socket is not None:
                self._socket.send(data)

    def _ending(self) -> tuple[int, str]:
        if not self.upgraded:
            return ABNORMAL, ""
        error, received = self._protocol.parser_exc, self._protocol.close_rcvd
        text = f"{type(error).__name__}: {error}" if error else ""
        return (ABNORMAL, text) if received is None else (received.code, received.reason or text)

    def _finish(self, code: int, reason: str) -> None:
        if self.over:
            return
        was_open = self.is_open
        self.abort()
        self._owner.ended(self, code, reason, was_open=was_open)
