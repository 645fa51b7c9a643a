"""A client of a backend over real sockets: frames as dictionaries, every wait with a deadline."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

__all__ = ["WITHIN_S", "Client", "get", "live"]

WITHIN_S = 10.0


def live(test: Callable[..., Coroutine[Any, Any, None]], *args: Any, within_s: float = WITHIN_S * 3) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await test(*args)

    asyncio.run(bounded())


class Client:
    """One connection."""

    within_s: ClassVar[float] = WITHIN_S

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome: dict[str, Any] = {}

    @property
    def stream(self) -> str:
        return str(self.welcome["data"]["stream_id"])

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(self.within_s):
            return dict(json.loads(await self.socket.recv()))

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def ask(self, message_id: str = "m1", content: str = "how much?", **payload: Any) -> None:
        payload = {"content": content, "thread_id": "t1", "run_id": f"run_{message_id}", **payload}
        await self.say(type="user_message", message_id=message_id, payload=payload)

    async def resume(self, stream: str, last_seq: int) -> dict[str, Any]:
        await self.say(type="session_restore", payload={"stream_id": stream, "last_seq": last_seq})
        return await self.next()

    async def until_closed(self) -> tuple[list[dict[str, Any]], int]:
        """The last frames, and the code of the close that the server sent."""
        frames = []
        try:
            while True:
                frames.append(await self.next())
        except ConnectionClosed as closed:
            return frames, closed.rcvd.code if closed.rcvd else 1006

    async def until_end(self) -> list[dict[str, Any]]:
        """Frames up to and with the end of a turn's root agent."""
        frames = []
        while True:
            frames.append(await self.next())
            frame = frames[-1].get("data", frames[-1]) if frames[-1].get("recovered") else frames[-1]
            if frame["type"] == "agent_completed" and frame["agent_name"] == "supervisor":
                return frames


def get(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
