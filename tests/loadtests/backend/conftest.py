"""A backend in virtual time: a heap of timers, counted names, links that remember what they were given."""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from loadtests.backend.assembly import Backend
from loadtests.backend.defects import DEFECTS
from loadtests.backend.eventlog import MemoryStorage
from loadtests.backend.manager import Parcel
from loadtests.backend.world import World
from loadtests.contract import load


class VirtualTime:
    def __init__(self, first_name: int = 1) -> None:
        self.now_ms = 0.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._names = itertools.count(first_name)

    def schedule(self, delay_ms: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.now_ms + delay_ms, next(self._count), callback))

    def run(self, until_ms: float = 1e9) -> None:
        """All timers due within ``until_ms`` from now."""
        until_ms += self.now_ms
        while self._timers and self._timers[0][0] <= until_ms:
            self.now_ms, _, callback = heapq.heappop(self._timers)
            callback()
        self.now_ms = max(self.now_ms, until_ms if until_ms < 1e8 else self.now_ms)

    @property
    def now_s(self) -> float:
        return 1_700_000_000 + self.now_ms / 1000

    def world(self, seed: int = 0) -> World:
        return World(
            now_s=lambda: self.now_s,
            schedule=self.schedule,
            new_id=lambda prefix: f"{prefix}_{next(self._names):012x}{0:020x}",
            dice=lambda key: random.Random(f"{seed}:{key}"),
        )


class FakeLink:
    """Takes everything while open; ``sent`` is what the client would have."""

    def __init__(self) -> None:
        self.stream = self.user = ""
        self.parcels: list[Parcel] = []
        self.open = True
        self.full = False
        self.closed: tuple[int, str] | None = None

    def put(self, parcel: Parcel, *, whole: bool = False) -> bool:
        if not self.open or (self.full and not whole):
            return False
        self.parcels.append(parcel)
        if parcel.close_code:
            self.close(parcel.close_code, "")
        return True

    def close(self, code: int, reason: str) -> None:
        self.open, self.closed = False, (code, reason)

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(parcel.frame) for parcel in self.parcels]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The numbered ones, flat."""
        return [frame for frame in self.sent if "seq" in frame]

    @property
    def kinds(self) -> list[str]:
        return [frame["type"] for frame in self.sent]


class Stage:
    """A backend and its clients, in virtual time."""

    def __init__(self, defect: str = "", **options: Any) -> None:
        storage = options.pop("storage", None)
        # A second process on the same storage does not make the first one's names again.
        self.time = VirtualTime(1_000_000 if storage else 1)
        self.storage = storage or MemoryStorage()
        options.setdefault("spared_turns", 0)
        self.seed = options.get("seed", 0)
        row = DEFECTS[defect] if defect else None
        if row is not None and "defect_share" in options:
            row = replace(row, share=None)
        self.backend = Backend(load("reference"), self.storage, self.time.world(self.seed), defect=row, **options)

    @property
    def now_s(self) -> float:
        return self.time.now_s

    def join(self, user: str = "", *, cursor: bool = True) -> FakeLink:
        link = FakeLink()
        self.backend.connected(link, user, cursor=cursor)
        return link

    def say(self, link: FakeLink, **message: Any) -> None:
        self.backend.received(link, json.dumps(message).encode())

    def ask(self, link: FakeLink, message_id: str = "m1", content: str = "how much?", **payload: Any) -> None:
        payload = {"content": content, "thread_id": "t1", "run_id": f"run_{message_id}", **payload}
        self.say(link, type="user_message", message_id=message_id, payload=payload)

    def resume(self, link: FakeLink, stream: str, last_seq: int) -> None:
        self.say(link, type="session_restore", payload={"stream_id": stream, "last_seq": last_seq})

    def cut(self, link: FakeLink, unsent: int = 0) -> None:
        """The connection dies; its last ``unsent`` parcels never left."""
        link.open = False
        left = link.parcels[len(link.parcels) - unsent :]
        del link.parcels[len(link.parcels) - unsent :]
        self.backend.lost(link, left, cut=True)

    def run(self, until_ms: float = 1e9) -> None:
        self.time.run(until_ms)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def make_stage() -> type[Stage]:
    return Stage
