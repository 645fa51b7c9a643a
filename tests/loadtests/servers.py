"""Other sides to talk to, in a thread of their own: WebSocket servers that do as told, and sockets that speak raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import trustme
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.utils import accept_key

Handler = Callable[[ServerConnection], Awaitable[None]]
WITHIN_S = 10.0
WHOLE = ("started", "thinking", "tool-open", "tool-close", "done")


def until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Let the hub run until a condition holds."""
    deadline = monotonic() + WITHIN_S
    while not condition():
        assert monotonic() < deadline, f"{what} did not come true within {WITHIN_S:g} s"
        gevent.sleep(0.002)


@contextmanager
def in_thread(handler: Handler, port: int = 0, tls: ssl.SSLContext | None = None, **options: Any) -> Iterator[int]:
    """A WebSocket server; its port. Leaving closes it, its connections with 1001."""
    listening: list[int] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def main() -> None:
        async with serve(handler, "127.0.0.1", port, ssl=tls, max_size=1 << 26, **options) as server:
            listening.append(next(iter(server.sockets)).getsockname()[1])
            started.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert started.wait(WITHIN_S)
    try:
        yield listening[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        while thread.is_alive():  # the hub must run meanwhile: it may owe the server an answer to its close
            gevent.sleep(0.002)
        loop.close()


@contextmanager
def raw_server(answer: Callable[[socket.socket], None], connections: int = 1) -> Iterator[int]:
    """A TCP listener that hands each accepted socket to ``answer`` and closes it afterwards; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WITHIN_S)

        def run() -> None:
            for _ in range(connections):
                with contextlib.suppress(OSError):
                    one, _ = listener.accept()
                    with one:
                        one.settimeout(WITHIN_S)
                        answer(one)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        deadline = monotonic() + WITHIN_S
        while thread.is_alive() and monotonic() < deadline:
            gevent.sleep(0.002)


def read_request(one: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = one.recv(4096)
        if not more:
            return data
        data += more
    return data


def upgrade(one: socket.socket, behind: bytes = b"", at_once: bool = True) -> None:
    """The server's half of the handshake, by hand, with bytes right behind it."""
    request = read_request(one).decode()
    key = next(line.split(": ")[1] for line in request.split("\r\n") if line.lower().startswith("sec-websocket-key"))
    head = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n"
    ).encode()
    if at_once:
        one.sendall(head + behind)
    else:
        for byte in head + behind:
            one.sendall(bytes([byte]))


def until_closed(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while one.recv(65_536):
            pass


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses: bound, and nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]


@dataclass(slots=True)
class Authority:
    """A CA in a file, and servers' contexts with certificates of it."""

    folder: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def file(self) -> Path:
        path = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(path))
        return path

    def server(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names).configure_cert(context)
        return context


@dataclass(slots=True)
class Agent:
    """A chat backend of the audited wire, made of one coroutine; ``on_message`` says how it answers each message.

    ``heard`` are the messages, ``requests`` the upgrade requests.
    """

    events: dict[str, str]
    ready: str
    on_message: Callable[[Agent, ServerConnection, dict[str, Any]], Awaitable[None]]
    on_open: Callable[[Agent, ServerConnection], Awaitable[bool]] | None = None
    heard: list[dict[str, Any]] = field(default_factory=list)
    opened: int = 0

    async def __call__(self, one: ServerConnection) -> None:
        self.opened += 1
        if self.on_open is not None and not await self.on_open(self, one):
            return
        await one.send(json.dumps({"type": self.ready}))
        with contextlib.suppress(ConnectionClosed):
            async for raw in one:
                message = json.loads(raw)
                self.heard.append(message)
                await self.on_message(self, one, message)

    def event(self, role: str, message: dict[str, Any], **more: Any) -> str:
        fields = {"reasoning": "hm", "tool_name": "search", "results": {"n": 1}, "agent_name": "supervisor"}
        return json.dumps({"type": self.events[role], "run_id": message["payload"]["run_id"], **fields, **more})


async def answer_whole(agent: Agent, one: ServerConnection, message: dict[str, Any]) -> None:
    for role in WHOLE:
        await one.send(agent.event(role, message))
