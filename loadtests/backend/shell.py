"""What the connections of one server share: their lives, HTTP, housekeeping. It decides nothing about events."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from loadtests.backend.arrivals import Arrivals, HearingConnection
from loadtests.backend.assembly import Backend, shared_by_user
from loadtests.backend.cluster import Member
from loadtests.backend.commits import Durability
from loadtests.backend.connection import SocketLink
from loadtests.backend.manager import TRY_AGAIN_LATER, Parcel
from loadtests.backend.options import ServerOptions
from loadtests.backend.upgrade import client_of, json_response, observes
from loadtests.contract import Contract
from loadtests.pings import PATH as ARRIVALS_PATH

__all__ = ["Shell"]

HEALTH_PATH = "/ws/health"
POLICY_VIOLATION = 1008
TOKEN_EXPIRED = 4001  # RFC 6455 7.4.2: from 4000 on the application's own
NORMAL_CODES = frozenset({1000, 1001})
IDLE_S = 10.0
SWEEP_S = 10.0
BEAT_S = 0.5


class Shell:
    """One server. ``member``: it is a node of a cluster."""

    def __init__(
        self,
        options: ServerOptions,
        contract: Contract,
        backend: Backend,
        durability: Durability,
        member: Member | None,
    ) -> None:
        self.options = options
        self.backend = backend
        self.path = contract.file.endpoint.path
        self.links: set[SocketLink] = set()
        self._arrivals = Arrivals()
        self._durability = durability
        self._member = member
        one_gate = backend.planter.defect is not None and backend.planter.defect.one_gate
        self._gate = asyncio.Lock() if one_gate else None

    def respond(self, _socket: ServerConnection, request: Request) -> Response | None:
        """Plain HTTP: health, when canaries' pings arrived, and what is not there."""
        url = urlsplit(request.path)
        path = url.path
        if path == self.path:
            if self.backend.admits():
                return None
            return json_response(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "starting"})
        if path == ARRIVALS_PATH:
            name = parse_qs(url.query).get("of", [""])[0]
            return json_response(HTTPStatus.OK, {"arrivals": self._arrivals.of(name)})
        if path != HEALTH_PATH:
            return json_response(HTTPStatus.NOT_FOUND, {"error": "not found", "try": [self.path, HEALTH_PATH]})
        health = {
            "status": "healthy",
            "build": self.options.build,
            "node": self.options.node,
            "pid": os.getpid(),
            "monotonic_ns": time.monotonic_ns(),
            **self._figures(),
        }
        return json_response(HTTPStatus.OK, health)

    def _figures(self) -> Mapping[str, Any]:
        own = self._own_figures()
        if self._member is None:
            return own
        nodes = self._member.stats(own)
        return {name: sum(one[name] for one in nodes.values()) for name in own} | {"nodes": nodes}

    def _own_figures(self) -> dict[str, int]:
        return {
            "connections": self.backend.connections,
            "observers": sum(isinstance(link, SocketLink) and link.observes for link in self.backend.links),
            "turns_running": self.backend.agents.running,
            "events_sent": self.backend.notifier.sent,
            "events_refused": self.backend.notifier.refused,
            "defects_planted": self.backend.planter.planted,
        }

    async def converse(self, socket: ServerConnection) -> None:
        """The life of one connection."""
        client = client_of(socket.request, socket.subprotocol)
        link = SocketLink(socket, time.monotonic(), self._gate, self._durability)
        link.observes = observes(socket.request)
        if link.observes and isinstance(socket, HearingConnection):
            socket.arrivals = self._arrivals
        pump = asyncio.create_task(link.pump())
        try:
            link.era = client.era
            if (self.options.require_token and not client.trusted) or link.era < self._era():
                refusal = self.backend.frames.error("AUTH_FAILED", "a valid token is required", time.time())
                link.put(Parcel(frame=refusal, close_code=POLICY_VIOLATION))
                await socket.wait_closed()
                return
            self.links.add(link)
            if self._member is not None and shared_by_user(client.user, cursor=client.cursor):
                await self._member.acquire(client.user)
            link.welcomed = self.backend.connected(link, client.user, cursor=client.cursor)
            await self._receive(socket, link)
        except TimeoutError:
            link.close(TRY_AGAIN_LATER, "another node is slow")
            await socket.wait_closed()
        finally:
            self.links.discard(link)
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump
            goodbye = link.welcomed and not link.closed_by_us and socket.close_code in NORMAL_CODES
            self.backend.lost(link, link.unsent(), cut=not goodbye)

    def _era(self) -> int:
        """Of which tokens must be; 0: of any, or nobody has said yet."""
        try:
            return int(self.options.era_file.read_text()) if self.options.era_file is not None else 0
        except (OSError, ValueError):
            return 0

    async def _receive(self, socket: ServerConnection, link: SocketLink) -> None:
        try:
            while True:
                raw = await socket.recv(decode=False)
                link.heard_s = time.monotonic()
                if link.welcomed and not link.closing:
                    self.backend.received(link, raw)
                    if self._member is not None and (pending := self._member.pending()) is not None:
                        await pending
        except ConnectionClosed:
            return

    async def drain(self, code: int, spread_s: float) -> None:
        """Say goodbye to everybody, one after the other."""
        links = list(self.links)
        for link in links:
            link.close(code, "restarting")
            await asyncio.sleep(spread_s / len(links))
        for late in list(self.links):
            late.close(code, "restarting")

    async def keep_house(self) -> None:
        """Heartbeats for who is idle, and forgetting who is gone."""
        swept_s = time.monotonic()
        while True:
            await asyncio.sleep(BEAT_S)
            now_s = time.monotonic()
            if self._member is not None:
                self._member.say(self._own_figures())
            era = self._era()
            for link in self.links:
                if link.era < era:
                    link.close(TOKEN_EXPIRED, "the token has expired")
                elif link.welcomed and now_s - link.heard_s >= IDLE_S:
                    link.heard_s = now_s
                    self.backend.idle(link)
            if now_s - swept_s >= SWEEP_S:
                swept_s = now_s
                self.backend.sweep()
