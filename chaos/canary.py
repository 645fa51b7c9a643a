"""A canary on one listener: pings over a live WebSocket, and new connections, from threads of its own.

Plain blocking sockets and websockets' Sans-I/O client; it reads and throws away every frame, so that it never stalls
Toxiproxy, and it sends no chat message. What its readings mean is the faults' matter.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from chaos.faults.fault import Baseline, Measured
from chaos.wire import Outcome, connect, flush, receive, try_new, upgrade
from loadtests.dial import Dial

__all__ = ["Canary", "Marks", "Ping"]

CONNECT_S = 3.0
PING_GAP_S = 0.1
#: a ping that is not answered does not keep the next one back for longer
PATIENCE_S = 0.25
BASELINE_PINGS = 20
NEW_GAP_S = 0.5
MS = 1e6


@dataclass(frozen=True, slots=True)
class Marks:
    """Around the calls that apply and heal: what was sent between ``applied`` and ``healing`` was under the fault."""

    applying_ns: int
    applied_ns: int
    healing_ns: int
    healed_ns: int


@dataclass(slots=True)
class Ping:
    sent_ns: int
    answered_ns: int = 0

    @property
    def ms(self) -> float:
        return (self.answered_ns - self.sent_ns) / MS


@dataclass(slots=True)
class Canary:
    """One live connection of a listener, and the new ones tried beside it; a fault that cuts uses it up."""

    dial: Dial
    _socket: socket.socket | None = field(default=None, repr=False)
    _pings: list[Ping] = field(default_factory=list, repr=False)
    _fresh: list[tuple[int, int, Outcome]] = field(default_factory=list, repr=False)
    _ended: tuple[int, str] | None = None
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _still: threading.Event = field(default_factory=threading.Event, repr=False)
    _threads: list[threading.Thread] = field(default_factory=list, repr=False)

    def open(self, timeout_s: float = CONNECT_S) -> bool:
        """Connect, upgrade and start to ping; False: the backend was not reached, or refused the upgrade."""
        try:
            self._socket = connect(self.dial, timeout_s)
            protocol = upgrade(self.dial, self._socket, timeout_s)
        except (OSError, EOFError, WebSocketException, ValueError):
            self.close()
            return False
        self._run(self._live, protocol)
        return True

    @property
    def alive(self) -> bool:
        return self._socket is not None and self._ended is None and not self._stop.is_set()

    @property
    def round_trips(self) -> int:
        """Pings answered so far."""
        return sum(1 for ping in list(self._pings) if ping.answered_ns)

    def try_once(self) -> None:
        """One new connection now, in the caller's thread."""
        begun_ns = time.monotonic_ns()
        outcome = try_new(self.dial)
        self._fresh.append((begun_ns, time.monotonic_ns(), outcome))

    def keep_trying(self) -> None:
        """Begin to try new connections, one each half second, until ``rest``."""
        self._still.clear()
        self._run(self._new)

    def rest(self) -> None:
        """No more new connections."""
        self._still.set()

    def settled(self, healed_ns: int) -> bool:
        """Nothing more is to be learnt: the connection ended, or what was sent after the heal was answered."""
        return not self.alive or any(p.sent_ns >= healed_ns and p.answered_ns for p in list(self._pings))

    def reading(self, marks: Marks) -> tuple[Baseline, Measured]:
        """What was seen before, during and after the fault."""
        pings = list(self._pings)
        before = [p.ms for p in pings if p.answered_ns and p.answered_ns < marks.applying_ns]
        inside = [p for p in pings if marks.applied_ns <= p.sent_ns < marks.healing_ns]
        fresh = list(self._fresh)
        baseline = Baseline(
            tuple(before[-BASELINE_PINGS:]), next((o for _, end, o in fresh[::-1] if end < marks.applying_ns), "")
        )
        ended_ns, how = self._ended or (0, "")
        return baseline, Measured(
            answered_ms=tuple(p.ms for p in inside if 0 < p.answered_ns < marks.healing_ns),
            held_ms=tuple(p.ms for p in inside if p.answered_ns >= marks.healing_ns),
            lost=sum(1 for p in inside if not p.answered_ns),
            after_ms=tuple(p.ms for p in pings if p.sent_ns >= marks.healed_ns and p.answered_ns),
            ended=_when(ended_ns, marks),
            ended_how=how,
            fresh=tuple(o for begun, end, o in fresh if marks.applied_ns <= begun and end < marks.healing_ns),
        )

    def close(self) -> None:
        """End the connection and the threads."""
        self._stop.set()
        self._still.set()
        for thread in self._threads:
            thread.join(CONNECT_S)
        if self._socket is not None:
            self._socket.close()

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="canary", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _new(self) -> None:
        while not self._still.is_set():
            self.try_once()
            self._still.wait(NEW_GAP_S)

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
            self._ended = (time.monotonic_ns(), how)

    def _pump(self, sock: socket.socket, protocol: ClientProtocol) -> str:
        """Ping and read until the connection ends; says how it ended."""
        next_ns = 0
        for number in itertools.count():
            payload = number.to_bytes(8, "big")
            protocol.send_ping(payload)
            ping = Ping(time.monotonic_ns())
            self._pings.append(ping)
            flush(sock, protocol)
            patience_ns = ping.sent_ns + int(PATIENCE_S * 1e9)
            next_ns = ping.sent_ns + int(PING_GAP_S * 1e9)
            while time.monotonic_ns() < (next_ns if ping.answered_ns else patience_ns):
                due_ns = next_ns if ping.answered_ns else patience_ns
                data = receive(sock, (due_ns - time.monotonic_ns()) / 1e9)
                if self._stop.is_set():
                    return _farewell(sock, protocol)
                if data is None:
                    continue
                self._take(protocol, data)
                flush(sock, protocol)
                if protocol.state is not State.OPEN:
                    return f"close {protocol.close_rcvd.code}" if protocol.close_rcvd else "eof"
                if not data:
                    return "eof"
        raise AssertionError("counted to the end")

    def _take(self, protocol: ClientProtocol, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        for event in protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.PONG and len(event.data) == 8:
                number = int.from_bytes(event.data, "big")
                if number < len(self._pings) and not self._pings[number].answered_ns:
                    self._pings[number].answered_ns = now_ns


def _farewell(sock: socket.socket, protocol: ClientProtocol) -> str:
    with contextlib.suppress(OSError):
        protocol.send_close(1000)
        flush(sock, protocol)
    return "closed"


def _when(ended_ns: int, marks: Marks) -> Literal["", "before", "window", "heal"]:
    if not ended_ns:
        return ""
    if ended_ns < marks.applying_ns:
        return "before"
    return "window" if ended_ns < marks.healing_ns else "heal"
