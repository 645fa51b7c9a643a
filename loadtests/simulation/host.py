"""The backend's shell in virtual time: listens, keeps house, dies and comes back. Pure.

It is to ``loadtests.backend.assembly.Backend`` what ``loadtests.backend.server`` is on real sockets, and decides as little.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from loadtests.backend.assembly import Backend
from loadtests.backend.world import World
from loadtests.simulation.clock import Clock
from loadtests.simulation.link import Habits, ServerLink
from loadtests.simulation.network import Socket

__all__ = ["Host"]

HOUSEKEEPING_MS = 1_000.0
SWEEPS_EVERY = 10


class Host:
    """One server process after the other on one storage. ``build`` makes a backend over a world."""

    def __init__(
        self, clock: Clock, rng: random.Random, seed: int, habits: Habits, build: Callable[[World], Backend]
    ) -> None:
        self.clock, self.rng, self.habits = clock, rng, habits
        self._seed = seed
        self._build = build
        self._names = 0
        self._epoch = 0
        self.links: list[ServerLink] = []
        #: clients that must go in their next pause, and of those, who have gone and must not come back; by number
        self.banned: set[int] = set()
        self.sent_away: set[int] = set()
        #: how many connections the server held, at each second
        self.census: list[tuple[int, int]] = []
        #: all connections send through one gate, and this one holds it
        self.one_gate = False
        self.gate: ServerLink | None = None
        self.up = False
        self.start()

    def start(self) -> None:
        """A process comes up; what the storage holds is all it knows."""
        self.up = True
        self._epoch += 1
        self.backend = self._build(self._world(self._epoch))
        self.gate = None
        self._keep_house(self._epoch, 1)

    def kill(self) -> None:
        """The process dies: its connections are the caller's to reset."""
        self.up = False
        self._epoch += 1
        for link in self.links:
            link.die()
        self.links = []

    def accept(self, socket: Socket) -> bool:
        """A new connection; false: nobody listens."""
        if self.up:
            self.links.append(ServerLink(self, socket))
        return self.up

    def _world(self, epoch: int) -> World:
        def schedule(delay_ms: float, callback: Callable[[], None]) -> None:
            self.clock.after_ms(delay_ms, lambda: callback() if self._epoch == epoch else None)

        seed = self._seed
        return World(
            now_s=self.clock.wall_s,
            schedule=schedule,
            new_id=self._new_id,
            dice=lambda key: random.Random(f"{seed}:{key}"),
        )

    def _new_id(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}_{self._names:012x}{0:020x}"

    def _keep_house(self, epoch: int, beat: int) -> None:
        def again() -> None:
            if self._epoch != epoch:
                return
            now_ns = self.clock.now_ns
            self.census.append((now_ns, self.backend.connections))
            for link in list(self.links):
                link.keep(now_ns)
            if beat % SWEEPS_EVERY == 0:
                self.backend.sweep()
            self._keep_house(epoch, beat + 1)

        self.clock.after_ms(HOUSEKEEPING_MS, again)
