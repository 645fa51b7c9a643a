"""What a canary's sightings say about one window: before it, inside it, and after. Pure.

Pings are told apart by when they were sent; what another fault was part of is left out on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Literal

from chaos.faults.fault import Acted, Baseline, Measured, Way

__all__ = ["MEET_NS", "Burst", "Marks", "Ping", "Sightings", "Try", "acted", "read", "spans"]

BASELINE_PINGS = 20
#: a busy host is late; what was sent within this before the end need not have arrived in time
ARRIVAL_SLACK_NS = 100_000_000
MS = 1e6
#: windows that meet do so within this; others are farther apart
MEET_NS = 500_000_000
#: a half-close and an upgrade are tried for some faults only; a request is what every window tries
How = Literal["request", "close", "upgrade"]


@dataclass(slots=True)
class Ping:
    sent_ns: int
    answered_ns: int = 0
    #: at the backend; 0: unknown, or it has not
    arrived_ns: int = 0
    #: with the largest payload
    wide: bool = False
    #: how many reads its answer came in
    reads: int = 0
    #: part of a burst, so that its round trip says nothing
    burst: bool = False

    @property
    def ms(self) -> float:
        return (self.answered_ns - self.sent_ns) / MS

    @property
    def up_ms(self) -> float:
        return (self.arrived_ns - self.sent_ns) / MS

    @property
    def down_ms(self) -> float:
        return (self.answered_ns - self.arrived_ns) / MS


@dataclass(slots=True)
class Burst:
    """Many bytes at once, and when the last of them had come through; 0: they have not."""

    way: Way
    sent_ns: int
    bytes: int
    done_ns: int = 0

    @property
    def rate(self) -> float:
        return self.bytes / max(1e-6, (self.done_ns - self.sent_ns) / 1e9)


@dataclass(frozen=True, slots=True)
class Try:
    """One new connection."""

    how: How
    begun_ns: int
    ended_ns: int
    outcome: str
    waited_ms: float = 0.0


@dataclass(slots=True)
class Sightings:
    """All that one canary saw; the lists only grow."""

    pings: list[Ping] = field(default_factory=list)
    bursts: list[Burst] = field(default_factory=list)
    received: list[tuple[int, int]] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)
    ended: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Marks:
    """Around the calls that apply and heal: what was sent between ``applied`` and ``healing`` was under the fault."""

    applying_ns: int
    applied_ns: int
    healing_ns: int
    healed_ns: int
    #: when the way was as it was just before, this fault aside; none: since ever
    before: tuple[tuple[int, int], ...] = ()
    #: when another fault changed the way again; 0: not before the heal
    until_ns: int = 0

    @property
    def end_ns(self) -> int:
        return min(self.until_ns or self.healing_ns, self.healing_ns)


def spans(windows: Iterable[tuple[int, int]], applying_ns: int) -> tuple[tuple[int, int], ...]:
    """When, before ``applying_ns``, exactly those other windows were active that are active now; ``(begin, end)``, end 0: still."""
    others = [(begin, end or 1 << 62) for begin, end in windows]
    now = {one for one in others if one[0] <= applying_ns < one[1]}
    edges = sorted({0, applying_ns, *(edge for one in others for edge in one if edge < applying_ns)})
    out = []
    for start, end in pairwise(edges):
        if {one for one in others if one[0] <= start < one[1]} == now:
            out.append((start, end))
    return tuple(out)


def read(seen: Sightings, tries: Sequence[Try], marks: Marks) -> tuple[Baseline, Measured]:
    """What was seen before, during and after the fault."""
    pings = [ping for ping in list(seen.pings) if not ping.burst]
    quiet = marks.before or ((0, marks.applying_ns),)
    before = [p for p in pings if p.answered_ns and any(a <= p.sent_ns and p.answered_ns < b for a, b in quiet)]
    inside = [p for p in pings if marks.applied_ns <= p.sent_ns < marks.end_ns]
    answered = [p for p in inside if 0 < p.answered_ns < marks.end_ns]
    # When another fault cut the sight short, what was not answered by then says nothing.
    whole = marks.healing_ns - marks.end_ns < MEET_NS
    late = [p for p in inside if not 0 < p.answered_ns < marks.healing_ns] if whole else []
    recent, small = before[-BASELINE_PINGS:], [p for p in answered if not p.wide]
    # A backend that has begun anew since knows nothing of what arrived before; and of large pings none tells.
    ups_ns = [p.arrived_ns - p.sent_ns for p in recent if p.arrived_ns]
    due_ns = marks.end_ns - max(ups_ns) - ARRIVAL_SLACK_NS if ups_ns else 0
    timely = [p for p in late if not p.wide and p.sent_ns < due_ns]
    ended_ns, how = seen.ended or (0, "")
    past = [one for one in tries if one.ended_ns < marks.applying_ns]
    now = [one for one in tries if marks.applied_ns <= one.begun_ns and one.ended_ns < marks.healing_ns]
    bursts = list(seen.bursts)
    return Baseline(
        round_trips_ms=tuple(p.ms for p in recent),
        up_ms=tuple(p.up_ms for p in recent if p.arrived_ns),
        down_ms=tuple(p.down_ms for p in recent if p.arrived_ns),
        fresh=next((one.outcome for one in past[::-1] if one.how != "close"), ""),
        rate_up=_rate(bursts, "up", 0, marks.applying_ns),
        rate_down=_rate(bursts, "down", 0, marks.applying_ns),
        reads=tuple(p.reads for p in before if p.wide),
        close_ms=next((one.waited_ms for one in past[::-1] if one.how == "close" and one.outcome == "closed"), None),
    ), Measured(
        answered_ms=tuple(p.ms for p in small),
        up_ms=tuple(p.up_ms for p in small if p.arrived_ns),
        down_ms=tuple(p.down_ms for p in small if p.arrived_ns),
        reached=sum(0 < p.arrived_ns < marks.end_ns for p in timely) if timely else None,
        held_ms=tuple(p.ms for p in late if p.answered_ns),
        lost=sum(1 for p in late if not p.answered_ns),
        after_ms=tuple(p.ms for p in pings if p.sent_ns >= marks.healed_ns and p.answered_ns),
        ended=_when(ended_ns, marks),
        ended_how=how,
        fresh=tuple(one.outcome for one in now if one.how != "close"),
        rate_up=_rate(bursts, "up", marks.applied_ns, marks.healing_ns),
        rate_down=_rate(bursts, "down", marks.applied_ns, marks.healing_ns),
        reads=tuple(p.reads for p in answered if p.wide),
        wide_ms=tuple(p.ms for p in answered if p.wide),
        closes_ms=tuple(
            one.waited_ms if one.outcome == "closed" else inf for one in now if one.how == "close" and one.waited_ms
        ),
        close_waited_ms=max((one.waited_ms for one in now if one.how == "close"), default=0.0),
        upgrades_ms=tuple(one.waited_ms for one in now if one.how == "upgrade" and one.outcome == "answered"),
        bytes_up=_bytes(seen.sent, marks),
        bytes_down=_bytes(seen.received, marks),
    )  # fmt: skip


def acted(lines: Iterable[dict[str, object]], window: str) -> Acted:
    """What the load processes' lines say about one window."""
    mine = [line for line in lines if line.get("id") == window]
    begun = [line for line in mine if line.get("act") == "begin"]
    ended = [line for line in mine if line.get("act") == "end"]
    held = [one for line in mine if isinstance(one := line.get("held_bytes"), int)]
    return Acted(
        lines=len(begun),
        sessions=sum(map(_sessions, begun)),
        ended=sum(map(_sessions, ended)),
        of=sum(of for line in begun if isinstance(of := line.get("of"), int)),
        held_bytes=sum(held) if held else None,
    )


def _sessions(line: dict[str, object]) -> int:
    sessions = line.get("sessions")
    return len(sessions) if isinstance(sessions, list) else 0


def _rate(bursts: Sequence[Burst], way: Way, since_ns: int, until_ns: int) -> float | None:
    """Of the last burst that was sent and came through between the two."""
    done = [b for b in bursts if b.way == way and since_ns <= b.sent_ns and 0 < b.done_ns < until_ns]
    return done[-1].rate if done else None


def _bytes(log: Sequence[tuple[int, int]], marks: Marks) -> int:
    return sum(count for at_ns, count in list(log) if marks.applied_ns <= at_ns < marks.healing_ns)


def _when(ended_ns: int, marks: Marks) -> Literal["", "before", "window", "heal"]:
    if not ended_ns:
        return ""
    if ended_ns < marks.applying_ns:
        return "before"
    return "window" if ended_ns < marks.healing_ns else "heal"
