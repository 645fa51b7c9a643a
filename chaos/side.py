"""One listener as the nemesis sees it: a canary that is kept alive, and which windows were active on it when.

It opens no window and judges nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from chaos.canary import Canary
from chaos.faults.fault import LEAST_BASELINE
from chaos.listeners import Listener
from chaos.reading import MEET_NS, Marks, Sightings, spans
from loadtests.dial import Dial

__all__ = ["Heard", "Side"]

#: a canary's name -> number of its ping -> when that arrived at the backend
Heard = Callable[[bytes], Mapping[int, int]]

TICK_S = 0.2
OPEN_S = 2.0


@dataclass(slots=True)
class _Active:
    begin_ns: int
    end_ns: int = 0
    cuts: bool = False


@dataclass(slots=True)
class Side:
    """Shared by the windows of one listener."""

    listener: Listener
    dial: Dial
    #: None: the backend does not tell of arrivals
    heard: Heard | None = None
    canary: Canary = field(init=False)
    #: one call at a time to the control plane
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    #: counts restarts: what was applied before one is gone
    generation: int = 0
    _active: dict[str, _Active] = field(default_factory=dict, repr=False)
    _mutex: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _over: threading.Event = field(default_factory=threading.Event, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.canary = Canary(self.dial)

    def start(self) -> None:
        """Keep a living canary, but while a fault cuts: one that comes back would be cut again and again."""
        self._thread = threading.Thread(target=self._keep, name="keep-canary", daemon=True)
        self._thread.start()

    @property
    def has_baseline(self) -> bool:
        """Its canary has been answered often enough to tell a delay from none."""
        return sum(ping.answered_ns > 0 for ping in list(self.canary.seen.pings)) >= LEAST_BASELINE

    def close(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(2 * OPEN_S)
        self.canary.close()

    def enter(self, window: str, at_ns: int, *, cuts: bool) -> None:
        with self._mutex:
            self._active[window] = _Active(at_ns, cuts=cuts)

    def leave(self, window: str) -> None:
        with self._mutex:
            if window in self._active:
                self._active[window].end_ns = time.monotonic_ns()

    def marks(self, window: str, applying_ns: int, applied_ns: int, healing_ns: int, healed_ns: int) -> Marks:
        """A window's marks, and where other windows end the sight of it."""
        with self._mutex:
            others = [(one.begin_ns, one.end_ns) for name, one in self._active.items() if name != window]
        # Where two windows meet, one is healed while the other is applied, and either may be done first.
        met = {one for one in others if one[0] < applying_ns < one[1] < applied_ns + MEET_NS}
        clear_ns = max([applied_ns, *(end for _, end in met)])
        others = [(one[0], applying_ns) if one in met else one for one in others]
        edges = [edge for one in others for edge in one if edge > clear_ns]
        return Marks(applying_ns, clear_ns, healing_ns, healed_ns, spans(others, applying_ns), min(edges, default=0))

    def locate(self, canary: Canary) -> Sightings:
        """What it saw, with when each of its pings arrived, if the backend tells.

        All of it is of one answer, and in copies: beside arrivals of an earlier answer, or of another window's, a ping that this
        one leaves out would seem not to have arrived.
        """
        if self.heard is None:
            return canary.seen
        heard = self.heard(canary.name)
        pings = [replace(ping, arrived_ns=heard.get(number, 0)) for number, ping in enumerate(list(canary.seen.pings))]
        return replace(canary.seen, pings=pings)

    def restart(self) -> None:
        """Replace a wedged Toxiproxy; all windows on this listener are over with it.

        Raises:
            GauntletError: it is not ours, or does not come back.
        """
        with self.lock:
            self.generation += 1
            self.listener.restart()

    @property
    def _cutting(self) -> bool:
        with self._mutex:
            return any(one.cuts and not one.end_ns for one in self._active.values())

    def _keep(self) -> None:
        while not self._over.is_set():
            if not self.canary.alive and not self._cutting:
                new = Canary(self.dial)
                new.open(OPEN_S)
                self.canary = new
            self._over.wait(TICK_S)
