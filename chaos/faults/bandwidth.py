"""Bandwidth: so many bytes a second and no more, for each connection; nothing is lost."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from chaos.faults.fault import Baseline, Bite, Direction, Fault, Group, Measured, Probe, Toxic, Way, toxics_of

__all__ = ["Bandwidth"]

BURST = "a burst of pings and pongs on a live connection of this listener"
#: a rate measured over about a second was right within 2 %; a busy host makes it slower, never faster
BURST_MS, LEAST_BURST_BYTES = 1_000, 500
FASTER, SLOWER = 1.25, 0.5


class Bandwidth(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "bandwidth"
    group: ClassVar[Group] = "shape"
    delays: ClassVar[bool] = True
    heals_intact: ClassVar[bool] = True
    probe: ClassVar[Probe] = "burst"

    #: of 1,000 bytes; more than this is no thin pipe, and cannot be told from none by a small burst
    kb_per_s: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    direction: Direction = "down"

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        return toxics_of(self.direction, "bandwidth", rate=self.kb_per_s)

    def bursts(self, window_ms: int) -> list[tuple[Way, int]]:
        """For each way about as much as a second lets through, and well inside the window."""
        ways: list[Way] = [way for way in ("up", "down") if self.direction in {way, "both"}]
        each_ms = min(BURST_MS, window_ms * 0.6) / len(ways)
        return [(way, max(LEAST_BURST_BYTES, int(self.kb_per_s * each_ms))) for way in ways]

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """Bytes per second of a burst, each direction by itself: pongs that nobody answers fill the way up alone."""
        pairs = {"up": (before.rate_up, during.rate_up), "down": (before.rate_down, during.rate_down)}
        ways = [way for way in pairs if self.direction in {way, "both"}]
        asked = self.kb_per_s * 1000.0
        rates = {way: pairs[way][1] for way in ways}
        known = {way: round(rate / 1000, 2) for way, rate in rates.items() if rate is not None}
        measured = {
            "what": "throughput",
            "unit": "KB/s",
            "value": max(known.values()) if known else None,
            "asked_kb_per_s": self.kb_per_s,
            "direction": f"measured {' and '.join(ways)}" if len(known) == len(ways) else "not measured",
            **{f"{way}_kb_per_s": rate for way, rate in known.items()},
        }
        if len(known) < len(ways):
            return Bite("not-probed", measured | {"reason": "no burst came through"}, BURST)
        if any(rate is not None and rate > FASTER * asked for rate in rates.values()):
            return Bite("absent", measured, BURST)
        if any((pairs[way][0] or 0.0) < 2 * asked for way in ways):
            return Bite("not-probed", measured | {"reason": "the way was not known to be wider before"}, BURST)
        if any(rate is not None and rate < SLOWER * asked for rate in rates.values()):
            return Bite("not-probed", measured | {"reason": "slower than was asked"}, BURST)
        return Bite("confirmed", measured, BURST)
