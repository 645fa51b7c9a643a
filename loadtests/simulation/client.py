"""One user's shell in virtual time: performs what ``loadtests.conversation`` asks for, on the in-memory network. Pure.

It is to a conversation what ``loadtests.chat`` is on real sockets; the mistakes of ``loadtests.simulation.mistakes`` are made
in a subclass of it.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Generator
from typing import Any

from loadtests.conversation import Conversation, Dial, Failure, Hangup, Pause, Wait
from loadtests.framing import masked_text
from loadtests.session import Session
from loadtests.simulation.clock import Clock
from loadtests.simulation.head import HELLO_END
from loadtests.simulation.network import Road
from loadtests.simulation.wire import Wire

__all__ = ["Client"]

CLOSE_WAIT_MS = 1_000.0
BEAT_MS = 1_000.0  # seldomer than live, where it costs nothing
NS_PER_S = 1_000_000_000
HTTP_CODES = range(100, 600)


class Client:
    """A conversation's ``Line``, and what drives its generator."""

    def __init__(self, session: Session, clock: Clock, road: Road, rng: random.Random, hello: bytes) -> None:
        self.session = session
        self.clock = clock
        self.conversation: Conversation
        self._road = road
        self._rng = rng
        self._hello = hello + HELLO_END
        self._wire: Wire | None = None
        self._steps: Generator[Any, Any, Any] | None = None
        self._rung = self._waited = False
        #: counts what is waited for, so that a late alarm rings for nothing
        self._ticket = 0
        self._awaits: type | None = None
        self.done = False
        #: counted where bytes are, independently of the session
        self.frames_heard = self.messages_sent = 0
        self.messages_handed = 0
        session.wake = self.wake

    # The conversation's line

    @property
    def is_open(self) -> bool:
        return self._wire is not None and self._wire.is_open

    def send(self, message: bytes) -> None:
        if self._wire is not None:
            self.messages_handed += 1
            self._put(self._wire, message)

    def _put(self, wire: Wire, message: bytes) -> None:
        self.messages_sent += 1
        wire.send(masked_text(message, self._rng.getrandbits(32).to_bytes(4, "big")))

    def abort(self, *, reset: bool = False) -> None:  # noqa: ARG002  # no test of the simulation tells one end from the other
        if self._wire is not None:
            self._wire.abort()
            self._wire = None

    # What the wire tells

    def text(self, raw: bytes, at_ns: int) -> None:
        self.frames_heard += 1
        self.session.frame(raw, at_ns)

    def binary(self, raw: bytes, at_ns: int) -> None:
        self.frames_heard += 1
        self.session.binary(raw, at_ns)

    def upgraded(self, wire: Wire) -> None:
        if wire is self._wire and self._awaits is Dial:
            self.session.opened(self.clock.now_ns)
            self._resume_soon(None)

    def ended(self, wire: Wire, code: int, reason: str, *, was_open: bool) -> None:
        if wire is not self._wire:
            return
        self._wire = None
        if was_open:
            self.conversation.closed(code, reason, self.clock.now_ns)
        if self._awaits is Dial and not was_open:
            status = code if code in HTTP_CODES else -errno.ECONNRESET if reason else 0
            self._resume_soon(Failure(status, reason or "closed before an answer"))
        elif self._awaits is Hangup:
            self._resume_soon(None)

    def wake(self) -> None:
        self._rung = True
        if self._awaits is Wait:
            self._resume_soon(None)

    # The generator

    def start(self, steps: Generator[Any, Any, Any]) -> None:
        self._steps = steps
        self._resume_soon(None)

    def stop(self) -> None:
        """The run is killed."""
        self._ticket += 1
        self._awaits = None
        self._steps = None
        self.done = True
        self.conversation.cut()

    def beat(self) -> None:
        """From now on, until it is done, it keeps its connection alive."""
        if self.done:
            return
        if not self.session.flights:
            self.conversation.beat()
        self.clock.after_ms(BEAT_MS, self.beat)

    def _resume_soon(self, answer: Failure | None) -> None:
        self._awaits = None
        ticket = self._ticket
        self.clock.soon(lambda: self._resume(ticket, answer))

    def _resume_at(self, at_ns: int) -> None:
        ticket = self._ticket
        self.clock.at(at_ns, lambda: self._resume(ticket, None))

    def _resume(self, ticket: int, answer: Failure | None) -> None:
        if ticket != self._ticket or self._steps is None:
            return
        self._ticket += 1
        if self._waited:
            self._rung = False  # that ring has been heard; one that comes from now on has not
        self._awaits = None
        try:
            request = self._steps.send(answer)
        except StopIteration:
            self._steps = None
            self.done = True
            return
        self._awaits = type(request)
        self._waited = self._awaits is Wait
        if isinstance(request, Wait):
            if self._rung:
                self._resume_soon(None)
            elif request.until_ns is not None:
                self._resume_at(request.until_ns)
        elif isinstance(request, Pause):
            self._resume_at(request.until_ns)
        elif isinstance(request, Dial):
            self._dial(request.timeout_s)
        elif isinstance(request, Hangup):
            self._hang_up(request)

    def _dial(self, timeout_s: float) -> None:
        self.abort()
        wire = self._wire = Wire(self, self._hello)
        refused = wire.connect(self._road)
        if refused:
            self._wire = None
            self._resume_soon(Failure(-refused, errno.errorcode[refused]))
            return
        ticket = self._ticket

        def out_of_time() -> None:
            if ticket == self._ticket and self._awaits is Dial:
                self.abort()
                self._resume(ticket, Failure(-errno.ETIMEDOUT, f"no answer within {timeout_s:g} s"))

        self.clock.at(self.clock.now_ns + int(timeout_s * NS_PER_S), out_of_time)

    def _hang_up(self, request: Hangup) -> None:
        wire, ticket = self._wire, self._ticket
        if wire is None or not wire.is_open:
            self.abort()
            self._resume_soon(None)
            return
        wire.say_goodbye(request.code, request.reason)

        def enough() -> None:
            if ticket == self._ticket:
                self.abort()
                self._resume(ticket, None)

        self.clock.after_ms(CLOSE_WAIT_MS, enough)
