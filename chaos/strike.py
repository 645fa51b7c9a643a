"""One window: apply, wait, heal, judge; every step stands in the journal, on disk, before it is done."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from chaos.canary import Canary
from chaos.faults import Acted, Bite, Fault
from chaos.hands import Hand, WithCommands
from chaos.plan import Window
from chaos.reading import How, acted, read
from chaos.side import Side
from chaos.toxiproxy import Wedged
from chaos.tries import Tries
from loadtests.errors import GauntletError
from loadtests.journal import Journal, read_journal

__all__ = ["LEAD_S", "Strike"]

#: before the start: what is measured beside pings needs a baseline of its own
LEAD_S = 0.8
LEAD_TRY_S = 0.5
#: how long after the heal the canary may still learn something: held pings, the end of a black-holed connection
SETTLE_S = 2.0
POLL_S = 0.02
BASE_BURST_BYTES, WIDE_PINGS = 16_000, 8
NS_PER_MS = 1_000_000
HOW: dict[str, How] = {"close": "close", "upgrade": "upgrade"}


@dataclass(slots=True)
class Strike:
    """``run`` once, in a thread."""

    window: Window
    side: Side
    hand: Hand
    journal: Journal
    errors: list[str]
    t0_ns: int
    stop: threading.Event
    #: where the load processes write what their clients did
    rows: Path | None = None
    _fault: Fault = field(init=False)
    _tries: Tries = field(init=False)
    _canary: Canary = field(init=False)
    _cycles: int = 0
    _generation: int = 0
    #: begun, and not yet closed in whatever way
    _open: bool = False
    _healing: bool = False

    def __post_init__(self) -> None:
        self._fault = self.window.fault
        self._tries = Tries(self.side.dial, HOW.get(self._fault.probe, "request"), self._fault.patience_ms / 1000)
        self._canary = self.side.canary

    def run(self) -> None:
        """All of it. An error that nobody foresaw leaves no fault in force, and is raised."""
        try:
            self._run()
        except BaseException as error:
            if self._open:
                self._rescue(error)
            raise

    def _run(self) -> None:
        start_ns, end_ns = (self.t0_ns + ms * NS_PER_MS for ms in (self.window.start_ms, self.window.end_ms))
        self._wait(start_ns - int(LEAD_S * 1e9))
        if not self.stop.is_set():
            self._prepare()
        self._wait(start_ns)
        if self.stop.is_set():
            return
        self._canary, self._generation = self.side.canary, self.side.generation
        applying_ns = self._step("applying")
        self._enter(applying_ns)
        self._open = True
        if not self._attempt(self.hand.begin):
            return
        applied_ns = self._step("applied")
        self._watch(end_ns)
        if not self._go_through(start_ns):
            return
        self._wait(end_ns)
        self._tries.rest()
        healing_ns = self._step("healing")
        if not self._attempt(self.hand.end, healing=True):
            return
        self._open = False
        healed_ns = self._step("healed")
        self.side.leave(self.window.id)
        self._settle(healed_ns)
        self._judge(applying_ns, applied_ns, healing_ns, healed_ns)

    def _prepare(self) -> None:
        """A baseline of what this fault is seen by."""
        canary, probe = self.side.canary, self._fault.probe
        if probe == "burst":
            canary.burst("down", BASE_BURST_BYTES)
            canary.burst("up", BASE_BURST_BYTES)
        elif probe == "wide":
            canary.widen(3)
        if self._is_network:
            self._tries.once(LEAD_TRY_S)

    def _watch(self, end_ns: int) -> None:
        if self._fault.probe == "wide":
            self._canary.widen(WIDE_PINGS)
        for way, size_bytes in self._fault.bursts(self.window.end_ms - self.window.start_ms):
            self._canary.burst(way, size_bytes)
        if self._is_network and self._fault.probe != "downs":
            self._tries.begin(end_ns)

    @property
    def _is_network(self) -> bool:
        """New connections show something of it."""
        return self._fault.place in {"listener", "handshake", "backend"}

    def _go_through(self, start_ns: int) -> bool:
        """What happens inside the window; false: it failed."""
        steps = self._fault.between(self.window.end_ms - self.window.start_ms)
        if not steps:
            return True
        self._down()
        for at_ms, step in steps:
            self._wait(start_ns + at_ms * NS_PER_MS)
            if self.stop.is_set():
                break
            self.journal.append("call", id=self.window.id, do=step.do, proxy=self.side.listener.proxy)
            if not self._attempt(partial(self.hand.step, step)):
                return False
            if step.do == "disable":
                self._down()
        return True

    def _down(self) -> None:
        self._cycles += 1
        self._tries.once(LEAD_TRY_S)

    def _settle(self, healed_ns: int) -> None:
        deadline, pause = time.monotonic() + SETTLE_S, threading.Event()
        if (self._is_network or self._fault.toxics) and self._tries.how != "close":
            # What lives on may do so on a way that nobody new finds; and another fault may still slow all ways.
            self._tries.once(SETTLE_S)
        while time.monotonic() < deadline:
            seen = self._acted()
            told = self._fault.place != "client" or bool(seen.lines and seen.ended >= seen.sessions)
            if told and (not self._on_the_way or self._canary.settled(healed_ns)):
                return
            pause.wait(POLL_S)

    def _judge(self, applying_ns: int, applied_ns: int, healing_ns: int, healed_ns: int) -> None:
        marks = self.side.marks(self.window.id, applying_ns, applied_ns, healing_ns, healed_ns)
        sightings = self.side.locate(self._canary) if self._fault.judges_ways else self._canary.seen
        before, during = read(sightings, list(self._tries.made), marks)
        verified = self.hand.verified if isinstance(self.hand, WithCommands) else None
        during = replace(during, acted=self._acted(), cycles=self._cycles, verified=verified)
        bite = self._fault.judge(before, during)
        if self.side.generation != self._generation:
            bite = Bite("not-probed", bite.measured | {"reason": "Toxiproxy was restarted meanwhile"}, bite.by)
        seen: dict[str, object] = {"new_connections": dict(Counter(during.fresh))}
        after = [one.outcome for one in self._tries.made if one.begun_ns >= healed_ns]
        self._effect(Bite(bite.effect, bite.measured | seen | ({"after_heal": after[0]} if after else {}), bite.by))

    def _acted(self) -> Acted:
        if self._fault.place != "client" or self.rows is None:
            return Acted()
        lines = [line for path in sorted(self.rows.glob("*.acts.jsonl")) for line in read_journal(path)]
        return acted(lines, self.window.id)

    @property
    def _on_the_way(self) -> bool:
        """It changes what the canary sees; most of what clients do themselves does not."""
        return self._fault.place != "client" or bool(self._fault.toxics)

    def _enter(self, at_ns: int) -> None:
        if self._on_the_way:
            self.side.enter(self.window.id, at_ns, cuts=self._fault.disconnects or self._fault.place == "command")

    def _attempt(self, call: Callable[[], None], *, healing: bool = False) -> bool:
        """False: it failed; then the window is closed as well as can be, and its effect is not a fault's effect."""
        try:
            call()
        except Wedged as error:
            self._tries.rest()
            self.journal.append(
                "wedge", id=self.window.id, at_ns=time.monotonic_ns(), cohort=self.window.cohort, text=str(error)
            )
            self._close_up(self.side.restart, healing=healing)
            self._effect(Bite("not-probed", {"reason": str(error)}, "Toxiproxy was restarted"))
        except GauntletError as error:
            self._tries.rest()
            self.errors.append(f"{self.window.id}: {error}")
            healed = self._close_up(self.hand.end, healing=healing)
            if not healed and self._fault.place in {"listener", "handshake"}:
                self._close_up(self.side.restart, healing=True)
            self._effect(Bite("absent", {"reason": str(error)}, "what came back from applying or healing it"))
        else:
            return True
        self._open = False
        self.side.leave(self.window.id)
        return False

    def _close_up(self, heal: Callable[[], None], *, healing: bool) -> bool:
        if not healing:
            self._step("healing")
        try:
            heal()
        except Exception as error:  # noqa: BLE001  # what is closed up has failed already, in a way that is told
            words = str(error) if isinstance(error, GauntletError) else f"{type(error).__name__}: {error}"
            self.errors.append(f"{self.window.id}: {words}")
            return False
        self._step("healed")
        return True

    def _rescue(self, error: BaseException) -> None:
        """Heal first; the journal may be what broke."""
        self._tries.rest()
        with contextlib.suppress(OSError):
            if not self._healing:
                self._step("healing")
        with contextlib.suppress(OSError):
            healed = self._close_up(self.hand.end, healing=True)
            if not healed and self._fault.place in {"listener", "handshake"}:
                self._close_up(self.side.restart, healing=True)
            reason = f"{type(error).__name__}: {error}"
            self._effect(Bite("not-probed", {"reason": reason}, "what came back from making it"))
        self.side.leave(self.window.id)

    def _wait(self, at_ns: int) -> None:
        self.stop.wait(max(0.0, (at_ns - time.monotonic_ns()) / 1e9))

    def _step(self, step: str) -> int:
        """Write the step, with the time before the write: ``applied`` and ``healed`` stand right after their call."""
        at_ns, window = time.monotonic_ns(), self.window
        self._healing = self._healing or step == "healing"
        self.journal.append(
            "window", id=window.id, step=step, at_ns=at_ns, kind=window.kind, cohort=window.cohort, phase=window.phase,
            asked=window.asked, proxy=self.side.listener.proxy,
        )  # fmt: skip
        return at_ns

    def _effect(self, bite: Bite) -> None:
        self.journal.append("effect", id=self.window.id, effect=bite.effect, measured=bite.measured, by=bite.by)
