"""Walks a plan on the monotonic clock: applies each fault, heals it, proves that it bit, and writes all of it down.

One thread a cohort; every call to Toxiproxy stands in the journal, on disk, before it is made.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from chaos.canary import Canary, Marks
from chaos.faults import Bite, Fault
from chaos.listeners import Listener
from chaos.plan import Plan, Window
from chaos.toxiproxy import ControlError, Wedged
from loadtests.dial import Dial
from loadtests.errors import GauntletError
from loadtests.journal import Journal

__all__ = ["Nemesis"]

TICK_S = 0.25
#: how long after the heal the canary may still learn something: held pings, the end of a black-holed connection
SETTLE_S = 2.0
OPEN_S = 3.0


class Nemesis:
    """The faults of one run, at their times; ``errors`` says what could not be done."""

    def __init__(self, plan: Plan, listeners: Mapping[str, Listener], journal: Journal, dial: Dial, t0_ns: int) -> None:
        self.errors: list[str] = []
        self._plan, self._listeners, self._journal, self._dial, self._t0_ns = plan, listeners, journal, dial, t0_ns
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._walk, args=(cohort,), name=f"nemesis-{cohort}", daemon=True)
            for cohort in plan.cohorts
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, timeout_s: float | None = None) -> bool:
        """True when every window has been healed and judged."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Heal what is applied, now, and begin nothing more; ``join`` waits for it."""
        self._stop.set()

    def _walk(self, cohort: str) -> None:
        listener = self._listeners[cohort]
        canary = Canary(self._dial.via(listener.address))
        windows = sorted((w for w in self._plan.windows if w.cohort == cohort), key=lambda window: window.start_ms)
        try:
            for window in windows:
                canary = self._prepare(canary, self._t0_ns + window.start_ms * 1_000_000)
                if self._stop.is_set():
                    break
                _Strike(window, listener, canary, self._journal, self.errors).run(
                    self._t0_ns + window.end_ms * 1_000_000, self._stop
                )
        except Exception as error:  # noqa: BLE001  # a thread's death must be seen by the conductor, not by stderr
            self.errors.append(f"chaos on {cohort}: {type(error).__name__}: {error}")
        finally:
            canary.close()

    def _prepare(self, canary: Canary, start_ns: int) -> Canary:
        """Wait for a window's start, with a canary that lives; the one before may have died of its window."""
        while (left_s := (start_ns - time.monotonic_ns()) / 1e9) > 0 and not self._stop.is_set():
            if not canary.alive:
                canary.close()
                canary = Canary(canary.dial)
                if canary.open(min(OPEN_S, left_s)) and left_s > 2 * TICK_S:
                    canary.try_once()
            self._stop.wait(min(TICK_S, max(0.0, (start_ns - time.monotonic_ns()) / 1e9)))
        return canary


class _Strike:
    """One window: apply, wait, heal, judge."""

    def __init__(self, window: Window, listener: Listener, canary: Canary, journal: Journal, errors: list[str]) -> None:
        self._window, self._listener, self._canary = window, listener, canary
        self._journal, self._errors = journal, errors
        self._fault: Fault = window.fault

    def run(self, end_ns: int, stop: threading.Event) -> None:
        applying_ns = self._step("applying")
        if not self._attempt(self._apply):
            return
        applied_ns = self._step("applied")
        self._canary.keep_trying()
        stop.wait(max(0.0, (end_ns - time.monotonic_ns()) / 1e9))
        self._canary.rest()
        healing_ns = self._step("healing")
        if not self._attempt(self._heal):
            return
        healed_ns = self._step("healed")
        deadline = time.monotonic() + SETTLE_S
        pause = threading.Event()
        while not self._canary.settled(healed_ns) and time.monotonic() < deadline:
            pause.wait(0.02)
        before, during = self._canary.reading(Marks(applying_ns, applied_ns, healing_ns, healed_ns))
        bite = self._fault.judge(before, during)
        self._effect(Bite(bite.effect, bite.measured | {"new_connections": dict(Counter(during.fresh))}, bite.by))

    def _apply(self) -> None:
        control, proxy = self._listener.control, self._listener.proxy
        if self._fault.disables:
            control.disable(proxy)
        for name, toxic in self._toxics():
            control.add_toxic(proxy, name, toxic)

    def _heal(self) -> None:
        """The toxic is removed under live connections: for a jam or a delay they live on, for a drop that ends them."""
        control, proxy = self._listener.control, self._listener.proxy
        for name, _ in self._toxics():
            control.remove_toxic(proxy, name)
        if self._fault.disables:
            control.enable(proxy)

    def _toxics(self) -> list[tuple[str, Any]]:
        return [(f"{self._window.id}-{toxic.type}-{toxic.stream}", toxic) for toxic in self._fault.toxics]

    def _attempt(self, call: Callable[[], None]) -> bool:
        """False: it failed; then the window is closed as well as can be, and its effect is not a fault's effect."""
        try:
            call()
        except Wedged as error:
            self._canary.rest()
            self._journal.append("wedge", id=self._window.id, text=str(error))
            self._restart()
            self._effect(Bite("not-probed", {"reason": str(error)}, "Toxiproxy was restarted"))
            return False
        except ControlError as error:
            self._errors.append(f"{self._window.id}: {error}")
            self._step("healing")
            try:
                self._heal()
            except ControlError as again:
                self._errors.append(f"{self._window.id}: {again}")
                self._restart()
            else:
                self._step("healed")
            self._effect(Bite("absent", {"reason": str(error)}, "the control plane's answer"))
            return False
        return True

    def _restart(self) -> None:
        self._step("healing")
        try:
            self._listener.restart()
        except GauntletError as error:
            self._errors.append(f"{self._window.id}: {error}")
        else:
            self._step("healed")

    def _step(self, step: str) -> int:
        """Write the step, with the time before the write: ``applied`` and ``healed`` stand right after their call."""
        at_ns = time.monotonic_ns()
        window = self._window
        self._journal.append(
            "window",
            id=window.id,
            step=step,
            at_ns=at_ns,
            kind=window.kind,
            cohort=window.cohort,
            phase=window.phase,
            asked=window.asked,
            proxy=self._listener.proxy,
        )
        return at_ns

    def _effect(self, bite: Bite) -> None:
        self._journal.append("effect", id=self._window.id, effect=bite.effect, measured=bite.measured, by=bite.by)
