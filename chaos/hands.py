"""Who does a fault's deeds: Toxiproxy's control plane, the keeper of the backend's process, or the user's commands.

Each writes down what it must be able to undo before it does anything.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from chaos.faults.backend import ACTIONS
from chaos.faults.command import Command
from chaos.faults.fault import Fault, Step
from chaos.listeners import Listener
from chaos.revert import LET_GO_S, holding, mark, run_command, was_reverted
from loadtests.errors import RigError
from loadtests.journal import Journal

__all__ = ["Hand", "OnBackend", "OnListener", "WithCommands"]

VERIFY_GAP_S = 0.5


class Hand(Protocol):
    """Does one window's deeds; each returns when it is done, or raises a GauntletError."""

    def begin(self) -> None: ...

    def step(self, step: Step) -> None:
        """What happens inside the window."""

    def end(self) -> None:
        """Heal; also what was applied only in part."""


@dataclass(slots=True)
class OnListener:
    """Toxics and the switch of one listener. For what clients do themselves there may be none at all."""

    listener: Listener
    fault: Fault
    window: str
    #: one call at a time to one listener
    lock: threading.RLock

    def begin(self) -> None:
        for step in self.fault.begin:
            self.step(step)

    def end(self) -> None:
        for step in self.fault.end:
            self.step(step)

    def step(self, step: Step) -> None:
        control, proxy = self.listener.control, self.listener.proxy
        with self.lock:
            if step.do == "renew":
                control.renew(proxy, without=f"{self.window}-")
                return
            if step.toxic is None:
                (control.enable if step.do == "enable" else control.disable)(proxy)
                return
            name = f"{self.window}-{step.toxic.type}-{step.toxic.stream}"
            if step.do == "add":
                control.add_toxic(proxy, name, step.toxic)
            else:
                control.remove_toxic(proxy, name)


@dataclass(slots=True)
class OnBackend:
    """The process of the backend, by calls of whoever keeps it."""

    fault: Fault
    calls: Mapping[str, Callable[[], None]]
    _undone: bool = False

    def begin(self) -> None:
        self._call(ACTIONS[self.fault.kind][0])
        self._undone = True

    def step(self, step: Step) -> None:
        raise AssertionError(f"{self.fault.kind} has no steps inside its window, and {step} is one")

    def end(self) -> None:
        name = ACTIONS[self.fault.kind][1]
        if name and self._undone:
            self._call(name)
        self._undone = False

    def _call(self, name: str) -> None:
        if name not in self.calls:
            raise RigError(f"{self.fault.kind}: nobody here can {name} the backend; use a command fault")
        self.calls[name]()


@dataclass(slots=True)
class WithCommands:
    """A user's own commands. The revert stands in the ledger before anything is applied."""

    fault: Command
    window: str
    run_id: str
    journal: Journal
    #: the journal's own file
    ledger: Path
    #: environment variables that the commands must not see
    without: tuple[str, ...] = ()
    #: when set, it is no longer verified: an end waits for an apply that is under way, and for the revert
    stop: threading.Event = field(default_factory=threading.Event, repr=False)
    #: None: there is nothing to verify by, or it was not tried to the end
    verified: bool | None = None
    _begun: bool = False
    _failed: str = ""

    def begin(self) -> None:
        fault = self.fault
        self._write(
            "applying", argv=fault.apply, revert=fault.revert, timeout_s=fault.timeout_s, without=list(self.without)
        )
        self._begun = True
        if problem := self._run("apply", fault.apply):
            raise RigError(problem)
        self._write("applied")
        if fault.verify is not None:
            self.verified = self._verify(fault.verify)
            if self.verified is not None:
                self._write("verified" if self.verified else "not-verified")

    def step(self, step: Step) -> None:
        raise AssertionError(f"a command has no steps inside its window, and {step} is one")

    def end(self) -> None:
        """Revert, once: nobody knows what a revert that failed would do a second time. The guard tries it once more, when all
        is over. Called again, it fails as it failed before.
        """
        if self._begun and self.fault.revert is not None:
            self._begun, self._failed = False, f"revert command of {self.window}: it did not come to its end"
            self._failed = self._revert(self.fault.revert)
        if self._failed:
            raise RigError(self._failed)

    def _revert(self, argv: list[str]) -> str:
        with holding(self.ledger, self.fault.timeout_s + LET_GO_S) as ours:
            if was_reverted(self.ledger, self.window):
                return ""  # the guard took us for dead, and was first
            if not ours:
                return f"revert command of {self.window}: another process is reverting it"
            # A full disk keeps no revert from being run: that it may have to be stands in the ledger since before the apply.
            with contextlib.suppress(OSError):
                self._write("reverting")
            problem = self._run("revert", argv)
            with contextlib.suppress(OSError):
                self._write("not-reverted" if problem else "reverted")
        return problem

    def _verify(self, argv: list[str]) -> bool | None:
        """Asked again until it says yes, or the time is up; None: stopped before that."""
        deadline, marked = time.monotonic() + self.fault.timeout_s, mark(self.run_id, self.window, "verify")
        while (left_s := deadline - time.monotonic()) > 0 and not self.stop.is_set():
            if not run_command(argv, left_s, self.without, marked, self.stop):
                return True
            self.stop.wait(min(VERIFY_GAP_S, max(0.0, deadline - time.monotonic())))
        return None if self.stop.is_set() else False

    def _run(self, what: str, argv: list[str]) -> str:
        """What went wrong."""
        problem = run_command(argv, self.fault.timeout_s, self.without, mark(self.run_id, self.window, what))
        return f"{what} command of {self.window}: {problem}" if problem else ""

    def _write(self, step: str, **more: object) -> None:
        self.journal.append("command", id=self.window, step=step, **more)
