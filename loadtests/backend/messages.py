"""The message handler service: parses what clients send, dispatches by type; hostile input ends in an error frame."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from loadtests.backend.agents import AgentService
from loadtests.backend.eventlog import EventLog, Turn
from loadtests.backend.frames import FrameWriter
from loadtests.backend.manager import GOING_AWAY, Link, Parcel
from loadtests.backend.script import Ask
from loadtests.backend.world import World
from loadtests.contract import Contract

__all__ = ["MessageHandlerService"]

Message = dict[str, Any]

#: Names under which clients send the user's words.
TEXT_FIELDS = ("content", "text", "message")
MOST_CHARACTERS = 256  # of an id
#: whoever says this wants to hear what was said before
RECALL = re.compile(r"\brecall\b", re.IGNORECASE)
#: whoever says this wants a long answer
TIMES = re.compile(r"\b([1-9]\d?) times\b", re.ASCII)


def _word(message: Message, name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) and len(value) <= MOST_CHARACTERS else ""


def _lag_ms(said: object, now_s: float) -> float:
    """How long ago the client's clock said ``said``; 0 when it says nothing that is a time."""
    if isinstance(said, str):
        try:
            at = datetime.fromisoformat(said)
            said = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return 0.0
    return max(0.0, (now_s - said) * 1000) if isinstance(said, float) else 0.0


class MessageHandlerService:
    """Pure; a table of handlers by the contract's own names."""

    def __init__(
        self,
        contract: Contract,
        world: World,
        frames: FrameWriter,
        event_log: EventLog,
        agents: AgentService,
        resume: Callable[[Link, str, int], None],
        shared_by_user: Callable[[Link], bool],
        is_deaf: Callable[[Link], bool] = lambda _: False,
    ) -> None:
        file, control = contract.file, contract.file.control
        self._world = world
        self._frames = frames
        self._log = event_log
        self._agents = agents
        self._resume = resume
        self._shared_by_user = shared_by_user
        #: whether a planted defect leaves its ping without an answer
        self._is_deaf = is_deaf
        self._pong, self._heartbeat_ack = control.pong, control.heartbeat_ack
        #: by the event that the contract has for it, else as any other error
        self._rejected = next((n for n, o in file.outcomes.events.items() if o == "rejected"), control.error)
        # A question for a thread is asked by the name of the event that answers it.
        self._answers = {f"get_{name}": name for name in contract.by_name if name.endswith("_history")}
        self._handlers: dict[str, Callable[[Link, Message, Message], None]] = {
            **dict.fromkeys(self._answers, self._on_history),
            str(file.send.template.get("type", "")): self._on_ask,
            str(file.resume.ask.get("type", "")): self._on_resume,
            str(file.cancel.template.get("type", "") if file.cancel else ""): self._on_cancel,
            control.pong: self._on_nothing,
            control.heartbeat_ack: self._on_nothing,
            control.ping: self._on_ping,
            control.heartbeat: self._on_heartbeat,
        }
        # A contract that leaves one out must not make the empty type mean something.
        self._handlers.pop("", None)

    def handle(self, link: Link, raw: bytes) -> None:
        """One message of a welcomed client. Never raises, whatever the bytes are."""
        try:
            message = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._complain(link, "JSON_PARSE_ERROR", "this is no JSON")
            return
        kind = message.get("type") if isinstance(message, dict) else None
        if not isinstance(kind, str):
            self._complain(link, "INVALID_MESSAGE", "a message is a JSON object with a type")
            return
        payload = message.get("payload")
        handler = self._handlers.get(kind)
        if handler is None:
            self._say(link, self._frames.unknown(kind[:MOST_CHARACTERS], self._world.now_s()))
            return
        handler(link, message, payload if isinstance(payload, dict) else message)

    def _on_ask(self, link: Link, message: Message, payload: Message) -> None:
        content = next(
            (text for name in TEXT_FIELDS if isinstance(text := payload.get(name), str) and text.strip()), None
        )
        if content is None:
            self._complain(link, "MESSAGE_EMPTY", f"a message needs one of {', '.join(TEXT_FIELDS)}")
            return
        owner, thread = self._owner(link), _word(payload, "thread_id") or f"thread_{link.user}"
        ask = Ask(
            message_id=_word(message, "message_id") or _word(payload, "message_id") or self._world.new_id("msg"),
            run_id=_word(payload, "run_id") or self._world.new_id("run"),
            thread_id=thread,
            content=content,
            earlier=self._log.words(owner, thread) if RECALL.search(content) else (),
            times=int(many[1]) if (many := TIMES.search(content)) else 1,
            lag_ms=_lag_ms(payload.get("timestamp"), self._world.now_s()),
        )
        turn = Turn(
            owner=owner,
            stream=link.stream,
            user=link.user,
            thread=thread,
            run=ask.run_id,
            message=ask.message_id,
        )
        about = {"run_id": turn.run, "thread_id": turn.thread, "message_id": turn.message}
        match self._agents.accept(turn, ask):
            case "rejected":
                self._complain(link, "TURN_IN_PROGRESS", "another turn of this thread is under way", about)
            case "acknowledged":
                self._say(link, self._frames.unknown(str(message["type"]), self._world.now_s(), about))
            case "dropped":
                link.close(GOING_AWAY, "restarting")

    def _on_cancel(self, link: Link, _message: Message, payload: Message) -> None:
        run = _word(payload, "run_id")
        if not run:
            self._complain(link, "INVALID_MESSAGE", "which run_id?")
            return
        # A turn that is over already needs no answer: its end has said so.
        self._agents.stop(self._owner(link), run)

    def _owner(self, link: Link) -> str:
        """Whose turns this connection begins and stops."""
        return link.user if self._shared_by_user(link) else link.stream

    def _on_resume(self, link: Link, _message: Message, payload: Message) -> None:
        stream, after = payload.get("stream_id"), payload.get("last_seq")
        if not isinstance(stream, str) or not isinstance(after, int) or isinstance(after, bool) or after < 0:
            self._complain(link, "INVALID_MESSAGE", "a resume needs stream_id and last_seq")
            return
        self._resume(link, stream, after)

    def _on_history(self, link: Link, message: Message, payload: Message) -> None:
        thread = _word(payload, "thread_id")
        if not thread:
            self._complain(link, "INVALID_MESSAGE", "which thread_id?")
            return
        events = [entry.frame for entry in self._log.history(link.user, thread)]
        self._say(link, self._frames.history(self._answers[message["type"]], thread, events, self._world.now_s()))

    def _on_ping(self, link: Link, _message: Message, _payload: Message) -> None:
        if not self._is_deaf(link):
            self._say(link, self._frames.control(self._pong, self._world.now_s()))

    def _on_heartbeat(self, link: Link, _message: Message, _payload: Message) -> None:
        self._say(link, self._frames.control(self._heartbeat_ack, self._world.now_s()))

    def _on_nothing(self, link: Link, message: Message, payload: Message) -> None:
        """An answer to ours; that it came is all there is to know."""

    def _complain(self, link: Link, code: str, text: str, about: Mapping[str, str] | None = None) -> None:
        kind = self._rejected if about else ""
        self._say(link, self._frames.error(code, text, self._world.now_s(), about, kind))

    def _say(self, link: Link, frame: bytes) -> None:
        link.put(Parcel(frame=frame))
