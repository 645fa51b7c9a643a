"""What every fault is: asked-for numbers, the toxics it needs, what it does to a session, and how a probe judges it.

Pure: it knows no socket, no clock and no control plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import msgspec

__all__ = [
    "STREAMS",
    "Baseline",
    "Bite",
    "Direction",
    "Effect",
    "Fault",
    "Measured",
    "Milliseconds",
    "Toxic",
]

Direction = Literal["up", "down", "both"]
Effect = Literal["confirmed", "absent", "not-probed"]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=60_000)]

#: what a direction, seen from the client, is called by Toxiproxy
STREAMS: dict[str, tuple[Literal["upstream", "downstream"], ...]] = {
    "up": ("upstream",),
    "down": ("downstream",),
    "both": ("upstream", "downstream"),
}
#: fewer round trips than this say nothing about a delay
LEAST_BASELINE = 5
PINGS = "WebSocket pings on a live connection of this listener"
FRESH = "new connections through this listener"


@dataclass(frozen=True, slots=True)
class Toxic:
    """One toxic; its toxicity is always 1.0, because Toxiproxy redraws any other share on live connections."""

    type: str
    stream: Literal["upstream", "downstream"]
    attributes: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a listener's canary saw before the fault."""

    round_trips_ms: tuple[float, ...] = ()
    #: how a new connection ended: answered, refused, eof, reset, silent; empty when none was tried
    fresh: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the same canary saw during the fault and after it healed; pings are told apart by when they were sent."""

    answered_ms: tuple[float, ...] = ()
    #: sent inside the window, answered only after healing had begun
    held_ms: tuple[float, ...] = ()
    #: sent inside the window, never answered
    lost: int = 0
    #: sent after the heal, and answered
    after_ms: tuple[float, ...] = ()
    #: when the live connection ended; empty: it did not
    ended: Literal["", "before", "window", "heal"] = ""
    ended_how: str = ""
    #: how each new connection tried inside the window ended
    fresh: tuple[str, ...] = ()

    @property
    def unanswered(self) -> int:
        return len(self.held_ms) + self.lost


@dataclass(frozen=True, slots=True)
class Bite:
    """Whether the fault bit, and how that is known; ``measured`` always has ``what``, ``value`` and ``unit``."""

    effect: Effect
    measured: dict[str, Any]
    by: str


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of fault; a sub-class is one file and one row of the table."""

    kind: ClassVar[str]
    #: it ends live connections
    disconnects: ClassVar[bool] = False
    #: it makes events late
    delays: ClassVar[bool] = False
    #: bytes stand still, so that a turn may show nothing for as long as it lasts
    holds: ClassVar[bool] = False
    #: what was under way when it began arrives whole after the heal, on the same connection
    heals_intact: ClassVar[bool] = False
    #: it closes the listener instead of adding toxics
    disables: ClassVar[bool] = False

    @property
    def toxics(self) -> Sequence[Toxic]:
        return ()

    @property
    def asked(self) -> dict[str, Any]:
        """The numbers asked for, as plain data; together with ``kind`` they are the fault."""
        asked: dict[str, Any] = msgspec.to_builtins(self)
        return asked

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """Did it bite? From what one canary saw on the fault's own listener."""
        del before, during  # a fault that cannot be probed says so, and its claims are then unknown
        return Bite("not-probed", {"what": "nothing", "value": 0, "unit": "", "reason": "this fault has no probe"}, "")
