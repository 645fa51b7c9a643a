"""A chat backend that speaks GraphQL over ``graphql-transport-ws``: Strawberry's own protocol, over uvicorn.

Faults are planted between Strawberry and the socket, so that what is right about the protocol is the library's doing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import strawberry
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from tests.live.otherworld import Act, Agent, Fault, Spelling, Spoiler, options, serve

__all__ = ["Pinged", "Spoiled", "schema_of"]

Message = dict[str, Any]
Receive = Any
Send = Any

PATH = "/graphql"
NO_PONG = 4408
CHAT = ("payload", "data", "chat")
SPELLING = Spelling(
    kinds={
        "RunStarted": "started", "Thought": "thought", "ToolCalled": "called", "ToolReturned": "returned",
        "TextDelta": "chunk", "Answer": "answer", "complete": "end", "error": "end",
    },
    types=((*CHAT, "__typename"), ("type",)),
    call=(*CHAT, "callId"),
    unique=((*CHAT, "callId"), (*CHAT, "eventId")),
    wrong_type="Musing",
)  # fmt: skip


@strawberry.interface
class ChatEvent:
    event_id: strawberry.ID
    run_id: strawberry.ID
    agent: str


@strawberry.type
class RunStarted(ChatEvent):
    """The agent has begun."""


@strawberry.type
class Thought(ChatEvent):
    reasoning: str


@strawberry.type
class ToolCalled(ChatEvent):
    call_id: strawberry.ID
    tool: str


@strawberry.type
class ToolReturned(ChatEvent):
    call_id: strawberry.ID
    tool: str
    output: str


@strawberry.type
class TextDelta(ChatEvent):
    index: int
    text: str


@strawberry.type
class Answer(ChatEvent):
    text: str
    status: str


TYPES = (RunStarted, Thought, ToolCalled, ToolReturned, TextDelta, Answer)


def event_of(act: Act, run: str, number: int) -> ChatEvent:
    """The agent's act in the schema's words."""
    common: dict[str, Any] = {
        "event_id": strawberry.ID(f"{run}#{number}"),
        "run_id": strawberry.ID(run),
        "agent": "analyst",
    }
    call = strawberry.ID(act.call)
    match act.kind:
        case "started":
            return RunStarted(**common)
        case "thought":
            return Thought(**common, reasoning=act.text)
        case "called":
            return ToolCalled(**common, call_id=call, tool=act.tool)
        case "returned":
            return ToolReturned(**common, call_id=call, tool=act.tool, output=act.text)
        case "chunk":
            return TextDelta(**common, index=act.number, text=act.text)
        case _:
            return Answer(**common, text=act.text, status="COMPLETED")


def schema_of(agent: Agent) -> strawberry.Schema:
    """One subscription, ``chat``."""

    @strawberry.type
    class Query:
        version: str = "1"

    @strawberry.type
    class Subscription:
        @strawberry.subscription
        async def chat(
            self, content: str, thread_id: strawberry.ID, run_id: strawberry.ID, message_id: strawberry.ID
        ) -> AsyncGenerator[ChatEvent, None]:
            for number, act in enumerate(agent.answer(run_id, thread_id, content)):
                await asyncio.sleep(act.delay_s)
                yield event_of(act, run_id, number)

    return strawberry.Schema(query=Query, subscription=Subscription, types=TYPES)


class Spoiled:
    """Another ASGI application with a fault planted in what it sends."""

    def __init__(self, app: Any, fault: Fault) -> None:
        self._app = app
        self._fault = fault

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        turns: dict[str, Spoiler] = {}

        async def spoil(message: Message) -> None:
            frame = json.loads(message["text"]) if message.get("text") else {}
            if "id" not in frame:
                await send(message)
                return
            turn = turns.setdefault(frame["id"], Spoiler(self._fault, SPELLING))
            for one in turn.pass_on(frame):
                await send({"type": "websocket.send", "text": json.dumps(one, separators=(",", ":"))})
            if turn.kind_of(frame) == "end":
                del turns[frame["id"]]

        await self._app(scope, receive, spoil)


class Pinged:
    """Another ASGI application whose clients must answer the protocol's own pings."""

    def __init__(self, app: Any, every_s: float) -> None:
        self._app = app
        self._every_s = every_s

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        answered = asyncio.Event()
        pinging: list[asyncio.Task[None]] = []

        async def ping() -> None:
            while True:
                answered.clear()
                await send({"type": "websocket.send", "text": '{"type":"ping"}'})
                await asyncio.sleep(self._every_s)
                if not answered.is_set():
                    await send({"type": "websocket.close", "code": NO_PONG, "reason": "no pong"})
                    return

        async def listen() -> Message:
            message: Message = await receive()
            if message.get("text") and json.loads(message["text"]).get("type") == "pong":
                answered.set()
            return message

        async def tell(message: Message) -> None:
            await send(message)
            if not pinging and '"connection_ack"' in (message.get("text") or ""):
                pinging.append(asyncio.create_task(ping()))

        try:
            await self._app(scope, listen, tell)
        finally:
            for task in pinging:
                task.cancel()


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--ping-s", type=float, default=2.0)
    flags = parser.parse_args()
    schema = schema_of(Agent(flags.seed, flags.fault))
    graphql: GraphQL[Any, Any] = GraphQL(schema, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL])
    serve(Pinged(Spoiled(graphql, flags.fault), flags.ping_s), flags.port, PATH)


if __name__ == "__main__":
    main()
