"""Mistakes of a chat *client*, as a table: each is planted in the simulated user's shell, and belongs to these checkers.

They prove that the judge tells a client's fault from the backend's. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.backend.defects import found_by
from loadtests.retry import Backoff
from loadtests.simulation.client import Client
from loadtests.simulation.wire import Wire

__all__ = ["MISTAKES", "Mistake", "MistakenClient"]

FIXED_MS = 1_000.0
FRANTIC_MS = 10.0
SECOND_AFTER_MS = 50.0


class _Fixed(Backoff):
    """Always the same wait."""

    def failed(self, *, fatal: bool = False) -> float | None:
        return None if super().failed(fatal=fatal) is None else FIXED_MS


class _InStep(Backoff):
    """Grows as it should, without jitter."""

    def failed(self, *, fatal: bool = False) -> float | None:
        attempt = self.attempt
        if super().failed(fatal=fatal) is None:
            return None
        return float(min(self._policy.cap_ms, self._policy.base_ms * self._policy.factor**attempt))


class _Frantic(Backoff):
    """Hardly waits, and never gives up."""

    def failed(self, *, fatal: bool = False) -> float | None:
        if fatal:
            self.stopped = True
        return None if self.stopped else FRANTIC_MS


class _Stubborn(Backoff):
    """Comes back however it was refused."""

    def failed(self, *, fatal: bool = False) -> float | None:  # noqa: ARG002  # that is the mistake
        return super().failed(fatal=False)


class _Resentful(Backoff):
    """Remembers old outages: a success does not bring the wait back to the base."""

    def succeeded(self) -> None:
        """Nothing is forgotten."""

    def failed(self, *, fatal: bool = False) -> float | None:
        self.attempt = min(self.attempt, self._policy.attempts - 1)  # it comes back for ever, and late
        return super().failed(fatal=fatal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One row. ``ids``: contract name -> the exact set of checkers that find something."""

    name: str
    sentence: str
    ids: Mapping[str, frozenset[str]]
    #: what may be found besides, where the network gives an occasion
    may: frozenset[str] = frozenset()
    backoff: type[Backoff] = Backoff
    #: never dials again once a connection was lost
    resigns: bool = False
    #: dials once more than it must, and lets both connections live on
    dials_twice: bool = False
    #: after a reconnect every frame is handled twice
    hears_twice: bool = False
    #: what should be sent again after a cut is counted as sent and is not
    loses_flight: bool = False
    #: at a cut, what is left of a frame is handled as if it were one
    half_reads: bool = False


_ROWS = (
    Mistake(name="never-back", sentence="the first loss of the connection is the end", ids=found_by("retries self"), resigns=True),
    Mistake(name="fixed-wait", sentence="always one second between two tries", ids=found_by("backoff self"), backoff=_Fixed),
    Mistake(name="no-jitter", sentence="waits grow, and are the same for everybody", ids=found_by("backoff self"), backoff=_InStep),
    Mistake(name="frantic", sentence="tries again every 10 ms, without end", ids=found_by("retries backoff self"), backoff=_Frantic),
    Mistake(name="stubborn", sentence="comes back after it was sent away for good", ids=found_by("retries self"), backoff=_Stubborn),
    Mistake(name="grudge", sentence="once served again, it still waits for long", ids=found_by("backoff self"), backoff=_Resentful),
    # Who is banned is sent away in a pause of any of its sockets, and of two the other may have a turn under way.
    Mistake(
        name="two-sockets", sentence="one connection more than it needs lives on", ids=found_by("sockets self"),
        may=frozenset({"terminal"}), dials_twice=True,
    ),
    Mistake(
        name="doubled-handler", sentence="after a reconnect every frame is handled twice", ids=found_by("self duplicate"), hears_twice=True
    ),
    Mistake(
        name="half-read", sentence="what a cut leaves of a frame is handled as a frame", ids=found_by("self schema", ""), half_reads=True
    ),
    Mistake(
        name="lost-flight", sentence="a message in doubt is counted as sent again, and is not", ids=found_by("self", ""),
        may=frozenset({"silence"}), loses_flight=True,
    ),
)  # fmt: skip

MISTAKES: dict[str, Mistake] = {mistake.name: mistake for mistake in _ROWS}


class MistakenClient(Client):
    """A client's shell that makes one mistake."""

    def __init__(self, mistake: Mistake, *rest: Any) -> None:
        super().__init__(*rest)
        self.mistake = mistake
        #: how often it was made; a wrong policy is at work from the start
        self.made = int(mistake.backoff is not Backoff)
        self._second: Wire | None = None

    def ended(self, wire: Wire, code: int, reason: str, *, was_open: bool) -> None:
        mine = wire is self._wire and was_open
        if mine and self.mistake.half_reads and (rest := wire.rest):
            self.made += 1
            self.session.frame(rest, self.clock.now_ns)
        super().ended(wire, code, reason, was_open=was_open)
        if mine and self.mistake.resigns:
            self.made += 1
            self._steps = None
            self.done = True

    def upgraded(self, wire: Wire) -> None:
        super().upgraded(wire)
        if wire is self._second:
            self.session.opened(self.clock.now_ns)
        elif self.mistake.dials_twice and self.session.connection > 1 and self._second is None:
            self.clock.after_ms(SECOND_AFTER_MS, self._dial_again)

    def _dial_again(self) -> None:
        if not self.session.ready or self._second is not None:
            return
        self.made += 1
        self.session.dial(self.clock.now_ns)
        self._second = Wire(self, self._hello)
        self._second.connect(self._road)

    def text(self, raw: bytes, at_ns: int) -> None:
        super().text(raw, at_ns)
        if self.mistake.hears_twice and self.session.connection > 1:
            self.made += 1
            self.session.frame(raw, at_ns)

    def _put(self, wire: Wire, message: bytes) -> None:
        flights = self.session.flights.values()
        if self.mistake.loses_flight and any(one.resent and one.message == message for one in flights):
            self.made += 1
            return
        super()._put(wire, message)
