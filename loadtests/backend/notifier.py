"""The notifier: builds each event, refuses unapproved types, numbers, logs, and only then delivers."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from loadtests.backend.eventlog import Entry, EventLog, Turn
from loadtests.backend.frames import FrameWriter, iso
from loadtests.backend.manager import Parcel, WebSocketManager
from loadtests.backend.script import Step
from loadtests.contract import Contract

__all__ = ["UnapprovedEventError", "WebSocketNotifier", "parcel_of"]

RECENT = 64
EVENT_ID_CHARACTERS = 12  # enough of the stream's name to be unique, too little to guess it

log = logging.getLogger(__name__)


class UnapprovedEventError(ValueError):
    """Somebody asked to send a type that the contract does not approve."""


def parcel_of(entry: Entry) -> Parcel:
    """A logged event, to be sent as it was."""
    return Parcel(frame=entry.frame, kind=entry.kind, stream=entry.stream, seq=entry.seq)


class WebSocketNotifier:
    """Pure over log, manager and clock."""

    def __init__(
        self,
        contract: Contract,
        event_log: EventLog,
        manager: WebSocketManager,
        frames: FrameWriter,
        now_s: Callable[[], float],
        version_of: Callable[[str], str] = lambda _: "1",
    ) -> None:
        self._approved = frozenset(contract.by_name)
        self._kinds = {rule.role: rule.name for rule in reversed(contract.events)}
        if contract.file.streams:
            self._kinds["content"] = contract.file.streams[0].event
        self._log = event_log
        self._manager = manager
        self._frames = frames
        self._now_s = now_s
        self._version_of = version_of
        #: frames that the next event of their run overtakes
        self._overtaken: dict[tuple[str, str], Parcel] = {}
        self._recent: deque[tuple[str, bytes]] = deque(maxlen=RECENT)
        self.sent = 0
        self.refused = 0

    def emit(self, turn: Turn, step: Step) -> None:
        """One step of a turn, out to its client.

        Raises:
            UnapprovedEventError: and nothing was numbered, logged or sent.
        """
        if step.raw_frame:
            self._manager.send_once(Parcel(frame=step.raw_frame, stream=turn.stream))
            return
        kind = step.planted_kind or step.kind or self._kinds[step.role]
        if not step.planted_kind:
            self.check(kind)
        entry = self._append(turn, kind, step)
        self._recent.append((turn.stream, entry.frame))
        self.sent += 1
        parcel = parcel_of(entry)
        if step.astray:
            self._manager.send_once(Parcel(frame=entry.frame, stream=step.astray))
        if step.overtaken:
            self._overtaken[turn.stream, turn.run] = parcel
            return
        for number in range(1, step.deliveries + 1):
            last = number == step.deliveries
            self._manager.post(replace(parcel, close_code=step.close_code) if last and step.close_code else parcel)
        overtaken = self._overtaken.pop((turn.stream, turn.run), None)
        if overtaken is not None:
            self._manager.post(overtaken)

    def check(self, kind: str) -> None:
        """Refuse what the contract does not approve."""
        if kind not in self._approved:
            self.refused += 1
            log.error("refused to send an event of the unapproved type %r", kind)
            raise UnapprovedEventError(f"{kind!r} is not in the contract's events")

    def forget(self, stream: str) -> None:
        """Drop what was to be overtaken: a replay has it."""
        self._overtaken = {key: parcel for key, parcel in self._overtaken.items() if key[0] != stream}

    def foreign_frame(self, stream: str) -> bytes:
        """A recent event of another client that is connected now; empty if there is none."""
        return next((f for s, f in reversed(self._recent) if self._manager.lives_elsewhere(stream, s)), b"")

    def _append(self, turn: Turn, kind: str, step: Step) -> Entry:
        at_s = self._now_s()
        ids: dict[str, Any] = {
            "event_id": "",
            "seq": 0,
            "stream_id": turn.stream,
            "run_id": step.run_id or turn.run,
            "thread_id": turn.thread,
            "user_id": turn.user,
            "agent_name": step.agent,
            "event_version": step.version or self._version_of(turn.run),
        }
        if not step.run_id:
            ids["message_id"] = turn.message
        name = turn.stream.rpartition("_")[2][:EVENT_ID_CHARACTERS]

        def frame(seq: int) -> bytes:
            ids["seq"] = seq
            ids["event_id"] = f"evt_{name}_{seq}"
            return self._frames.event(kind, iso(at_s), ids, step.body)

        return self._log.append(turn, kind, at_s, frame)
