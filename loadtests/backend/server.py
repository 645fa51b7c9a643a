"""The asyncio server of the reference backend: it listens, keeps time, begins and ends. It decides nothing about events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from websockets.asyncio.server import Server, serve

from loadtests.backend.arrivals import HearingConnection
from loadtests.backend.assembly import Backend
from loadtests.backend.cluster import Member
from loadtests.backend.commits import AtOnce, Commits
from loadtests.backend.connection import CLOSE_TIMEOUT_S, SocketLink
from loadtests.backend.database import SqliteStorage
from loadtests.backend.defects import Defect
from loadtests.backend.eventlog import MemoryStorage
from loadtests.backend.homes import HomeTable
from loadtests.backend.manager import Link, Parcel
from loadtests.backend.options import ServerOptions, server_tls
from loadtests.backend.planting import defect_named
from loadtests.backend.shell import Shell
from loadtests.backend.upgrade import echo_token
from loadtests.backend.world import World
from loadtests.contract import load
from loadtests.errors import ConfigError, RigError

__all__ = ["DRAIN", "ServerOptions", "cannot_listen", "run", "serving"]

MOST_BYTES = 1 << 20
#: asks a node to announce its end; SIGTERM and SIGINT end it without a word to wait for
DRAIN = signal.SIGUSR1


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


def _unsent(link: Link) -> list[Parcel]:
    return link.unsent() if isinstance(link, SocketLink) else []


async def _close(server: Server) -> None:
    """Within a bound: a peer that reads nothing would hold up a polite close for ever."""
    server.close()
    try:
        async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
            await server.wait_closed()
    except TimeoutError:
        for socket in list(server.connections):
            socket.transport.abort()


def cannot_listen(options: ServerOptions, error: OSError) -> RigError:
    reason = error.strerror or str(error)
    return RigError(f"cannot listen on {options.host}:{options.port}: {reason}; give --port another, or 0")


async def _listen(options: ServerOptions, shell: Shell) -> Server:
    ping_interval_s, ping_timeout_s = _keepalive(options, shell.backend.planter.defect)
    try:
        return await serve(
            shell.converse,
            options.host,
            options.port,
            ssl=server_tls(options),
            process_request=shell.respond,
            create_connection=HearingConnection,
            select_subprotocol=echo_token,
            compression=None,
            max_size=MOST_BYTES,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=ping_interval_s,
            ping_timeout=ping_timeout_s,
            # A frame counts as sent when the kernel has it, not when it waits in this process. One byte and not none:
            # under TLS asyncio takes an empty buffer for one that is at a limit of zero, and writes nothing more.
            write_limit=1,
            # Nodes share a port; the kernel gives each its part of the connections.
            reuse_port=options.member or None,
        )
    except OSError as error:
        raise cannot_listen(options, error) from None


@contextlib.asynccontextmanager
async def serving(
    options: ServerOptions, stop: asyncio.Event | None = None, drain: asyncio.Event | None = None
) -> AsyncIterator[str]:
    """A listening backend; its URL. ``stop`` is set when it cannot go on, and leaving then says why; with ``drain`` set,
    leaving announces it to every client.

    Raises:
        ConfigError: an option is impossible.
        RigError: the port is taken, the log cannot be written.
    """
    # Its own words about connections may quote what clients sent.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    if options.member and options.db == ":memory:":
        raise ConfigError("--db", "", ":memory:", "a file: nodes share nothing else")
    contract = load("reference")
    storage = MemoryStorage() if options.db == ":memory:" else SqliteStorage(Path(options.db))
    commits = Commits(storage) if isinstance(storage, SqliteStorage) else None
    durability = commits or AtOnce()
    member = None
    if options.member and isinstance(storage, SqliteStorage):
        member = Member(HomeTable(storage, options.node), durability, _unsent)
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
        at_once=options.at_once,
        concurrent=options.concurrent,
        event_versions=options.event_versions,
        homes=member,
    )
    shell = Shell(options, contract, backend, durability, member)
    if member is not None:
        member.backend = backend
    server = await _listen(options, shell)
    committing = asyncio.create_task(commits.run()) if commits else None
    chores = [asyncio.create_task(shell.keep_house()), *([committing] if committing else [])]
    if member is not None:
        chores.append(asyncio.create_task(member.keep_watch()))
    for chore in chores:
        chore.add_done_callback(lambda _: stop.set() if stop else None)
    port = server.sockets[0].getsockname()[1]
    host = f"[{options.host}]" if ":" in options.host else options.host
    try:
        yield f"{'wss' if options.tls_cert else 'ws'}://{host}:{port}{shell.path}"
    finally:
        if drain is not None and drain.is_set():
            server.close(close_connections=False)
            await shell.drain(options.goodbye_code, options.drain_spread_s)
        await _close(server)
        if member is not None and committing and not committing.done():
            await member.leave()
            member.close()
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
    stop, drain = lifeline or asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def announce() -> None:
        drain.set()
        stop.set()

    if options.member:
        loop.add_signal_handler(DRAIN, announce)
    async with serving(options, stop, drain) as url:
        print(f"listening {url}", flush=True)
        await stop.wait()
