"""The agent service: turns an accepted message into a running turn and performs its script, step by step. Pure."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass

from loadtests.backend.defects import Site
from loadtests.backend.engine import ExecutionEngine
from loadtests.backend.eventlog import EventLog, Turn
from loadtests.backend.manager import WebSocketManager
from loadtests.backend.notifier import UnapprovedEventError, WebSocketNotifier
from loadtests.backend.planting import Planter
from loadtests.backend.script import Ask, Script, Step
from loadtests.backend.world import World

__all__ = ["AgentService"]

RECENT = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Words:
    stream: str
    content: str


class AgentService:
    """Runs any number of turns at once; each goes on whether or not its client is there."""

    def __init__(
        self,
        world: World,
        engine: ExecutionEngine,
        event_log: EventLog,
        notifier: WebSocketNotifier,
        manager: WebSocketManager,
        planter: Planter,
        root: str,
        legacy_kind: str = "",
    ) -> None:
        self._world = world
        self._engine = engine
        self._log = event_log
        self._notifier = notifier
        self._manager = manager
        self._planter = planter
        self._root = root
        self._legacy_kind = legacy_kind
        self._recent: deque[_Words] = deque(maxlen=RECENT)
        self.running = 0

    def start(self, turn: Turn, ask: Ask) -> bool:
        """Execute a message once: False when its id was executed, or is being."""
        if not self._log.begin(turn):
            return False
        script = self._planter.turn(
            turn.run, lambda nested: self._engine.plan(ask, nested=nested), lambda: self._site(turn.stream)
        )
        self._recent.append(_Words(turn.stream, ask.content))
        self.running += 1
        self._go_on(turn, script, 0)
        return True

    def give_up(self, turn: Turn) -> None:
        """End a turn that a former process left behind: its client must not wait for ever."""
        body = {"error": "the server was restarted", "status": "failed"}
        try:
            self._notifier.emit(turn, Step(delay_ms=0.0, role="failed", agent=self._root, body=body))
        except KeyError:
            log.warning("the contract has no event for a failed turn; a cut turn stays without an end")
        self._log.end(turn)

    def _go_on(self, turn: Turn, script: Script, at: int) -> None:
        if at == len(script):
            self.running -= 1
            self._log.end(turn)
            return
        self._world.schedule(script[at].delay_ms, lambda: self._perform(turn, script, at))

    def _perform(self, turn: Turn, script: Script, at: int) -> None:
        try:
            self._notifier.emit(turn, script[at])
        except UnapprovedEventError:
            log.exception("turn %s goes on without that event", turn.run)
        self._go_on(turn, script, at + 1)

    def _site(self, stream: str) -> Site:
        elsewhere = (w for w in reversed(self._recent) if self._manager.lives_elsewhere(stream, w.stream))
        words = next(elsewhere, None)
        return Site(
            root=self._root,
            legacy_kind=self._legacy_kind,
            nonce=self._world.new_id("x").rpartition("_")[2][:16],
            foreign_frame=self._notifier.foreign_frame(stream),
            foreign_content=words.content if words else "",
        )
