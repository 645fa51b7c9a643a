"""One connection's server end in virtual time: the manager's ``Link`` over the in-memory network. Pure.

It is to the backend what ``loadtests.backend.connection`` is on real sockets.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from loadtests.backend.assembly import Backend
from loadtests.backend.manager import Parcel
from loadtests.simulation.clock import Clock
from loadtests.simulation.head import HELLO_END, Head
from loadtests.simulation.network import Socket

__all__ = ["UNAVAILABLE", "UPGRADED", "Habits", "House", "ServerLink", "text_frames"]

UPGRADED, UNAVAILABLE = b"101" + HELLO_END, b"503" + HELLO_END
MOST_BYTES = 1 << 20
MOST_WAITING = 1_000
NORMAL_CODES = frozenset({1000, 1001})
POLICY_VIOLATION, NO_ANSWER = 1008, 1011
CLOSE_TIMEOUT_MS = 2_000.0
IDLE_MS = 10_000.0
BANNED_AFTER_MS = 1_500.0
NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What a WebSocket server may do as it likes, and a client must bear."""

    #: share of the messages that are sent in two fragments
    fragment_share: float = 0.0
    #: how often it pings (0: never), and how long it waits for the answer
    ping_ms: float = 0.0
    pong_ms: float = 20_000.0


def text_frames(payload: bytes, cut_at: int = 0) -> bytes:
    """A server's text message, whole or (``cut_at`` > 0) in two fragments (RFC 6455 5.4)."""
    if not cut_at:
        return Frame(Opcode.TEXT, payload).serialize(mask=False)
    first = Frame(Opcode.TEXT, payload[:cut_at], fin=False)
    return first.serialize(mask=False) + Frame(Opcode.CONT, payload[cut_at:]).serialize(mask=False)


class House(Protocol):
    """What a link knows of the server that it belongs to."""

    clock: Clock
    rng: random.Random
    habits: Habits
    backend: Backend
    #: clients that must go in their next pause, and of those, who have gone and must not come back; by number
    banned: set[int]
    sent_away: set[int]
    links: list[ServerLink]
    #: all connections send through one gate, and this one holds it
    one_gate: bool
    gate: ServerLink | None


class ServerLink:
    """One connection's server end: the manager's ``Link``, and the network's ``End``."""

    def __init__(self, host: House, socket: Socket) -> None:
        self.stream = self.user = ""
        #: which client it is, whatever name it goes by
        self.client = -1
        self._host = host
        self._socket = socket
        self._head = Head()
        self._protocol = ServerProtocol(state=OPEN, max_size=MOST_BYTES)
        self._outbox: deque[Parcel] = deque()
        self._refuses = self._closing = False
        self.upgraded = self.welcomed = False
        self.gone = False
        self.heard_ns = self.said_ns = self.ponged_ns = host.clock.now_ns
        socket.attach(self)

    # The manager's side

    def put(self, parcel: Parcel, *, whole: bool = False) -> bool:
        if self._refuses or self.gone or self._protocol.state is not OPEN:
            return False
        if len(self._outbox) >= MOST_WAITING and not whole:
            return False
        self._outbox.append(parcel)
        self._refuses = bool(parcel.close_code)
        self.drained()
        return True

    def close(self, code: int, reason: str) -> None:
        if self._closing or self.gone:
            return
        self._refuses = self._closing = True
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, reason)
            self._flush()
        self._host.clock.after_ms(CLOSE_TIMEOUT_MS, self._lost)

    # The network's side

    def data(self, chunk: bytes) -> None:
        if self.gone:
            return
        if not self.upgraded:
            read = self._head.feed(chunk)
            if read is None:
                return
            head, chunk = read
            if not self._host.backend.admits():
                self._socket.send(UNAVAILABLE)
                self._lost()
                return
            self.upgraded = True
            self._socket.send(UPGRADED)
            if self._host.habits.ping_ms:
                self._host.clock.after_ms(self._host.habits.ping_ms, self._ping)
            number, user, resumes = head.decode().split(" ")
            self.client = int(number)
            if self.client in self._host.sent_away:
                self.close(POLICY_VIOLATION, "banned")
                return
            self.welcomed = self._host.backend.connected(self, user, cursor=resumes == "cursor")
        if chunk:
            self._receive(chunk)

    def _receive(self, chunk: bytes) -> None:
        protocol, host = self._protocol, self._host
        self.heard_ns = host.clock.now_ns
        protocol.receive_data(chunk)
        for event in protocol.events_received():
            if not isinstance(event, Frame):
                continue
            if (
                event.opcode is Opcode.TEXT and self.welcomed and not self._closing
            ):  # as the real shell: who is sent away is not heard
                host.backend.received(self, bytes(event.data))
            elif event.opcode is Opcode.PONG:
                self.ponged_ns = host.clock.now_ns
        self._flush()
        if protocol.close_rcvd is not None or protocol.parser_exc is not None:
            self._lost()

    def eof(self) -> None:
        self._lost()

    def reset(self) -> None:
        self._lost()

    def vanish(self) -> None:
        """A server that vanishes takes all its connections with it: ``Host.kill``."""

    def drained(self) -> None:
        """Room again: send what waits, as far as it goes."""
        host, outbox, socket = self._host, self._outbox, self._socket
        self.said_ns = host.clock.now_ns
        if host.gate is not None and host.gate is not self:
            return
        while outbox and socket.has_room and not self._closing:
            parcel = outbox.popleft()
            size, share = len(parcel.frame), host.habits.fragment_share
            fragments = share and size > 1 and host.rng.random() < share
            socket.send(text_frames(parcel.frame, host.rng.randrange(1, size) if fragments else 0))
            if parcel.close_code:
                self.close(parcel.close_code, "")
        if host.one_gate:
            self._pass_gate(waits=bool(outbox))

    def _pass_gate(self, *, waits: bool) -> None:
        """Who cannot send holds the gate shut for all; only a planted defect has one."""
        host = self._host
        if waits and not self.gone and not self._closing:
            host.gate = self
        elif host.gate is self:
            host.gate = None
            for other in list(host.links):
                other.drained()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._socket.send(data)

    # Housekeeping

    def keep(self, now_ns: int) -> None:
        """A heartbeat for who is idle; who is banned goes."""
        if (
            self.client in self._host.banned
            and now_ns - max(self.said_ns, self.heard_ns) >= BANNED_AFTER_MS * NS_PER_MS
        ):
            self._host.sent_away.add(self.client)  # in a pause: its last turn has been served
            self.close(POLICY_VIOLATION, "banned")
            return
        if self.welcomed and now_ns - self.heard_ns >= IDLE_MS * NS_PER_MS:
            self.heard_ns = now_ns
            self._host.backend.idle(self)

    def _ping(self) -> None:
        if self.gone or self._protocol.state is not OPEN:
            return
        self._protocol.send_ping(b"")
        self._flush()
        pinged_ns, habits = self._host.clock.now_ns, self._host.habits

        def check() -> None:
            if self.gone or self._protocol.state is not OPEN:
                return
            if self.ponged_ns < pinged_ns:
                self.close(NO_ANSWER, "no pong")
            else:
                self._host.clock.after_ms(habits.ping_ms, self._ping)

        self._host.clock.after_ms(habits.pong_ms, check)

    def _lost(self) -> None:
        if self.gone:
            return
        self.gone = True
        received = self._protocol.close_rcvd
        goodbye = self.welcomed and not self._closing and received is not None and received.code in NORMAL_CODES
        self._socket.close()
        self._pass_gate(waits=False)
        if self.upgraded:
            self._host.backend.lost(self, list(self._outbox), cut=not goodbye)
        self._host.links.remove(self)

    def die(self) -> None:
        """With its whole process: nobody is told."""
        self.gone = True
