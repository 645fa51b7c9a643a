"""Half-open: nothing passes, and no end is told either: each side may hold a connection that the other has given up."""

from __future__ import annotations

from typing import ClassVar

from chaos.faults.fault import Baseline, Bite, Fault, Measured, Step, Toxic, held, toxics_of

__all__ = ["HalfOpen"]

#: longer than any window, so that only the heal tells of an end
NEVER_MS = 600_000


class HalfOpen(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "half-open"
    disconnects: ClassVar[bool] = True
    holds: ClassVar[bool] = True
    #: whoever vanishes behind it comes back by another way
    extra: ClassVar[str] = "alt"

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        return (*toxics_of("both", "bandwidth", rate=0), *toxics_of("both", "slow_close", delay=NEVER_MS))

    @property
    def end(self) -> tuple[Step, ...]:
        # Taking a jam away after a disable, or from under connections that end meanwhile, hangs Toxiproxy as soon as two
        # pieces are held. A new listener does not, and leaves no ghost of Toxiproxy's own on the backend.
        return (Step("renew"),)

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """No ping came back, and no end was told, inside the window."""
        measured = {
            "what": "pings without an answer",
            "unit": "pings",
            "value": during.unanswered,
            "answered": len(during.answered_ms),
            "ended": during.ended or "not",
            "direction": "both",
        }
        bite = held(measured, before, during)
        if bite.effect == "confirmed" and during.ended == "window":
            return Bite("absent", measured | {"reason": "an end was told"}, bite.by)
        return bite
