"""The record: what a row is, and how rows are read back. The run directory is the product; this is its alphabet.

A row is 96 bytes, little-endian, without padding, so ``struct`` writes what ``numpy`` reads. Times are CLOCK_MONOTONIC
nanoseconds. Strings stand once in the process's ``.strings`` file; a row carries their number (0: none).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "ABNORMAL",
    "COHORTS",
    "DTYPE",
    "NODE_LABEL",
    "NOT_FOREIGN",
    "NO_TEXT",
    "ORDINARY",
    "OUR_ERROR",
    "OUTCOMES",
    "ROW",
    "SCHEMA",
    "UNKNOWN_TURN",
    "VERSION_LABEL",
    "End",
    "Fate",
    "Flag",
    "Parts",
    "RowKind",
    "When",
    "Window",
    "attribute",
    "phase_at",
]

SCHEMA = 1  # of rows, strings, frames, manifest; a change that old readers cannot bear raises it


class RowKind(IntEnum):
    """What happened. ``code`` means: an end (END), a close code (CLOSE), a status or errno (OPEN, FAILED), on an EVENT one more
    than the number of a chunk or, where it ends a turn, of its outcome; the step of a journey, from 1, that sends it (SEND, DROP),
    0 for none; a fate (JOURNEY).
    """

    EVENT = 1  # a text frame arrived
    SEND = 2  # a turn's message was sent
    DIAL = 3  # a connection is being made
    FAILED = 4  # … and could not be
    OPEN = 5  # upgraded
    READY = 6  # messages may be sent
    CLOSE = 7
    ASK = 8  # resume asked for, ``cursor`` is the last one seen
    CLAIM = 9  # the backend's answer: flag RESUMED or not; ``cursor`` is its head, -1 if it says none
    END = 10  # how the client saw its turn end; where the contract tells of tokens, ``cursor`` and ``key`` are those in and out
    DROP = 11  # a planned turn that was not sent
    RESEND = 12
    STOP = 13  # the session is over
    GAVE_UP = 14  # no more retries in this outage
    CANCEL = 15  # the client asked for the turn to be stopped
    JOURNEY = (
        16  # one is over: ``sent`` is when it began (0: never), ``cursor`` the step that failed, from 1 (-1: none)
    )


class End(IntEnum):
    """``code`` of an END row."""

    OK = 0
    FAILED = 1
    TIMEOUT = 2
    CUT_BY_STOP = 3  # the run ended first: censored
    IN_DOUBT = 4  # a fault may have swallowed the message: censored
    ABANDONED = 5  # the contract lets a cut turn go
    # As its backend said it; none of these is a failure.
    DEGRADED = 6
    REFUSED = 7
    THROTTLED = 8  # the quota was measured, and not the backend
    CANCELLED = 9
    REJECTED = 10  # another turn was under way


class Fate(IntEnum):
    """``code`` of a JOURNEY row."""

    DONE = 0
    FAILED = 1  # a step did not show what it must
    CUT = 2  # the run ended first, or of one of its turns nobody can say whether it went well: censored
    NOT_BEGUN = 3  # nobody could take it in time
    OUR_ERROR = 4  # a function that the scenario names, and not the backend: censored


class Flag(IntFlag):
    """Bits of ``flags``."""

    RECOVERED = 1
    RESUMED = 2
    DEPRECATED = 4
    LEGACY = 8
    UNAPPROVED = 16
    OURS = 32  # the client closed; of an END: its user's own journey had cut the turn; of a DROP: its journey was over before it
    ASSUMED_TURN = 64  # the frame names no turn; the one in flight was taken
    OTHER_STREAM = 128
    STALE = 256  # names a turn of an earlier run
    NEVER_READY = 512  # we closed, because the welcome, or where it had been ready the answer to a ping, did not come
    FATAL = 1024
    MID_TURN = 2048  # closed while a turn was in flight
    TEXT_DIFFERS = 4096  # the text as a whole is not what came in chunks
    BAD_VERSION = 8192
    OLD_VERSION = 16384
    POOR_ANSWER = 32768  # not what the message asked for


UNKNOWN_TURN = 0xFFFF_FFFF
ABNORMAL = 1006  # RFC 6455 7.1.5: no close frame was received
OUR_ERROR = -1  # in place of a close code: a mistake of this program, and never the backend's

#: What a terminal event says of its turn; its number, plus one, is the row's ``code``.
OUTCOMES = ("ok", "degraded", "refused", "throttled", "failed", "cancelled", "rejected")

#: how a row's label says which version an event had
VERSION_LABEL = "version:"

#: how the label of a READY row says which of the backend's nodes has welcomed it
NODE_LABEL = "node:"

#: Cohort numbers in rows.
COHORTS = ("direct", "control", "treated")

_FIELDS = (
    ("kind", "B"), ("cohort", "B"), ("flags", "H"), ("event", "H"), ("schema", "H"),
    ("session", "I"), ("connection", "I"), ("turn", "I"), ("raw", "I"), ("agent", "I"), ("tool", "I"),
    ("execution", "I"), ("foreign", "i"), ("code", "i"), ("size", "I"), ("labels", "I"), ("text", "I"),
    ("intended", "q"), ("sent", "q"), ("received", "q"), ("cursor", "q"), ("key", "Q"),
)  # fmt: skip
ROW = struct.Struct("<" + "".join(code for _, code in _FIELDS))
DTYPE = np.dtype(
    [(name, "<" + {"B": "u1", "H": "u2", "I": "u4", "i": "i4", "q": "i8", "Q": "u8"}[c]) for name, c in _FIELDS]
)
#: a row of an ordinary event, whose parts are packed where they are first known: see ``Parts``
ORDINARY = struct.Struct("<8s12s12sI8sII4s16sqqQ")
_HEAD, _WHO, _NAMES, _WHEN = (struct.Struct(f"<{codes}") for codes in ("BBHHH", "III", "III", "qq"))
#: of an ordinary event ``foreign`` and ``code``, and ``text``, say nothing
NOT_FOREIGN, NO_TEXT = struct.pack("<ii", -1, 0), struct.pack("<I", 0)
assert ROW.size == DTYPE.itemsize == ORDINARY.size == 96  # noqa: S101  # the format on disk


class Parts(NamedTuple):
    """An ordinary event's row as its writer gets it. ``head``, ``names``: of its kind; ``who``, ``when``: of its turn."""

    head: bytes
    who: bytes
    names: bytes
    execution: int
    size: int
    labels: int
    when: bytes
    received: int
    cursor: int

    @staticmethod
    def pack_head(kind: int, cohort: int, event: int) -> bytes:
        return _HEAD.pack(kind, cohort, 0, event, 0)

    @staticmethod
    def pack_who(session: int, connection: int, turn: int) -> bytes:
        return _WHO.pack(session, connection, turn)

    @staticmethod
    def pack_names(raw: int, agent: int, tool: int) -> bytes:
        return _NAMES.pack(raw, agent, tool)

    @staticmethod
    def pack_when(intended: int, sent: int) -> bytes:
        return _WHEN.pack(intended, sent)

    def values(self) -> tuple[int, ...]:
        """All columns, as ``ROW`` takes them."""
        return (
            *_HEAD.unpack(self.head), *_WHO.unpack(self.who), *_NAMES.unpack(self.names), self.execution, -1, 0, self.size,
            self.labels, 0, *_WHEN.unpack(self.when), self.received, self.cursor, 0,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """One fault on one cohort. An end of None: it never healed. Bounds are those around the calls."""

    id: str
    kind: str
    cohort: str
    phase: str
    start_ns: int
    end_ns: int | None
    asked: dict[str, Any]
    disconnects: bool
    #: bytes on their way may be lost, so a message may have been swallowed
    swallows: bool
    #: it need not end a connection, but whoever ends one because of it does nothing wrong
    may_disconnect: bool = False


class When(NamedTuple):
    """Where an observation stands: ``before`` all windows, ``during`` or in the ``grace`` of window ``id``, or ``after``."""

    place: str
    id: str


def attribute(start_ns: int, end_ns: int, cohort: str, windows: Iterable[Window], grace_ns: int) -> When:
    """Attribution, one pure function: overlap with a window counts as during it, else within its grace, else before or
    after.

    Only windows of the observation's own cohort explain anything. Among several, during beats grace, and the later the
    earlier; after: some window of the cohort is over.
    """
    grace, place = "", "before"
    for window in windows:
        if window.cohort != cohort or end_ns < window.start_ns:
            continue
        if window.end_ns is None or start_ns <= window.end_ns:
            return When("during", window.id)
        place = "after"
        if start_ns <= window.end_ns + grace_ns:
            grace = window.id
    return When("grace", grace) if grace else When(place, "")


def phase_at(at_ns: int, phases: Sequence[tuple[str, int, int]]) -> str:
    """Name of the phase [start, end) that holds a time; before the first and after the last: an empty name."""
    for name, start_ns, end_ns in phases:
        if start_ns <= at_ns < end_ns:
            return name
    return ""
