"""A canary on one listener: pings over a live WebSocket, and bursts when asked, from a thread of its own.

Plain blocking sockets and websockets' Sans-I/O client; it reads and throws away every frame, so that it never stalls
Toxiproxy, and it sends no chat message. What its sightings mean is the faults' matter.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Literal

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from chaos.faults.fault import Way
from chaos.faults.slicer import WIDE_BYTES
from chaos.reading import Burst, Ping, Sightings
from chaos.wire import connect, flush, receive, upgrade
from loadtests.dial import Dial
from loadtests.pings import named, new_name, numbered

__all__ = ["Canary"]

CONNECT_S = 3.0
PING_GAP_S = 0.1
#: a ping that is not answered does not keep the next one back for longer
PATIENCE_S = 0.25
#: nor does a burst, for longer than this
BURST_S = 4.0
#: header and mask of a control frame from the client, and header of one from the server
HEAD_UP, HEAD_DOWN = 6, 2
#: a pong that nobody asked for, to fill the way up
FILLER = b"\xff" * WIDE_BYTES


@dataclass(slots=True)
class Canary:
    """One live connection of a listener; a fault that cuts uses it up."""

    dial: Dial
    seen: Sightings = field(default_factory=Sightings, repr=False)
    #: in all its pings
    name: bytes = field(default_factory=new_name, repr=False)
    _socket: socket.socket | None = field(default=None, repr=False)
    _asked: queue.SimpleQueue[tuple[Way | Literal["wide"], int]] = field(default_factory=queue.SimpleQueue, repr=False)
    _wide: int = 0
    _reads: int = 0
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)

    def open(self, timeout_s: float = CONNECT_S) -> bool:
        """Connect, upgrade and start to ping; False: the backend was not reached, or refused the upgrade."""
        try:
            self._socket = connect(self.dial, timeout_s)
            protocol = upgrade(self.dial, self._socket, timeout_s)
        except (OSError, EOFError, WebSocketException, ValueError):
            self.close()
            return False
        self._thread = threading.Thread(target=self._live, args=(protocol,), name="canary", daemon=True)
        self._thread.start()
        return True

    @property
    def alive(self) -> bool:
        return self._socket is not None and self.seen.ended is None and not self._stop.is_set()

    def burst(self, way: Way, size_bytes: int) -> None:
        """Soon, so many bytes at once: pings, whose answers fill the way down, or pongs, which nobody answers."""
        self._asked.put((way, size_bytes))

    def widen(self, pings: int) -> None:
        """The next so many pings carry as much as a ping can."""
        self._asked.put(("wide", pings))

    def settled(self, healed_ns: int) -> bool:
        """Nothing more is to be learnt: the connection ended, or what was sent after the heal was answered."""
        return not self.alive or any(p.sent_ns >= healed_ns and p.answered_ns for p in list(self.seen.pings))

    def close(self) -> None:
        """End the connection and the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(CONNECT_S)
        if self._socket is not None:
            self._socket.close()

    def _live(self, protocol: ClientProtocol) -> None:
        assert self._socket is not None  # noqa: S101
        how = ""
        try:
            how = self._pump(self._socket, protocol)
        except ConnectionResetError:
            how = "reset"
        except OSError as error:
            how = "eof" if isinstance(error, BrokenPipeError | ssl.SSLEOFError) else type(error).__name__
        if not self._stop.is_set():
            self.seen.ended = (time.monotonic_ns(), how)

    def _pump(self, sock: socket.socket, protocol: ClientProtocol) -> str:
        """Ping and read until the connection ends; says how it ended."""
        while True:
            if (ended := self._answer(sock, protocol)) is not None:
                return ended
            ping = self._ping(protocol, wide=self._wide > 0)
            self._wide = max(0, self._wide - 1)
            self._reads = 0
            self._flush(sock, protocol)
            patience_ns, next_ns = ping.sent_ns + int(PATIENCE_S * 1e9), ping.sent_ns + int(PING_GAP_S * 1e9)
            while time.monotonic_ns() < (due_ns := next_ns if ping.answered_ns else patience_ns):
                if (ended := self._read(sock, protocol, due_ns)) is not None:
                    return ended

    def _answer(self, sock: socket.socket, protocol: ClientProtocol) -> str | None:
        """Do what was asked for; how the connection ended, if it did."""
        while True:
            try:
                asked, amount = self._asked.get_nowait()
            except queue.Empty:
                return None
            if asked == "wide":
                self._wide += amount
            elif (ended := self._burst(sock, protocol, asked, amount)) is not None:
                return ended

    def _burst(self, sock: socket.socket, protocol: ClientProtocol, way: Way, size_bytes: int) -> str | None:
        # Read first: what is counted is sent from here on.
        burst = Burst(way, time.monotonic_ns(), 0)
        each = WIDE_BYTES + (HEAD_UP if way == "up" else HEAD_DOWN)
        count = max(1, -(-size_bytes // each))
        for number in range(count):
            last = number == count - 1
            if way == "down" or last:
                ping = self._ping(protocol, wide=True)
                ping.burst = True
            else:
                protocol.send_pong(FILLER)
        burst.bytes = count * each
        self.seen.bursts.append(burst)
        self._flush(sock, protocol)
        deadline_ns = burst.sent_ns + int(BURST_S * 1e9)
        while not ping.answered_ns and time.monotonic_ns() < deadline_ns:
            if (ended := self._read(sock, protocol, deadline_ns)) is not None:
                return ended
        burst.done_ns = ping.answered_ns
        return None

    def _ping(self, protocol: ClientProtocol, *, wide: bool) -> Ping:
        payload = numbered(self.name, len(self.seen.pings))
        protocol.send_ping(payload.ljust(WIDE_BYTES, b".") if wide else payload)
        ping = Ping(time.monotonic_ns(), wide=wide)
        self.seen.pings.append(ping)
        return ping

    def _read(self, sock: socket.socket, protocol: ClientProtocol, due_ns: int) -> str | None:
        """Wait for one piece until ``due_ns``; how the connection ended, if it did."""
        # In steps: whoever closes the canary does not wait for a burst.
        data = receive(sock, min(PATIENCE_S, (due_ns - time.monotonic_ns()) / 1e9))
        if self._stop.is_set():
            return _farewell(sock, protocol)
        if data is None:
            return None
        now_ns = time.monotonic_ns()
        self.seen.received.append((now_ns, len(data)))
        self._reads += 1
        self._take(protocol, data, now_ns)
        self._flush(sock, protocol)
        if protocol.state is not State.OPEN:
            return f"close {protocol.close_rcvd.code}" if protocol.close_rcvd else "eof"
        return None if data else "eof"

    def _take(self, protocol: ClientProtocol, data: bytes, now_ns: int) -> None:
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        for event in protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.PONG:
                name, number = named(bytes(event.data)) or (b"", 0)
                if name == self.name and number < len(self.seen.pings) and not self.seen.pings[number].answered_ns:
                    ping = self.seen.pings[number]
                    ping.answered_ns, ping.reads, self._reads = now_ns, self._reads, 0

    def _flush(self, sock: socket.socket, protocol: ClientProtocol) -> None:
        sent = flush(sock, protocol)
        if sent:
            self.seen.sent.append((time.monotonic_ns(), sent))


def _farewell(sock: socket.socket, protocol: ClientProtocol) -> str:
    with contextlib.suppress(OSError):
        protocol.send_close(1000)
        flush(sock, protocol)
    return "closed"
