"""The backend notes when a canary's pings arrive, and nobody else's."""

from __future__ import annotations

import asyncio
import time

from websockets.asyncio.client import connect

from loadtests.backend.arrivals import Arrivals
from loadtests.backend.options import ServerOptions
from loadtests.backend.server import serving
from loadtests.conductor.arrivals import heard_at
from loadtests.pings import CANARY, numbered
from tests.loadtests.backend.sockets import live

ANN, BOB = b"ann.", b"bob."


def test_arrivals_go_by_name() -> None:
    log = Arrivals()
    wide = numbered(ANN, 3).ljust(125, b".")
    for payload in (numbered(ANN, 1), numbered(BOB, 1), numbered(ANN, 2), b"short", wide, numbered(ANN, 4) + b"."):
        log.note(payload)
    assert [number for number, _ in log.of(ANN.hex())] == [1, 2]
    assert [number for number, _ in log.of(BOB.hex())] == [1]
    assert log.of("") == log.of("not hex") == log.of(ANN.hex()[:-1]) == []


def test_a_canarys_pings_are_noted_when_they_arrive_and_a_users_are_not() -> None:
    async def scene() -> None:
        async with (
            serving(ServerOptions()) as url,
            connect(url, user_agent_header=CANARY) as canary,
            connect(url) as user,
        ):
            await canary.recv()  # a welcome: both ends know each other now
            before_ns = time.monotonic_ns()
            for socket, name in ((user, BOB), (canary, ANN)):
                for number in (0, 1):
                    await (await socket.ping(numbered(name, number)))
            after_ns = time.monotonic_ns()
            heard = await asyncio.to_thread(heard_at, url, ANN)
            assert list(heard) == [0, 1]
            assert before_ns < heard[0] < heard[1] < after_ns
            assert await asyncio.to_thread(heard_at, url, BOB) == {}

    live(scene)
