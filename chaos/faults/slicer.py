"""Slicer: bytes arrive in small pieces with pauses between them; nothing is lost, frames come in fragments of TCP."""

from __future__ import annotations

from statistics import median
from typing import Annotated, ClassVar

import msgspec

from chaos.faults.fault import READ_BACK, Baseline, Bite, Direction, Fault, Group, Measured, Probe, Toxic, toxics_of

__all__ = ["WIDE_BYTES", "Slicer"]

WIDE = "large WebSocket pings on a live connection of this listener"
#: payload of a large ping: the most that a control frame may carry
WIDE_BYTES = 125
LEAST = 3


class Slicer(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "slicer"
    group: ClassVar[Group] = "shape"
    delays: ClassVar[bool] = True
    heals_intact: ClassVar[bool] = True
    probe: ClassVar[Probe] = "wide"

    #: at least 1: at 0 Toxiproxy dies of the first byte
    average_bytes: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8
    variation_bytes: Annotated[int, msgspec.Meta(ge=0, le=99)] = 4
    delay_us: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 500
    direction: Direction = "down"

    def __post_init__(self) -> None:
        if self.variation_bytes >= self.average_bytes:
            # Toxiproxy dies of it
            raise ValueError(
                f"variation_bytes {self.variation_bytes} must be less than average_bytes {self.average_bytes}"
            )

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        sizes = {"average_size": self.average_bytes, "size_variation": self.variation_bytes}
        return toxics_of(self.direction, "slicer", delay=self.delay_us, **sizes)

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """Down: in how many reads a large pong came. Up: how much later it came for the pauses between its pieces."""
        pieces = WIDE_BYTES / self.average_bytes
        down = self.direction != "up"
        asked_ms = pieces * self.delay_us / 1000
        added_ms = (
            median(during.wide_ms) - median(before.round_trips_ms) if during.wide_ms and before.round_trips_ms else None
        )
        measured = {
            "what": "reads for one large pong" if down else "added round trip of a large ping",
            "unit": "reads" if down else "ms",
            "value": (float(median(during.reads)) if during.reads else None) if down else _round(added_ms),
            "asked_pieces": round(pieces, 1),
            "asked_ms": round(asked_ms, 1),
            "added_ms": _round(added_ms),
            "direction": {"down": "measured down", "up": READ_BACK, "both": "measured down; up read back"}[self.direction],
        }  # fmt: skip
        if len(during.wide_ms) < LEAST or not before.round_trips_ms:
            return Bite("not-probed", measured | {"reason": "too few pings were answered"}, WIDE)
        if down and before.reads and median(before.reads) > pieces / 4:
            return Bite("not-probed", measured | {"reason": "it came in pieces before the fault already"}, WIDE)
        if down:
            if median(during.reads) <= 1:
                return Bite("absent", measured, WIDE)
            # pieces without a pause may be read together
            few = median(during.reads) < pieces / 2
            return (
                Bite("not-probed", measured | {"reason": "fewer pieces than asked"}, WIDE)
                if few
                else Bite("confirmed", measured, WIDE)
            )
        if asked_ms < LEAST:
            return Bite("not-probed", measured | {"reason": "too short a pause to be seen in a round trip"}, WIDE)
        late = added_ms is not None and added_ms >= 0.6 * asked_ms
        return Bite("confirmed" if late else "absent", measured, WIDE)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
