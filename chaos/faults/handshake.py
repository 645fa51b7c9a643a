"""Handshake: a fault that only new connections meet, on a listener of their own; live sessions never feel it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from chaos.faults.drop import Drop
from chaos.faults.fault import FRESH, Baseline, Bite, Fault, Group, Measured, Place, Probe, Step, Toxic, toxics_of
from chaos.faults.jam import Jam
from chaos.faults.latency import Latency
from chaos.faults.limit_data import LimitData
from chaos.faults.reset import Reset

__all__ = ["WRAPPED", "Handshake"]

Wrapped = Literal["jam", "limit-data", "reset", "latency", "drop"]
WRAPPED: dict[str, type[Fault]] = {fault.kind: fault for fault in (Jam, LimitData, Reset, Latency, Drop)}
#: how an upgrade under each of them may end
ENDS: dict[str, frozenset[str]] = {
    "jam": frozenset({"silent"}),
    "drop": frozenset({"silent"}),
    "limit-data": frozenset({"eof", "reset"}),
    "reset": frozenset({"eof", "reset"}),
    "latency": frozenset({"answered"}),
}
SLACK_MS, SLACK_SHARE = 5.0, 0.1


class Handshake(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "handshake"
    place: ClassVar[Place] = "handshake"
    group: ClassVar[Group] = "door"
    # a connection that lives is not touched, one that begins may come to nothing
    disconnects: ClassVar[bool] = True
    extra: ClassVar[str] = "hs"
    probe: ClassVar[Probe] = "upgrade"

    fault: Wrapped
    #: of the wrapped fault
    with_: dict[str, Any] = msgspec.field(name="with", default_factory=dict)

    def __post_init__(self) -> None:
        try:
            _ = self.inner
        except msgspec.ValidationError as error:
            raise ValueError(f"with: {error}") from None

    @property
    def inner(self) -> Fault:
        return msgspec.convert(self.with_, WRAPPED[self.fault])

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        if self.fault == "reset":
            # a reset toxic needs no arming for connections that begin under it
            return toxics_of("up", "reset_peer", timeout=0)
        return tuple(self.inner.toxics)

    @property
    def end(self) -> tuple[Step, ...]:
        # clients have given up behind it: see half-open
        return (Step("renew"),) if self.fault == "jam" else tuple(Step("remove", toxic) for toxic in self.toxics)

    @property
    def patience_ms(self) -> int:
        inner = self.inner
        return 1_000 + (2 * inner.latency_ms + inner.jitter_ms if isinstance(inner, Latency) else 0)

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """Every upgrade tried inside the window ended as this fault makes it end; before, one was answered."""
        wanted = ENDS[self.fault]
        bitten = sum(1 for end in during.fresh if end in wanted)
        measured: dict[str, Any] = {
            "what": f"upgrades that ended as under {self.fault}", "unit": "upgrades", "value": bitten, "tried": len(during.fresh),
            "took_ms": round(min(during.upgrades_ms), 1) if during.upgrades_ms else None,
            "direction": "seen by the client",
        }  # fmt: skip
        if not during.fresh or before.fresh != "answered":
            return Bite("not-probed", measured | {"reason": "no upgrade was tried, or none was answered before"}, FRESH)
        if bitten < len(during.fresh):
            return Bite("absent", measured, FRESH)
        inner = self.inner
        if isinstance(inner, Latency):
            asked_ms = float((inner.latency_ms - inner.jitter_ms) * len(inner.toxics))
            measured |= {"asked_ms": asked_ms}
            late = during.upgrades_ms and min(during.upgrades_ms) >= asked_ms - max(SLACK_MS, SLACK_SHARE * asked_ms)
            return Bite("confirmed" if late else "absent", measured, FRESH)
        return Bite("confirmed", measured, FRESH)
