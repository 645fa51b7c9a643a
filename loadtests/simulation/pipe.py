"""One direction of one connection: bytes in order, late, in pieces, held back, swallowed or cut off. Pure.

What is sent is real WebSocket bytes; nothing here knows that.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Protocol

from loadtests.simulation.clock import Clock

__all__ = ["Bite", "Conditions", "End", "Pipe", "Weather"]

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class Bite:
    """One fault at work in one direction; ``touched`` counts what it did something to, so that a zero can fail."""

    touched: int = 0
    extra_ms: float = 0.0
    jitter_ms: float = 0.0
    piece_bytes: int = 0
    rate_bytes_per_s: int = 0


@dataclass(slots=True)
class Weather:
    """What one direction of one cohort's listener does to bytes now."""

    late: Bite | None = None
    slicer: Bite | None = None
    thin: Bite | None = None
    jam: Bite | None = None
    hole: Bite | None = None

    def end(self, bite: Bite) -> None:
        """A fault is over; another of its kind goes on."""
        for field in fields(self):
            if getattr(self, field.name) is bite:
                setattr(self, field.name, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The network on a fine day."""

    delay_ms: float = 1.0
    jitter_ms: float = 0.0
    #: share of the writes that arrive in two pieces
    split_share: float = 0.0
    #: bytes under way before a sender has to wait
    capacity_bytes: int = 65_536


class End(Protocol):
    """Who sits at one end of a connection; called from the clock, never from within its own calls."""

    def data(self, chunk: bytes) -> None: ...
    def eof(self) -> None: ...
    def reset(self) -> None: ...
    def vanish(self) -> None: ...
    def drained(self) -> None: ...


class Pipe:
    """One direction of one connection."""

    __slots__ = (
        "_armed", "_clock", "_conditions", "_finished", "_last_ns", "_queue", "_rng", "allowed", "dead", "deaf", "in_flight",
        "listener", "on_quiet", "on_spent", "weather", "writer",
    )  # fmt: skip

    def __init__(self, clock: Clock, rng: random.Random, conditions: Conditions, weather: Weather) -> None:
        self._clock, self._rng, self._conditions, self.weather = clock, rng, conditions, weather
        self._queue: deque[tuple[int, bytes | None]] = deque()  # None: end of stream
        self._last_ns = 0
        self._armed = self._finished = False
        self.dead = False
        #: swallows all there is, for good
        self.deaf = False
        self.in_flight = 0
        #: bytes that may still pass before the line breaks; None: as many as there are
        self.allowed: int | None = None
        self.listener: End | None = None
        self.writer: End | None = None
        self.on_quiet: Callable[[], None] | None = None
        self.on_spent: Callable[[], None] = _nothing

    @property
    def has_room(self) -> bool:
        return self.in_flight < self._conditions.capacity_bytes

    def send(self, data: bytes) -> None:
        """Bytes on their way, in one piece or several."""
        if self.dead or self._finished:
            return
        self.in_flight += len(data)
        slicer = self.weather.slicer
        if slicer is not None:
            slicer.touched += 1
            for at in range(0, len(data), slicer.piece_bytes):
                self._put(data[at : at + slicer.piece_bytes])
        elif len(data) > 1 and self._rng.random() < self._conditions.split_share:
            at = self._rng.randrange(1, len(data))
            self._put(data[:at])
            self._put(data[at:])
        else:
            self._put(data)

    def finish(self) -> None:
        """End of stream, behind all that was sent."""
        if not self.dead and not self._finished:
            self._finished = True
            self._put(None)

    def kill(self) -> None:
        """Nothing that is under way arrives any more."""
        self.dead = True
        self._queue.clear()
        self.in_flight = 0

    def kick(self) -> None:
        """The weather has changed."""
        if self._queue and not self._armed:
            self._arm()

    def _put(self, piece: bytes | None) -> None:
        conditions, weather, now_ns = self._conditions, self.weather, self._clock.now_ns
        delay_ms = conditions.delay_ms
        if conditions.jitter_ms:
            delay_ms += self._rng.random() * conditions.jitter_ms
        late = weather.late
        if late is not None:
            late.touched += 1
            delay_ms += late.extra_ms + (self._rng.random() * late.jitter_ms if late.jitter_ms else 0.0)
        due_ns = max(self._last_ns, now_ns + int(delay_ms * NS_PER_MS))
        thin = weather.thin
        if thin is not None and piece is not None:
            thin.touched += 1
            due_ns += len(piece) * NS_PER_S // thin.rate_bytes_per_s
        self._last_ns = due_ns
        self._queue.append((due_ns, piece))
        if not self._armed:
            self._arm()

    def _arm(self) -> None:
        self._armed = True
        self._clock.at(self._queue[0][0], self._fire)

    def _fire(self) -> None:
        self._armed = False
        queue = self._queue
        if not queue:
            return
        jam = self.weather.jam
        if jam is not None:
            jam.touched += 1
            return  # the heal kicks
        now_ns, pieces, ended = self._clock.now_ns, [], False
        while queue and queue[0][0] <= now_ns:
            piece = queue.popleft()[1]
            if piece is None:
                ended = True
            else:
                pieces.append(piece)
        if queue:
            self._arm()
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.in_flight -= len(data)
        hole = self.weather.hole
        if hole is not None:
            hole.touched += 1
        elif not self.deaf:
            self._deliver(data, ended=ended)
        if not self.dead:
            if self.writer is not None:
                self.writer.drained()
            if self.on_quiet is not None and not queue:
                quiet, self.on_quiet = self.on_quiet, None
                quiet()

    def _deliver(self, data: bytes, *, ended: bool) -> None:
        listener, spent = self.listener, False
        if self.allowed is not None and data:
            spent = len(data) >= self.allowed
            data, self.allowed = data[: self.allowed], max(0, self.allowed - len(data))
        if listener is not None:
            if data:
                listener.data(data)
            if ended and not spent:
                listener.eof()
        if spent:
            self.on_spent()


def _nothing() -> None:
    """Until a connection says what to do."""
