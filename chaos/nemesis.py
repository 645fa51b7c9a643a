"""Walks a plan on the monotonic clock: every window at its time, on its listener, by whoever can do it.

Windows that overlap run in lanes, a thread each; what one window does stands in ``strike``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from chaos.faults.command import Command
from chaos.hands import Hand, OnBackend, OnListener, WithCommands
from chaos.listeners import Listener
from chaos.plan import Plan, Window
from chaos.revert import LEDGER
from chaos.side import Heard, Side
from chaos.strike import LEAD_S, Strike
from loadtests.dial import Dial
from loadtests.errors import RigError
from loadtests.journal import Journal
from loadtests.manifest import run_id

__all__ = ["Nemesis", "lanes"]

#: after its end a window settles, the backend is asked of arrivals, and it is judged; only then is the next one prepared
TAIL_MS = 3_000
#: whatever a cut did, the canary is there again for the first window
READY_S = 0.2
POLL_S = 0.02


class Nemesis:
    """The faults of one run, at their times; ``errors`` says what could not be done."""

    def __init__(
        self,
        plan: Plan,
        listeners: Mapping[str, Listener],
        journal: Journal,
        dial: Dial,
        *,
        run_dir: Path | None = None,
        backend: Mapping[str, Callable[[], None]] | None = None,
        without: str = "",
        heard: Heard | None = None,
    ) -> None:
        """``backend`` holds what its keeper can do (kill, start, pause, resume, restart); ``without`` names the environment
        variable that commands must not see; ``heard`` asks the backend when a canary's pings arrived.
        """
        self.errors: list[str] = []
        self._journal, self._t0_ns, self._run_dir = journal, 0, run_dir
        self._rows = run_dir / "rows" if run_dir is not None else None
        self._backend, self._without = backend or {}, (without,) if without else ()
        self._stop = threading.Event()
        names = dict.fromkeys(_listener_of(window) for window in plan.windows)
        self._sides = {name: Side(listeners[name], dial.via(listeners[name].address), heard) for name in names}
        self._threads = [
            threading.Thread(target=self._walk, args=(lane,), name=f"nemesis-{number}", daemon=True)
            for number, lane in enumerate(lanes(plan.windows))
        ]
        self._end = threading.Thread(target=self._finish, name="nemesis", daemon=True)

    def watch(self) -> None:
        """Open the canaries; from now on they have a baseline, or get one."""
        for side in self._sides.values():
            side.start()

    def watching(self, timeout_s: float) -> bool:
        """Wait until every canary has a baseline; false: one has none."""
        deadline = time.monotonic() + timeout_s
        while not all(side.has_baseline for side in self._sides.values()):
            if time.monotonic() > deadline:
                return False
            self._stop.wait(POLL_S)
        return True

    def start(self, t0_ns: int) -> None:
        """Walk the plan, whose times count from ``t0_ns`` on the monotonic clock. The canaries are open already."""
        self._t0_ns = t0_ns
        for thread in self._threads:
            thread.start()
        self._end.start()

    def redial(self, dial: Dial) -> None:
        """From now on whoever connects anew does it so."""
        for side in self._sides.values():
            side.dial = dial.via(side.listener.address)

    def join(self, timeout_s: float | None = None) -> bool:
        """True when every window has been healed and judged, or will never begin."""
        if self._end.ident is None:
            for side in self._sides.values():
                side.close()
            return True
        self._end.join(timeout_s)
        return not self._end.is_alive()

    def stop(self) -> None:
        """Heal what is applied, now, and begin nothing more; ``join`` waits for it."""
        self._stop.set()

    def _finish(self) -> None:
        for thread in self._threads:
            thread.join()
        for side in self._sides.values():
            side.close()

    def _walk(self, lane: Iterable[Window]) -> None:
        for window in lane:
            if self._stop.is_set():
                return
            try:
                side = self._sides[_listener_of(window)]
                self._wait(window)
                hand = self._hand(window, side)
                Strike(window, side, hand, self._journal, self.errors, self._t0_ns, self._stop, self._rows).run()
            except Exception as error:  # noqa: BLE001  # a thread's death must be seen by the conductor, not by stderr
                self.errors.append(f"{window.id} on {window.cohort}: {type(error).__name__}: {error}")
                return

    def _wait(self, window: Window) -> None:
        start_s = self._t0_ns / 1e9 + window.start_ms / 1000
        self._stop.wait(max(0.0, start_s - LEAD_S - READY_S - time.monotonic()))

    def _hand(self, window: Window, side: Side) -> Hand:
        fault = window.fault
        if isinstance(fault, Command):
            if self._run_dir is None:
                raise RigError(f"{window.id}: a command needs a run directory, for its ledger")
            ledger = self._run_dir / LEDGER
            return WithCommands(
                fault, window.id, run_id(self._run_dir), self._journal, ledger, self._without, self._stop
            )
        if fault.place == "backend":
            return OnBackend(fault, self._backend)
        return OnListener(side.listener, fault, window.id, side.lock)


def lanes(windows: Iterable[Window]) -> list[list[Window]]:
    """As few lanes as will do; within one, each window is over and judged before the next is prepared."""
    out: list[list[Window]] = []
    for window in sorted(windows, key=lambda window: (window.start_ms, window.id)):
        free = next((lane for lane in out if lane[-1].end_ms + TAIL_MS + LEAD_S * 1000 <= window.start_ms), None)
        if free is None:
            out.append([window])
        else:
            free.append(window)
    return out


def _listener_of(window: Window) -> str:
    """A door has a listener of its own; a switch leaves the one that all came by."""
    fault = window.fault
    return f"{window.cohort}-{fault.extra}" if fault.place == "handshake" else window.cohort
