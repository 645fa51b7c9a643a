"""The agent service: accepts a message once, runs its turn or lets it wait, and performs the script step by step. Pure."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from loadtests.backend.engine import ExecutionEngine
from loadtests.backend.eventlog import EventLog, Turn
from loadtests.backend.manager import WebSocketManager
from loadtests.backend.notifier import UnapprovedEventError, WebSocketNotifier
from loadtests.backend.planting import Planter
from loadtests.backend.script import Ask, Step, Wants
from loadtests.backend.spoilt_turns import Site
from loadtests.backend.threads import Run, Threads
from loadtests.backend.world import World
from loadtests.contract import Contract
from loadtests.errors import ConfigError

__all__ = ["POLICIES", "AgentService", "Policy", "Reception", "policy_of"]

RECENT = 64
ELSEWHERE = -1  # the epoch of what another node goes on with
LEAST_LEFT = 3  # steps of a turn, for a planted defect to show in them

#: what happens to a message that comes while a turn of its thread is under way
Policy = Literal["queue", "reject", "parallel", "supersede"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
#: what became of a message; ``dropped`` and ``acknowledged`` only under a planted defect
Reception = Literal["running", "waiting", "known", "rejected", "dropped", "acknowledged"]

log = logging.getLogger(__name__)


def policy_of(name: str) -> Policy:
    """The policy of that name; without a name, the first.

    Raises:
        ConfigError: there is none.
    """
    if not name:
        return POLICIES[0]
    for policy in POLICIES:
        if policy == name:
            return policy
    raise ConfigError("--concurrent", "", f"no policy {name!r}", ", ".join(POLICIES))


@dataclass(frozen=True, slots=True)
class _Words:
    stream: str
    content: str


def _counts(run: Run) -> bool:
    """It runs, and does not only block its thread."""
    return run.begun and not (run.wedged and run.at == len(run.script))


class AgentService:
    """Runs any number of turns at once; each goes on whether or not its client is there."""

    def __init__(
        self,
        contract: Contract,
        world: World,
        engine: ExecutionEngine,
        event_log: EventLog,
        notifier: WebSocketNotifier,
        manager: WebSocketManager,
        planter: Planter,
        root: str,
        policy: Policy = "queue",
        at_once: int = 0,
    ) -> None:
        """``at_once``: so many turns run at a time, one more fails; 0: any number."""
        self._world = world
        self._at_once = at_once
        self._engine = engine
        self._log = event_log
        self._notifier = notifier
        self._manager = manager
        self._planter = planter
        self._root = root
        self._policy = policy
        outcomes = contract.file.outcomes.events
        self._stopped_kind = next((name for name, outcome in outcomes.items() if outcome == "cancelled"), "")
        self._legacy_kind = next(iter(contract.file.legacy), "")
        self._recent: deque[_Words] = deque(maxlen=RECENT)
        self._threads = Threads()
        #: messages whose first execution a planted defect has spoilt
        self._spoilt: set[tuple[str, str]] = set()
        self.running = 0

    def accept(self, turn: Turn, ask: Ask) -> Reception:
        """Execute a message once: now, or when its thread is free."""
        key = turn.owner, turn.message
        if self._log.knows(turn):
            if key not in self._spoilt:
                return "known"
            if self._planter.forgets:
                return "acknowledged"
            self._spoilt.remove(key)
            return self._admit(Run(turn, ask))
        busy = bool(self._threads.running(turn))
        if busy and self._threads.is_full(turn):
            return "rejected"
        if busy and self._policy == "reject" and not self._planter.strikes("rejection", turn.run):
            return "rejected"
        if key not in self._spoilt and self._planter.strikes("message", turn.run):
            self._spoilt.add(key)
            return "acknowledged"
        self._log.begin(turn, ask.content)
        if self._planter.strikes("resend", turn.run):
            self._spoilt.add(key)
            if not self._planter.forgets:
                self._admit(Run(turn, ask))
            return "dropped"
        return self._admit(Run(turn, ask))

    def _admit(self, run: Run) -> Reception:
        running = self._threads.running(run.turn)
        if running and self._policy == "queue" and not self._planter.strikes("queue", run.turn.run):
            if any(one.wedged for one in running):
                self._planter.hit()
            run.waited = True
            self._threads.wait(run)
            return "waiting"
        # The new one first: what was waiting must not slip in when the old one is over.
        self._threads.enter(run)
        if self._policy == "supersede":
            for old in running:
                # It shows itself only while there is more to come than its end, which may be on its way already.
                goes_on = len(old.script) - old.at >= LEAST_LEFT and self._planter.strikes("supersession", old.turn.run)
                if not goes_on:
                    self._stop(old)
        self._begin(run)
        return "running"

    def _begin(self, run: Run) -> None:
        turn, ask = run.turn, run.ask
        if self._at_once and self.running >= self._at_once:
            run.script = self._engine.plan(ask, Wants(crowded=True))
        else:
            run.script = self._planter.turn(
                turn.run, lambda wants: self._engine.plan(ask, wants), lambda: self._site(run)
            )
        run.begun = True
        self._recent.append(_Words(turn.stream, ask.content))
        self.running += 1
        self._go_on(run)

    def stop(self, owner: str, run_id: str) -> bool:
        """Cancel a turn; False when there is none of that id, or none any more."""
        run = self._threads.find(owner, run_id)
        if run is None:
            return False
        self._stop(run)
        return True

    def _stop(self, run: Run) -> None:
        if run.epoch:
            return  # it is being stopped
        if not run.begun:
            if any(one.wedged for one in self._threads.running(run.turn)):
                self._planter.spare()
            self._release(run)
            self.running += 1
        run.begun = True
        ending = (
            Step(delay_ms=0.0, role="failed", agent=self._root, body={"status": "cancelled"}, kind=self._stopped_kind),
        )
        run.script, run.wedged = self._planter.stop(run.turn.run, run.script[run.at :], ending)
        run.at = 0
        run.epoch += 1
        self._go_on(run)

    def cut(self, stream: str) -> None:
        """A client is gone. Its turns go on all the same."""
        for run in list(self._threads):
            if run.turn.stream == stream and run.at and self._planter.strikes("cut", run.turn.run):
                run.epoch += 1
                self.running -= 1
                self._release(run)

    def give_up(self, turn: Turn) -> None:
        """End a turn that a former process left behind: its client must not wait for ever."""
        body = {"error": "the server was restarted", "status": "failed"}
        try:
            self._notifier.emit(turn, Step(delay_ms=0.0, role="failed", agent=self._root, body=body))
        except KeyError:
            log.warning("the contract has no event for a failed turn; a cut turn stays without an end")
        self._log.end(turn)

    def owners(self) -> set[str]:
        """Those who have something under way."""
        return {run.turn.owner for run in self._threads}

    def park(self, owner: str) -> tuple[Run, ...]:
        """Put down all that is under way or waits for one owner: another node goes on with it."""
        runs = self._threads.leave_all(owner)
        parked = tuple(replace(run) for run in runs)
        for run in runs:
            run.epoch = ELSEWHERE
            self.running -= _counts(run)
        return parked

    def carry_on(self, runs: Iterable[Run]) -> None:
        """With what another node has put down, where it was."""
        for run in runs:
            if not run.begun and self._threads.running(run.turn):
                self._threads.wait(run)
                continue
            self._threads.enter(run)
            if not run.begun:
                self._begin(run)
            elif _counts(run):
                self.running += 1
                self._go_on(run)

    def _go_on(self, run: Run) -> None:
        epoch = run.epoch
        if run.at == len(run.script):
            self.running -= 1
            self._log.end(run.turn)
            if not run.wedged:
                self._release(run)
            return
        self._world.schedule(run.script[run.at].delay_ms, lambda: self._perform(run, epoch))

    def _perform(self, run: Run, epoch: int) -> None:
        if run.epoch != epoch:
            return
        try:
            self._notifier.emit(run.turn, self._mixed(run))
        except UnapprovedEventError:
            log.exception("turn %s goes on without that event", run.turn.run)
        run.at += 1
        self._go_on(run)

    def _mixed(self, run: Run) -> Step:
        """The step to come; under a planted defect another turn of the thread gets it."""
        step = run.script[run.at]
        others = [other for other in self._threads.running(run.turn) if other is not run and other.at]
        if (
            self._policy == "parallel"
            and others
            and step.role == "tool-close"
            and self._planter.strikes("mixture", run.turn.run)
        ):
            return replace(step, run_id=others[0].turn.run)
        return step

    def _release(self, run: Run) -> None:
        following = self._threads.leave(run)
        if following is not None:
            self._threads.enter(following)
            self._begin(following)

    def _site(self, run: Run) -> Site:
        turn, stream = run.turn, run.turn.stream
        elsewhere = (w for w in reversed(self._recent) if self._manager.lives_elsewhere(stream, w.stream))
        words = next(elsewhere, None)
        return Site(
            root=self._root,
            legacy_kind=self._legacy_kind,
            nonce=self._world.new_id("x").rpartition("_")[2][:16],
            foreign_frame=self._notifier.foreign_frame(stream),
            foreign_content=words.content if words else "",
            foreign_stream=words.stream if words else "",
            lag_ms=run.ask.lag_ms,
            cuts=self._planter.cuts,
            waited=run.waited,
            was_cut=not self._planter.cut_off.isdisjoint((turn.stream, turn.user)),
        )
