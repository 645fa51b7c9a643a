"""The asyncio shell of the reference backend: sockets, credentials, HTTP, time. It decides nothing about events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from loadtests.backend.assembly import Backend
from loadtests.backend.connection import CLOSE_TIMEOUT_S, SocketLink
from loadtests.backend.database import SqliteStorage
from loadtests.backend.defects import Defect
from loadtests.backend.eventlog import MemoryStorage
from loadtests.backend.manager import Parcel
from loadtests.backend.options import ServerOptions, server_tls
from loadtests.backend.planting import defect_named
from loadtests.backend.upgrade import client_of, echo_token, json_response
from loadtests.backend.world import World
from loadtests.contract import Contract, load
from loadtests.errors import RigError

__all__ = ["ServerOptions", "run", "serving"]

HEALTH_PATH = "/ws/health"
POLICY_VIOLATION = 1008
NORMAL_CODES = frozenset({1000, 1001})
MOST_BYTES = 1 << 20
IDLE_S = 10.0
GROUP_COMMIT_S = 0.005
SWEEP_S = 10.0


class _Shell:
    """What the callbacks of one server share."""

    def __init__(self, options: ServerOptions, contract: Contract, backend: Backend) -> None:
        self.options = options
        self.backend = backend
        self.path = contract.file.endpoint.path
        self.links: set[SocketLink] = set()
        one_gate = backend.planter.defect is not None and backend.planter.defect.one_gate
        self.gate = asyncio.Lock() if one_gate else None

    def respond(self, _socket: ServerConnection, request: Request) -> Response | None:
        """Plain HTTP: health, and what is not there."""
        path = urlsplit(request.path).path
        if path == self.path:
            if self.backend.admits():
                return None
            return json_response(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "starting"})
        if path != HEALTH_PATH:
            return json_response(HTTPStatus.NOT_FOUND, {"error": "not found", "try": [self.path, HEALTH_PATH]})
        health = {
            "status": "healthy",
            "build": self.options.build,
            "node": self.options.node,
            "monotonic_ns": time.monotonic_ns(),
            "connections": self.backend.connections,
            "turns_running": self.backend.agents.running,
            "events_sent": self.backend.notifier.sent,
            "events_refused": self.backend.notifier.refused,
            "defects_planted": self.backend.planter.planted,
        }
        return json_response(HTTPStatus.OK, health)

    async def converse(self, socket: ServerConnection) -> None:
        """The life of one connection."""
        client = client_of(socket.request, socket.subprotocol)
        link = SocketLink(socket, time.monotonic(), self.gate)
        pump = asyncio.create_task(link.pump())
        try:
            if self.options.require_token and not client.trusted:
                refusal = self.backend.frames.error("AUTH_FAILED", "a valid token is required", time.time())
                link.put(Parcel(frame=refusal, close_code=POLICY_VIOLATION))
                await socket.wait_closed()
                return
            self.links.add(link)
            link.welcomed = self.backend.connected(link, client.user, cursor=client.cursor)
            await self._receive(socket, link)
        finally:
            self.links.discard(link)
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump
            goodbye = link.welcomed and not link.closed_by_us and socket.close_code in NORMAL_CODES
            self.backend.lost(link, link.unsent(), cut=not goodbye)

    async def _receive(self, socket: ServerConnection, link: SocketLink) -> None:
        try:
            while True:
                raw = await socket.recv(decode=False)
                link.heard_s = time.monotonic()
                if link.welcomed:
                    self.backend.received(link, raw)
        except ConnectionClosed:
            return

    async def keep_house(self) -> None:
        """Heartbeats for who is idle, and forgetting who is gone."""
        swept_s = time.monotonic()
        while True:
            await asyncio.sleep(1.0)
            now_s = time.monotonic()
            for link in self.links:
                if link.welcomed and now_s - link.heard_s >= IDLE_S:
                    link.heard_s = now_s
                    self.backend.idle(link)
            if now_s - swept_s >= SWEEP_S:
                swept_s = now_s
                self.backend.sweep()


def _world(seed: int) -> World:
    loop = asyncio.get_running_loop()

    def schedule(delay_ms: float, callback: Callable[[], None]) -> None:
        loop.call_later(delay_ms / 1000, callback)

    return World(
        now_s=time.time,
        schedule=schedule,
        new_id=lambda prefix: f"{prefix}_{secrets.token_hex(16)}",
        dice=lambda key: random.Random(f"{seed}:{key}"),  # reproducible is what it must be
    )


def _keepalive(options: ServerOptions, defect: Defect | None) -> tuple[float | None, float | None]:
    planted = defect.keepalive_s if defect else None
    if planted == "never":
        return None, None
    return planted or (options.ping_interval_s, options.ping_timeout_s)


async def _commit(storage: SqliteStorage) -> None:
    """Group commits, off the loop."""
    while True:
        await asyncio.sleep(GROUP_COMMIT_S)
        if storage.dirty:
            await asyncio.to_thread(storage.flush)


async def _close(server: Server) -> None:
    """Within a bound: a peer that reads nothing would hold up a polite close for ever."""
    server.close()
    try:
        async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
            await server.wait_closed()
    except TimeoutError:
        for socket in list(server.connections):
            socket.transport.abort()


@contextlib.asynccontextmanager
async def serving(options: ServerOptions, stop: asyncio.Event | None = None) -> AsyncIterator[str]:
    """A listening backend; its URL. ``stop`` is set when it cannot go on, and leaving then says why.

    Raises:
        ConfigError: an option is impossible.
        RigError: the port is taken, the log cannot be written.
    """
    # Its own words about connections may quote what clients sent.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    contract = load("reference")
    storage = MemoryStorage() if options.db == ":memory:" else SqliteStorage(Path(options.db))
    backend = Backend(
        contract,
        storage,
        _world(options.seed),
        seed=options.seed,
        defect=defect_named(options.defect) if options.defect else None,
        defect_share=options.defect_share,
        spared_turns=options.spared_turns,
        shape=options.shape,
        node=options.node,
        build=options.build,
        outcomes=options.outcomes,
        concurrent=options.concurrent,
        event_versions=options.event_versions,
    )
    ping_interval_s, ping_timeout_s = _keepalive(options, backend.planter.defect)
    shell = _Shell(options, contract, backend)
    tls = server_tls(options)
    try:
        server: Server = await serve(
            shell.converse,
            options.host,
            options.port,
            ssl=tls,
            process_request=shell.respond,
            select_subprotocol=echo_token,
            compression=None,
            max_size=MOST_BYTES,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=ping_interval_s,
            ping_timeout=ping_timeout_s,
            # A frame counts as sent when the kernel has it, not when it waits in this process. One byte and not none:
            # under TLS asyncio takes an empty buffer for one that is at a limit of zero, and writes nothing more.
            write_limit=1,
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise RigError(f"cannot listen on {options.host}:{options.port}: {reason}; give --port another, or 0") from None
    chores = [asyncio.create_task(shell.keep_house())]
    if isinstance(storage, SqliteStorage):
        chores.append(asyncio.create_task(_commit(storage)))
    for chore in chores:
        chore.add_done_callback(lambda _: stop.set() if stop else None)
    port = server.sockets[0].getsockname()[1]
    host = f"[{options.host}]" if ":" in options.host else options.host
    try:
        yield f"{'wss' if tls else 'ws'}://{host}:{port}{shell.path}"
    finally:
        await _close(server)
        for chore in chores:
            chore.cancel()
        results = await asyncio.gather(*chores, return_exceptions=True)
        if isinstance(storage, SqliteStorage):
            storage.close()
        for result in results:
            if isinstance(result, Exception):
                raise result


async def run(options: ServerOptions, lifeline: asyncio.Event | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until ``lifeline`` is set; one line on stdout says where."""
    stop = lifeline or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(options, stop) as url:
        print(f"listening {url}", flush=True)
        await stop.wait()
