"""A turn in flight, as its session keeps it: what was sent, what it has shown, and the frames that may have to be read."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from loadtests.history import End, Parts
from loadtests.turn import TurnTracker

__all__ = ["FRAME_CAP_BYTES", "KEPT_FRAMES", "Expectation", "Flight"]

FRAME_CAP_BYTES = 8192  # what is held of a frame; the recorder removes secrets and keeps half of it
KEPT_FRAMES = 32  # the first and the last of one turn; enough for any that a person will read


class Expectation(Protocol):
    """What an answer must be like; ``loadtests.prompts.Expectation`` is the real one."""

    def met_by(self, answer: str) -> bool: ...


class Flight:
    """One message and what came of it so far."""

    __slots__ = (
        "answer", "awaited", "behind", "cancelled", "chars", "end", "ended_ns",
        "events", "expect", "foretold", "frames", "intended", "keys",
        "left", "message", "number", "resent", "sent", "tail", "texts", "thread", "turn", "turn_id", "when", "who",
    )  # fmt: skip

    def __init__(
        self, number: int, turn_id: str, intended: int, sent: int, message: bytes, expect: Expectation | None = None
    ) -> None:
        self.number, self.turn_id, self.intended, self.sent, self.message = number, turn_id, intended, sent, message
        self.expect = expect
        self.thread = ""
        self.turn: TurnTracker
        #: parts of the rows of its events
        self.when = Parts.pack_when(intended, sent)
        self.who = b""
        #: those that say more than that something was received
        self.events = 0
        self.resent = False
        #: another turn was under way when it was sent
        self.behind = False
        #: of all chunks that are held
        self.chars = 0
        self.cancelled = 0
        #: events any of which its user waits for, as bits
        self.awaited = 0
        #: its user's own journey has cut it
        self.left = False
        #: how it ended; None: it has not
        self.end: End | None = None
        self.ended_ns = 0
        #: what the backend answered; None: that is not known, or not asked for (an empty text asks for it)
        self.answer: str | None = None
        #: number of the outcome that an event has said of the end to come; -1: none has
        self.foretold = -1
        #: stream -> its chunks so far, by number, or in the order in which they came
        self.texts: dict[int, dict[int, str]] | None = None
        #: ids of the chunks among them that have one
        self.keys: set[int] | None = None
        #: the first frames and the last ones, as much of each as may be kept: (row, time, bytes, size)
        self.frames: list[tuple[int, int, bytes, int]] = []
        self.tail: deque[tuple[int, int, bytes, int]] | None = None

    def met(self, key: int) -> bool:
        """Whether a chunk of this id has come before; 0: it has none."""
        if not key:
            return False
        keys = self.keys = self.keys or set()
        known = key in keys
        keys.add(key)
        return known

    def put_away(self) -> None:
        """Over, and nobody will read its frames again."""
        self.frames, self.tail, self.texts, self.keys = [], None, None, None

    def keep_late(self, row: int, at_ns: int, raw: bytes) -> None:
        """A frame behind the first ones, or one too long to be kept whole."""
        if self.tail is None:
            self.tail = deque(maxlen=KEPT_FRAMES)
        self.tail.append((row, at_ns, raw[:FRAME_CAP_BYTES], len(raw)))
