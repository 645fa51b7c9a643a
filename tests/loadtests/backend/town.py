"""Two nodes on one log in one virtual time: the cluster without its processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from loadtests.backend.assembly import Backend
from loadtests.backend.defects import PLANTABLE
from loadtests.backend.estate import Estate
from loadtests.backend.eventlog import MemoryStorage
from loadtests.contract import load
from tests.loadtests.backend.conftest import FakeLink, VirtualTime

__all__ = ["Node", "Town"]


class Node:
    """A backend, and its view of who is at home where."""

    def __init__(self, town: Town, name: str, **options: Any) -> None:
        self.town = town
        self.alive = True
        self.backend = Backend(
            load("reference"), town.storage, town.time.world(), node=name, homes=self, spared_turns=0, **options
        )

    def settle(self, owner: str) -> None:
        self.town.homes[owner] = self

    def forget(self, owner: str) -> None:
        self.town.homes.pop(owner, None)

    def fetch(self, owner: str, then: Callable[[], None]) -> None:
        """At once, and all that is said between nodes goes through its bytes."""
        old = self.town.homes.get(owner, self)
        if old is not self:
            estate = old.backend.release(owner, lambda link: link.parcels if isinstance(link, FakeLink) else [])
            self.settle(owner)
            self.backend.adopt(owner, Estate.decode(estate.encode()))
        then()

    def join(self, user: str = "", *, cursor: bool = True) -> FakeLink:
        link = FakeLink()
        if user and not cursor:
            self.fetch(user, lambda: self.settle(user))
        self.backend.connected(link, user, cursor=cursor)
        return link

    def say(self, link: FakeLink, **message: Any) -> None:
        self.backend.received(link, json.dumps(message).encode())

    def ask(self, link: FakeLink, message_id: str = "m1") -> None:
        payload = {"content": "how much?", "thread_id": "t1", "run_id": f"run_{message_id}"}
        self.say(link, type="user_message", message_id=message_id, payload=payload)

    def resume(self, link: FakeLink, stream: str, last_seq: int) -> None:
        self.say(link, type="session_restore", payload={"stream_id": stream, "last_seq": last_seq})

    def cut(self, link: FakeLink) -> None:
        link.open = False
        self.backend.lost(link, [], cut=True)


class Town:
    """Two nodes, and what they share."""

    def __init__(self, defect: str = "", **options: Any) -> None:
        self.time = VirtualTime()
        self.storage = MemoryStorage()
        self.homes: dict[str, Node] = {}
        row = PLANTABLE[defect] if defect else None
        self.one, self.other = (Node(self, name, defect=row, **options) for name in ("node-1", "node-2"))

    def kill(self, dead: Node, heir: Node) -> None:
        """It never does anything again, and another buries it."""
        gone = [owner for owner, node in self.homes.items() if node is dead]
        for owner in gone:
            dead.backend.agents.park(owner)  # its timers are gone with it
            heir.settle(owner)
        for turn, ended in self.storage.turns(1_000):
            if turn.owner in gone and not ended:
                heir.backend.bury(turn)
