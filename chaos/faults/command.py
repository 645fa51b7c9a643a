"""Command: a fault of the user's own, as programs that apply, verify and revert it: a rollout, a scaling, a dependency."""

from __future__ import annotations

import shutil
from typing import Annotated, Any, ClassVar

import msgspec

from chaos.faults.fault import Baseline, Bite, Fault, Group, Measured, Place

__all__ = ["Argv", "Command"]

#: a program and its arguments; no shell looks at them
Argv = Annotated[list[Annotated[str, msgspec.Meta(min_length=1)]], msgspec.Meta(min_length=1, max_length=64)]


class Command(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: ClassVar[str] = "command"
    place: ClassVar[Place] = "command"
    group: ClassVar[Group] = "actor"
    disconnects: ClassVar[bool] = True
    may_disconnect: ClassVar[bool] = True
    holds: ClassVar[bool] = True

    apply: Argv
    #: exits 0 once the fault is there; asked again until it does or the time is up
    verify: Argv | None = None
    revert: Argv | None = None
    #: of each of the three
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=600)] = 30

    @property
    def asked(self) -> dict[str, Any]:
        return {key: value for key, value in msgspec.to_builtins(self).items() if value is not None}

    def missing(self) -> list[str]:
        """The programs, in order and each once, that this machine does not have; asked before a run, and by no plan: that may
        have been made for another machine.
        """
        programs = dict.fromkeys(argv[0] for argv in (self.apply, self.verify, self.revert) if argv is not None)
        return [program for program in programs if shutil.which(program) is None]

    def judge(self, before: Baseline, during: Measured) -> Bite:
        """What the user's own verification says; without one nobody knows."""
        del before
        measured = {"what": "verified", "unit": "yes or no", "value": during.verified, "fresh": len(during.fresh)}
        if during.verified is None:
            stopped = "it was stopped before it was verified"
            reason = "the fault has no verify command" if self.verify is None else stopped
            return Bite("not-probed", measured | {"reason": reason}, "")
        return Bite("confirmed" if during.verified else "absent", measured, "the fault's own verify command")
