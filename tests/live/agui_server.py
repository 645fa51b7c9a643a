"""A chat backend that speaks AG-UI events over a WebSocket, in the types of the ``ag-ui-protocol`` package, over uvicorn.

AG-UI fixes the events and leaves the transport open: here one ``RunAgentInput`` a frame comes in, one event a frame goes out.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Iterator
from typing import Any, Literal

from ag_ui.core import (
    BaseEvent,
    ReasoningEndEvent,
    ReasoningMessageContentEvent,
    ReasoningMessageEndEvent,
    ReasoningMessageStartEvent,
    ReasoningStartEvent,
    RunAgentInput,
    RunErrorEvent,
    RunFinishedEvent,
    RunFinishedSuccessOutcome,
    RunStartedEvent,
    StepFinishedEvent,
    StepStartedEvent,
    TextMessageChunkEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallArgsEvent,
    ToolCallChunkEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
)
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.live.otherworld import Act, Agent, Fault, ModelGoneError, Spelling, Spoiler, options, serve

__all__ = ["SHAPES", "app_of", "events_of", "shape_of"]

#: one message after another; two open at a time, with a thought in their midst; and no event of a message or a call but chunks
Shape = Literal["plain", "interleaved", "chunks"]
SHAPES: tuple[Shape, ...] = ("plain", "interleaved", "chunks")

PATH = "/agui"
SPELLING = Spelling(
    kinds={
        "RUN_STARTED": "started", "REASONING_START": "thought", "TOOL_CALL_START": "called", "TOOL_CALL_CHUNK": "called",
        "TOOL_CALL_END": "call-end", "TOOL_CALL_RESULT": "returned",
        "TEXT_MESSAGE_CONTENT": "chunk", "RUN_FINISHED": "end", "RUN_ERROR": "end",
    },
    types=(("type",),),
    call=("toolCallId",),
    unique=(("toolCallId",),),
    wrong_type="REASONING_BEGUN",
)  # fmt: skip


def shape_of(run: str) -> Shape:
    """All are the protocol's; which one a run has is a function of its id."""
    return SHAPES[zlib.crc32(run.encode()) % len(SHAPES)]


def events_of(act: Act, asked: RunAgentInput) -> Iterator[BaseEvent]:
    """The agent's act in AG-UI's words."""
    run, thread, shape = asked.run_id, asked.thread_id, shape_of(asked.run_id)
    answers = [f"answer-{n}-{run}" for n in range(2 if shape == "interleaved" else 1)]
    match act.kind:
        case "started":
            yield RunStartedEvent(thread_id=thread, run_id=run)
        case "thought":
            yield from _thinking(f"think-{run}", act.text)
            yield StepStartedEvent(step_name="research")
        case "called":
            arguments = ('{"question": ', json.dumps(act.text) + "}")
            if shape == "chunks":
                yield ToolCallChunkEvent(tool_call_id=act.call, tool_call_name=act.tool, delta=arguments[0])
                yield ToolCallChunkEvent(delta=arguments[1])
                return
            yield ToolCallStartEvent(tool_call_id=act.call, tool_call_name=act.tool)
            for argument in arguments:
                yield ToolCallArgsEvent(tool_call_id=act.call, delta=argument)
            yield ToolCallEndEvent(tool_call_id=act.call)
        case "returned":
            result = f"result-{act.call}"
            yield ToolCallResultEvent(message_id=result, tool_call_id=act.call, content=act.text, role="tool")
        case "chunk" if shape == "chunks":
            if act.number == 0:
                yield StepFinishedEvent(step_name="research")
                yield TextMessageChunkEvent(message_id=answers[0], role="assistant")
            yield TextMessageChunkEvent(delta=act.text)
        case "chunk":
            if act.number == 0:
                yield StepFinishedEvent(step_name="research")
                for answer in answers:
                    yield TextMessageStartEvent(message_id=answer, role="assistant")
            yield TextMessageContentEvent(message_id=answers[act.number % len(answers)], delta=act.text)
            if act.number == 1 and shape == "interleaved":
                yield from _thinking(f"rethink-{run}", act.text)
        case _:
            for answer in answers if shape != "chunks" else ():
                yield TextMessageEndEvent(message_id=answer)
            yield RunFinishedEvent(
                thread_id=thread, run_id=run, result={"text": act.text}, outcome=RunFinishedSuccessOutcome()
            )


def _thinking(message: str, text: str) -> Iterator[BaseEvent]:
    yield ReasoningStartEvent(message_id=message)
    yield ReasoningMessageStartEvent(message_id=message)
    yield ReasoningMessageContentEvent(message_id=message, delta=text)
    yield ReasoningMessageEndEvent(message_id=message)
    yield ReasoningEndEvent(message_id=message)


def wire(event: BaseEvent) -> dict[str, Any]:
    event.timestamp = time.time_ns() // 1_000_000
    return event.model_dump(mode="json", by_alias=True, exclude_none=True)


class Talk:
    """One connection: runs one after the other."""

    def __init__(self, socket: WebSocket, agent: Agent, fault: Fault) -> None:
        self._socket = socket
        self._agent = agent
        self._fault = fault

    async def hold(self) -> None:
        await self._socket.accept()
        try:
            async for text in self._socket.iter_text():
                await self._answer(text)
        except WebSocketDisconnect:
            return

    async def _answer(self, text: str) -> None:
        spoiler = Spoiler(self._fault, SPELLING)
        try:
            asked = RunAgentInput.model_validate_json(text)
            question = str(asked.messages[-1].content)
            for act in self._agent.answer(asked.run_id, asked.thread_id, question):
                await asyncio.sleep(act.delay_s)
                for event in events_of(act, asked):
                    await self._send(spoiler, event)
        except ModelGoneError as error:
            await self._send(spoiler, RunErrorEvent(message=str(error), code="MODEL_GONE"))
        except (ValueError, IndexError) as error:
            problem = str(error).splitlines()[0]
            await self._send(spoiler, RunErrorEvent(message=f"no RunAgentInput: {problem}", code="BAD_INPUT"))

    async def _send(self, spoiler: Spoiler, event: BaseEvent) -> None:
        for frame in spoiler.pass_on(wire(event)):
            await self._socket.send_text(json.dumps(frame, separators=(",", ":")))


def app_of(agent: Agent, fault: Fault) -> Starlette:
    async def talk(socket: WebSocket) -> None:
        await Talk(socket, agent, fault).hold()

    return Starlette(routes=[WebSocketRoute(PATH, talk)])


def main() -> None:
    flags = options(__doc__ or "").parse_args()
    serve(app_of(Agent(flags.seed, flags.fault), flags.fault), flags.port, PATH)


if __name__ == "__main__":
    main()
