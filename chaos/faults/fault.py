"""What every fault is: asked-for numbers, who does it and how, what it does to a session, and how a probe judges it.

Pure: it knows no socket, no clock and no control plane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import msgspec

__all__ = [
    "ELSEWHERE",
    "STREAMS",
    "WAYS",
    "Acted",
    "Baseline",
    "Bite",
    "Direction",
    "Effect",
    "Fault",
    "Group",
    "Measured",
    "Milliseconds",
    "Place",
    "Probe",
    "Share",
    "Step",
    "Toxic",
    "Way",
    "each_way",
    "held",
    "held_way",
    "in_words",
    "one_way",
    "toxics_of",
]

Direction = Literal["up", "down", "both"]
#: who acts: the nemesis through Toxiproxy, on a cohort's listener or on the one for its new connections; the load's own
#: clients; the embedded backend's keeper; a user's commands
Place = Literal["listener", "handshake", "client", "backend", "command"]
#: what may overlap what: one cut at a time, shapes of different kinds together, a hold beside shapes only; an actor alone;
#: a door, which live sessions never feel, beside shapes and what clients do
Group = Literal["cut", "shape", "hold", "actor", "door"]
#: what a canary is asked for inside the window, beside its pings; ``downs``: new connections are tried when it goes down, and
#: not all along
Probe = Literal["", "burst", "wide", "close", "upgrade", "downs"]
Way = Literal["up", "down"]
Effect = Literal["confirmed", "absent", "not-probed"]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=60_000)]
#: of the sessions of the cohort
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]

#: what a direction, seen from the client, is called by Toxiproxy
STREAMS: dict[str, tuple[Literal["upstream", "downstream"], ...]] = {
    "up": ("upstream",),
    "down": ("downstream",),
    "both": ("upstream", "downstream"),
}
WAYS: dict[str, tuple[Way, ...]] = {"up": ("up",), "down": ("down",), "both": ("up", "down")}
#: fewer round trips than this say nothing about a delay
LEAST_BASELINE = 5
PINGS = "WebSocket pings on a live connection of this listener"
FRESH = "new connections through this listener"
ACTS = "what the load processes wrote down"
READ_BACK = "read back, not measured"
#: why a delay is absent that the round trip has
ELSEWHERE = "not all of it went the way that was asked"


@dataclass(frozen=True, slots=True)
class Toxic:
    """One toxic; its toxicity is always 1.0, because Toxiproxy redraws any other share on live connections."""

    type: str
    stream: Literal["upstream", "downstream"]
    attributes: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One call to Toxiproxy; ``renew`` replaces the listener by a new one, with what others have put on it."""

    do: Literal["add", "remove", "disable", "enable", "renew"]
    toxic: Toxic | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a listener's canary saw before the fault."""

    round_trips_ms: tuple[float, ...] = ()
    #: how a new connection ended: answered, refused, eof, reset, silent; empty when none was tried
    fresh: str = ""
    #: bytes per second of a burst: sent, so that its end is seen; and answered
    rate_up: float | None = None
    rate_down: float | None = None
    #: how many reads a large pong came in
    reads: tuple[int, ...] = ()
    #: from closing our half until the other half closed
    close_ms: float | None = None
    #: the round trips, each way by itself, of a backend that tells when pings arrive
    up_ms: tuple[float, ...] = ()
    down_ms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Acted:
    """What the load processes wrote down about one window."""

    #: steps seen at all
    lines: int = 0
    #: sessions that began it, and that came back from it
    sessions: int = 0
    ended: int = 0
    #: how many sessions there were to choose from
    of: int = 0
    #: bytes that stood unread until the end
    held_bytes: int | None = None


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
    #: as in the baseline, inside the window
    rate_up: float | None = None
    rate_down: float | None = None
    reads: tuple[int, ...] = ()
    #: round trips of large pings
    wide_ms: tuple[float, ...] = ()
    #: of each half-close tried; inf: not closed as long as was waited
    closes_ms: tuple[float, ...] = ()
    close_waited_ms: float = 0.0
    #: how long each upgrade tried inside the window took, if it came to an end
    upgrades_ms: tuple[float, ...] = ()
    #: through the live connection since the fault was there
    bytes_up: int = 0
    bytes_down: int = 0
    #: how often the listener was closed in the middle of the window
    cycles: int = 0
    acted: Acted = Acted()
    #: the commands' exit status: of verifying, None when there is none
    verified: bool | None = None
    #: of ``answered_ms``, each way by itself, as in the baseline
    up_ms: tuple[float, ...] = ()
    down_ms: tuple[float, ...] = ()
    #: of those without an answer inside the window that had the time to arrive in it, how many did; None: there are none, or the
    #: backend does not tell
    reached: int | None = None

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
    place: ClassVar[Place] = "listener"
    group: ClassVar[Group] = "cut"
    #: it ends live connections
    disconnects: ClassVar[bool] = False
    #: a backend, or a client's own patience, may rightly end a connection because of it
    may_disconnect: ClassVar[bool] = False
    #: it makes events late
    delays: ClassVar[bool] = False
    #: bytes stand still, so that a turn may show nothing for as long as it lasts
    holds: ClassVar[bool] = False
    #: what was under way when it began arrives whole after the heal, on the same connection
    heals_intact: ClassVar[bool] = False
    #: it closes the listener instead of adding toxics
    disables: ClassVar[bool] = False
    #: its listener must be made ready before anybody connects
    arms: ClassVar[bool] = False
    #: suffix of a second listener that the cohort needs
    extra: ClassVar[str] = ""
    probe: ClassVar[Probe] = ""
    #: it is judged by each way too, for which the backend is asked when pings arrived
    judges_ways: ClassVar[bool] = False

    @property
    def swallows(self) -> bool:
        """Bytes on their way may be lost, so a message may have been swallowed."""
        return self.disconnects or self.holds

    @property
    def toxics(self) -> Sequence[Toxic]:
        return ()

    @property
    def begin(self) -> tuple[Step, ...]:
        """What applies it."""
        first = (Step("disable"),) if self.disables else ()
        return (*first, *(Step("add", toxic) for toxic in self.toxics))

    @property
    def end(self) -> tuple[Step, ...]:
        """What heals it: toxics go under live connections, which live on after a delay, and end after a drop."""
        last = (Step("enable"),) if self.disables else ()
        return (*(Step("remove", toxic) for toxic in self.toxics), *last)

    def between(self, window_ms: int) -> Sequence[tuple[int, Step]]:
        """What happens inside the window, at milliseconds since its start."""
        del window_ms
        return ()

    def bursts(self, window_ms: int) -> Sequence[tuple[Way, int]]:
        """Which ways a canary must fill, with how many bytes, to see it."""
        del window_ms
        return ()

    @property
    def patience_ms(self) -> int:
        """How long a new connection must be waited for, to see it."""
        return 1_000

    @property
    def asked(self) -> dict[str, Any]:
        """The numbers asked for, as plain data; together with ``kind`` they are the fault."""
        asked: dict[str, Any] = msgspec.to_builtins(self)
        return asked

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """Did it bite? From what one canary saw on the fault's own listener."""
        del before, during  # a fault that cannot be probed says so, and its claims are then unknown
        return Bite("not-probed", {"what": "nothing", "value": 0, "unit": "", "reason": "this fault has no probe"}, "")


def toxics_of(direction: Direction, kind: str, **attributes: int) -> tuple[Toxic, ...]:
    """One toxic for each stream of a direction; attributes in the order in which Toxiproxy's answers are read."""
    return tuple(Toxic(kind, stream, tuple(sorted(attributes.items()))) for stream in STREAMS[direction])


def one_way(direction: Direction) -> str:
    """A round trip cannot tell up from down: which way a one-way fault went is what Toxiproxy says."""
    return "both" if direction == "both" else READ_BACK


def each_way(before: Baseline, during: Measured, least: int) -> dict[Way, tuple[Sequence[float], Sequence[float]]]:
    """Each way's times before and during, in ms; empty where fewer than ``least`` pings say when they arrived."""
    pairs: dict[Way, tuple[Sequence[float], Sequence[float]]] = {
        "up": (before.up_ms, during.up_ms), "down": (before.down_ms, during.down_ms),
    }  # fmt: skip
    if any(len(was) < LEAST_BASELINE or len(now) < least for was, now in pairs.values()):
        return {}
    return pairs


def in_words(added_ms: Mapping[Way, float]) -> str:
    """What was measured of each way, more than before."""
    return f"measured up {added_ms['up']:+.1f} ms, down {added_ms['down']:+.1f} ms"


def held_way(direction: Direction, during: Measured) -> tuple[str, bool]:
    """Which way let no ping through, in words, and whether that is the one asked for.

    What arrived, and whose answer did not, was held on its way down; what never arrived says nothing of the way down.
    """
    if during.reached is None or not during.unanswered:
        return one_way(direction), True
    if during.reached:
        return "measured down", direction == "down"
    return ("measured up; down read back" if direction == "both" else "measured up"), direction != "down"


def held(what: dict[str, Any], before: Baseline, during: Measured) -> Bite:
    """The verdict on whatever lets no ping come back inside the window."""
    if during.answered_ms:
        return Bite("absent", what, PINGS)
    if not during.unanswered or not before.round_trips_ms:
        return Bite("not-probed", what | {"reason": "no ping was sent on a live connection"}, PINGS)
    return Bite("confirmed", what, PINGS)
