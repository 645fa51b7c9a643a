"""New connections tried through one listener while a window lasts, from a thread of its own: how each ended."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from chaos.reading import How, Try
from chaos.wire import try_close, try_new, try_upgrade
from loadtests.dial import Dial

__all__ = ["Tries"]

GAP_S = 0.5
#: an attempt that could not be waited for until the window's end is not begun
LEAST_S = 0.15
NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class Tries:
    """``made`` only grows."""

    dial: Dial
    how: How = "request"
    patience_s: float = 1.0
    made: list[Try] = field(default_factory=list)
    _still: threading.Event = field(default_factory=threading.Event, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)

    def once(self, patience_s: float | None = None) -> None:
        """One new connection now, in the caller's thread."""
        self.made.append(self._try(self.patience_s if patience_s is None else patience_s))

    def begin(self, until_ns: int) -> None:
        """Try one each half second, until ``rest`` or as long as it can be seen before ``until_ns``."""
        self._still.clear()
        self._thread = threading.Thread(target=self._go_on, args=(until_ns,), name="tries", daemon=True)
        self._thread.start()

    def rest(self) -> None:
        """No more; one that is under way is not waited for."""
        self._still.set()

    def _go_on(self, until_ns: int) -> None:
        while not self._still.is_set():
            left_s = (until_ns - time.monotonic_ns()) / NS_PER_S
            if left_s < LEAST_S:
                return
            self.made.append(self._try(min(self.patience_s, left_s - LEAST_S / 2)))
            self._still.wait(GAP_S)

    def _try(self, patience_s: float) -> Try:
        begun_ns = time.monotonic_ns()
        if self.how == "close":
            outcome, waited_ms = try_close(self.dial, patience_s)
        else:
            outcome = (try_upgrade if self.how == "upgrade" else try_new)(self.dial, patience_s)
            waited_ms = (time.monotonic_ns() - begun_ns) / 1e6
        return Try(self.how, begun_ns, time.monotonic_ns(), outcome, waited_ms)
