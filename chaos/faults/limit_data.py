"""Limit of data: each connection is cut after so many bytes, in the middle of whatever frame that is."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from chaos.faults.fault import (
    PINGS,
    READ_BACK,
    Baseline,
    Bite,
    Direction,
    Fault,
    Measured,
    Probe,
    Toxic,
    Way,
    toxics_of,
)

__all__ = ["LimitData"]

#: what may have been on its way while the toxic was being added
IN_FLIGHT_BYTES = 512
#: a connection that is closed in order, by whomever, was not cut
CUTS = frozenset({"eof", "reset"})


class LimitData(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "limit-data"
    disconnects: ClassVar[bool] = True
    probe: ClassVar[Probe] = "burst"

    #: from when the fault begins, for connections that live; from their start for new ones
    bytes: Annotated[int, msgspec.Meta(ge=1, le=200_000)]
    direction: Direction = "down"

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        return toxics_of(self.direction, "limit_data", bytes=self.bytes)

    def bursts(self, window_ms: int) -> list[tuple[Way, int]]:
        """More than is allowed; pings go up and their answers down."""
        del window_ms
        return [("up" if self.direction == "up" else "down", 2 * self.bytes + IN_FLIGHT_BYTES)]

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """The live connection ended, having carried what was allowed and no more."""
        ways = {"down": during.bytes_down, "up": during.bytes_up}
        carried = {way: count for way, count in ways.items() if self.direction in {way, "both"}}
        measured = {
            "what": "bytes until the cut",
            "unit": "bytes",
            "value": max(carried.values()),
            "asked_bytes": self.bytes,
            "ended": during.ended or "not",
            "ended_how": during.ended_how,
            # what we sent is counted before it meets the limit
            "direction": "measured down" if self.direction == "down" else READ_BACK,
        }
        if not before.round_trips_ms or during.ended == "before":
            return Bite("not-probed", measured | {"reason": "no live connection before the fault"}, PINGS)
        over = any(count > self.bytes + IN_FLIGHT_BYTES for count in carried.values())
        if during.ended != "window":
            reason = "less was carried than allowed"
            return Bite("absent", measured, PINGS) if over else Bite("not-probed", measured | {"reason": reason}, PINGS)
        # The burst is more than is allowed: its last ping is answered only where nothing was cut.
        whole = (during.rate_up if self.direction == "up" else during.rate_down) is not None
        if whole or (self.direction == "down" and over):
            return Bite("absent", measured, PINGS)
        if during.ended_how not in CUTS:
            return Bite(
                "not-probed", measured | {"reason": f"the connection ended otherwise: {during.ended_how}"}, PINGS
            )
        return Bite("confirmed", measured, PINGS)
