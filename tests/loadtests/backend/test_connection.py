"""The outbox over a real socket: order, refusal after a close, and what was not sent comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from loadtests.backend.connection import MOST_WAITING, SocketLink
from loadtests.backend.manager import Parcel

pytestmark = pytest.mark.live


@contextlib.asynccontextmanager
async def linked() -> AsyncIterator[tuple[SocketLink, ClientConnection]]:
    found: asyncio.Future[SocketLink] = asyncio.get_running_loop().create_future()

    async def converse(socket: ServerConnection) -> None:
        link = SocketLink(socket, 0.0)
        found.set_result(link)
        async with asyncio.TaskGroup() as tasks:
            pump = tasks.create_task(link.pump())
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await socket.recv()
            pump.cancel()

    async with (
        serve(converse, "127.0.0.1", 0, compression=None, write_limit=1) as server,
        connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", compression=None) as client,
    ):
        yield await found, client


def live(scene: Callable[[SocketLink, ClientConnection], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20), linked() as (link, client):
            await scene(link, client)

    asyncio.run(bounded())


def parcel(seq: int, size: int = 0, **how: Any) -> Parcel:
    return Parcel(frame=f"{seq}{' ' * size}".encode(), seq=seq, **how)


def test_frames_leave_in_order() -> None:
    async def scene(link: SocketLink, client: ClientConnection) -> None:
        assert all(link.put(parcel(n)) for n in range(50))
        assert [int(await client.recv()) for _ in range(50)] == list(range(50))
        assert link.unsent() == []

    live(scene)


def test_after_a_planted_close_nothing_is_taken_and_the_frame_before_it_arrives() -> None:
    async def scene(link: SocketLink, client: ClientConnection) -> None:
        assert link.put(parcel(1, close_code=1000))
        assert not link.put(parcel(2))
        assert int(await client.recv()) == 1
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1000
        assert link.closed_by_us

    live(scene)


def test_closing_sends_nothing_of_what_waits() -> None:
    async def scene(link: SocketLink, client: ClientConnection) -> None:
        link.put(parcel(1))
        link.close(1001, "gone")
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (1001, "gone")
        assert [p.seq for p in link.unsent()] == [1]

    live(scene)


def test_a_client_too_far_behind_is_refused_more_but_for_a_whole_replay() -> None:
    async def scene(link: SocketLink, client: ClientConnection) -> None:
        taken = sum(link.put(parcel(n)) for n in range(MOST_WAITING + 5))
        assert taken == MOST_WAITING
        assert link.put(parcel(0), whole=True)
        client.transport.abort()

    live(scene)


def test_what_a_dead_connection_did_not_send_is_there_in_order_and_more_is_refused() -> None:
    async def scene(link: SocketLink, client: ClientConnection) -> None:
        client.transport.pause_reading()
        for n in range(40):
            link.put(parcel(n, 1_000_000))
        for _ in range(100):
            await asyncio.sleep(0)
        client.transport.abort()
        await link._socket.wait_closed()
        assert not link.put(parcel(99))
        left = [p.seq for p in link.unsent()]
        assert 0 < len(left) < 40
        assert left == list(range(40 - len(left), 40))

    live(scene)
