"""Which turns of a thread are under way, and which wait for them. Pure bookkeeping; who may run is asked elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from loadtests.backend.eventlog import Turn
from loadtests.backend.script import Ask, Script

__all__ = ["MOST_WAITING", "Run", "Threads"]

MOST_WAITING = 32  # messages of one thread; whoever sends more is told so

Key = tuple[str, str]


@dataclass(slots=True, eq=False)
class Run:
    """One execution of one message."""

    turn: Turn
    ask: Ask
    script: Script = ()
    #: the step to come
    at: int = 0
    #: grows when the script is replaced: a timer of an earlier one means nothing
    epoch: int = 0
    begun: bool = False
    #: its thread never learns that it is over; only a planted defect sets it
    wedged: bool = False
    #: it could not begin before another one had ended
    waited: bool = False

    @property
    def key(self) -> Key:
        return self.turn.owner, self.turn.thread


@dataclass(slots=True)
class _Thread:
    running: list[Run] = field(default_factory=list)
    waiting: deque[Run] = field(default_factory=deque)


class Threads:
    """One entry for each thread on which something runs."""

    def __init__(self) -> None:
        self._threads: dict[Key, _Thread] = {}

    def running(self, turn: Turn) -> tuple[Run, ...]:
        """What is under way on the turn's thread."""
        thread = self._threads.get((turn.owner, turn.thread))
        return tuple(thread.running) if thread else ()

    def is_full(self, turn: Turn) -> bool:
        thread = self._threads.get((turn.owner, turn.thread))
        return thread is not None and len(thread.waiting) >= MOST_WAITING

    def enter(self, run: Run) -> None:
        self._threads.setdefault(run.key, _Thread()).running.append(run)

    def wait(self, run: Run) -> None:
        """In line behind what runs."""
        self._threads[run.key].waiting.append(run)

    def leave(self, run: Run) -> Run | None:
        """It is over, or no longer waits; the next in line, if that may run now."""
        thread = self._threads.get(run.key)
        if thread is None:
            return None
        if run in thread.waiting:
            thread.waiting.remove(run)
            return None
        if run not in thread.running:
            return None
        thread.running.remove(run)
        if thread.running:
            return None
        if thread.waiting:
            return thread.waiting.popleft()
        del self._threads[run.key]
        return None

    def find(self, owner: str, run_id: str) -> Run | None:
        """A turn that is under way or waits, by its id."""
        return next((run for run in self if run.turn.owner == owner and run.turn.run == run_id), None)

    def leave_all(self, owner: str) -> tuple[Run, ...]:
        """All of one owner's, taken out: of each thread what runs before what waits."""
        taken = tuple(run for run in self if run.turn.owner == owner)
        for key in {run.key for run in taken}:
            del self._threads[key]
        return taken

    def __iter__(self) -> Iterator[Run]:
        for thread in list(self._threads.values()):
            yield from (*thread.running, *thread.waiting)
