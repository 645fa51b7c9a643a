"""A chat session without I/O: messages and times in, messages and records out.

The shell dials, reads and writes; the session says what to send, when it must be ticked, and whether to come back. It
knows neither socket nor clock nor greenlet, so the same session runs live and in a simulation.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

from loadtests.content import END_OF, Content
from loadtests.contract.compile import Contract
from loadtests.contract.decoder import (
    DEPRECATED,
    LEGACY,
    UNAPPROVED,
    VERSION_DEPRECATED,
    VERSION_UNKNOWN,
    Seen,
    at_path,
)
from loadtests.contract.prelude import MOST_TAKEN
from loadtests.findings import Finding
from loadtests.flight import FRAME_CAP_BYTES, KEPT_FRAMES, Expectation, Flight
from loadtests.handshake import Handshake, json_of
from loadtests.history import NODE_LABEL, UNKNOWN_TURN, VERSION_LABEL, End, Fate, Flag, Parts, RowKind
from loadtests.retry import REFUSALS
from loadtests.tracker import SessionTracker
from loadtests.trail import ORDINAL_SHIFT
from loadtests.turn import CONTENT, OTHER, Rules

__all__ = ["Identity", "Record", "Session", "tag_of"]

NS_PER_MS = 1_000_000
OK, CUT_BY_STOP = End.OK, End.CUT_BY_STOP
OURS = int(Flag.OURS)
RECOVERED, ASSUMED_TURN, OTHER_STREAM = int(Flag.RECOVERED), int(Flag.ASSUMED_TURN), int(Flag.OTHER_STREAM)
EVENT, SEND, END = int(RowKind.EVENT), int(RowKind.SEND), int(RowKind.END)  # an enum's member costs more than its row
STANDING_FLAGS = {
    0: 0,
    DEPRECATED: int(Flag.DEPRECATED),
    LEGACY: int(Flag.LEGACY),
    UNAPPROVED: int(Flag.UNAPPROVED),
    VERSION_UNKNOWN: int(Flag.BAD_VERSION),
    VERSION_DEPRECATED: int(Flag.OLD_VERSION),
}
TURN_ID = re.compile(r"run_(gx[0-9a-f]{8})s([0-9a-f]{6})t(\d{1,9})\Z")
MOST_CURSOR = 1 << 62
MOST_MET = 4096  # names, of each cohort
MOST_VERSIONS = 64  # a server that makes them up must not fill our memory
SAMPLE_EVERY = 40  # every so many turns are kept whatever they show
SLOW_FACTOR = 1.2  # and those that are slower than the slowest kept so far by this factor


class Record(Protocol):
    """What a session writes to; ``loadtests.recorder.Recorder`` is the real one."""

    frames_received: int

    @property
    def row(self) -> Callable[..., int]: ...
    @property
    def ordinary(self) -> Callable[..., int]: ...

    def intern(self, text: str) -> int: ...
    @property
    def known(self) -> Callable[[str], int | None]: ...
    def keep(
        self, session: int, turn: int, row: int, at_ns: int, direction: str, raw: bytes, size: int | None = None
    ) -> None: ...


def tag_of(nonce: str, session: int) -> str:
    """The session's mark in every id and message it makes; another session's mark in its frames is a leak."""
    return f"{nonce}s{session:06x}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a session is within its run. ``cohort`` is a number of ``history.COHORTS``."""

    nonce: str
    number: int
    cohort: int = 0
    labels: int = 0


class Session:
    """One virtual user's conversation over all its connections."""

    __slots__ = (
        "_answer_type", "_cohort", "_content", "_dated", "_deadline_ns", "_decode", "_findings_at_end",
        "_handshake", "_heeds", "_intern", "_known", "_labels", "_late", "_mark", "_message_prefix", "_met",
        "_next_stream", "_node", "_nonce", "_number", "_own_tag", "_pinged_ns", "_pong", "_put",
        "_put_ordinary", "_reads", "_replies", "_roles", "_said_ns", "_slowest_ns", "_threads", "_trails",
        "_turn_prefix", "_usage", "_versions", "connection", "contract", "dialled_ns", "emit", "expects_answer",
        "findings", "flight", "flights", "heard", "identity", "last_end", "open", "outbox", "ready", "record",
        "stream", "tag", "thread", "tracker", "turns", "wake", "wall",
    )  # fmt: skip

    def __init__(
        self, contract: Contract, rules: Rules, identity: Identity, record: Record, emit: Callable[[Finding], None],
        wall: Callable[[], str], token: str = "", learn: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        """``learn``: is told what the handshake gives in confidence."""
        self.contract = contract
        self.identity = identity
        self.record = record
        self._put, self._put_ordinary, self._labels = record.row, record.ordinary, identity.labels
        self._intern, self._known = record.intern, record.known
        self.emit = emit
        self.wall = wall
        self.findings = 0
        self.tracker = SessionTracker(rules, identity.number, self._found)
        self._number = identity.number
        self._cohort = identity.cohort
        tag = tag_of(identity.nonce, identity.number)
        self.tag = tag
        self._nonce = identity.nonce.encode()
        self._own_tag = tag.encode()
        self._turn_prefix, self._message_prefix = f"run_{tag}t", f"msg_{tag}t"
        self._mark = f" [{tag}]"
        #: the thread that new turns go on; and how many there were
        self.thread = f"thread_{tag}"
        self._threads = 1
        self._dated = "now" in contract.message.names
        self._deadline_ns = contract.file.turn.deadline_ms * NS_PER_MS
        self.outbox: list[bytes] = []
        self.connection = 0
        self.open = False
        self.ready = False
        self.turns = 0
        self.flights: dict[int, Flight] = {}
        #: the latest of them
        self.flight: Flight | None = None
        self._handshake = Handshake(contract, wall, {"thread": self.thread, "token": token}, learn)
        self._said_ns = 0
        #: since when the answer to a ping is awaited; and it was overdue when last looked at
        self._pinged_ns, self._late = 0, False
        #: a frame came on the present connection, or on the last one
        self.heard = False
        #: what the shell's greenlet waits for: ready, a turn's end, a lost connection
        self.wake: Callable[[], None] = lambda: None
        self.last_end = End.OK
        self.stream = ""
        self._next_stream = ""
        self._findings_at_end = 0
        self.expects_answer = False
        self.dialled_ns = 0
        self._slowest_ns = 0
        self._decode = contract.decode
        self._answer_type = contract.file.resume.answer if contract.resumes else ""
        self._replies = contract.replies
        self._usage = contract.file.usage
        self._pong = contract.keepalive.expect if contract.keepalive is not None else ""
        #: types of frames that are more than events to the session
        self._heeds = contract.heeded
        self._roles = rules.roles
        self._trails, self._met = rules.trails, rules.trails.met[identity.cohort]
        self._versions: dict[str, int] = {}
        #: of the node that welcomed the present connection
        self._node = 0
        self._content = Content(contract, rules.roles, len(tag))  # a mark's last character comes behind it
        self._reads = contract.read_events

    # Connections

    def dial(self, at_ns: int) -> None:
        """The shell begins to connect."""
        self.connection += 1
        for flight in self.flights.values():
            flight.who = Parts.pack_who(self._number, self.connection, flight.number)
        self.dialled_ns = at_ns
        self._row(RowKind.DIAL, at_ns)

    def dial_failed(self, at_ns: int, code: int, text: str, *, fatal: bool = False) -> None:
        """``code`` is an HTTP status (positive) or an errno (negative)."""
        self._row(RowKind.FAILED, at_ns, code=code, text=text, flags=Flag.FATAL if fatal else 0)

    def opened(self, at_ns: int, status: int = 101) -> None:
        """Upgraded. Without a handshake in the contract that is ready too."""
        self.open = True
        self._row(RowKind.OPEN, at_ns, code=status)
        self.tracker.opened(self.connection)
        self._handshake.begin()
        self.heard = False
        self._node = 0
        self._shake_hands(at_ns)

    def closed(self, at_ns: int, code: int, reason: str, *, ours: bool = False, never_ready: bool = False) -> None:
        """The connection is gone: by whom, with which code (1006: without a close frame)."""
        mid_turn = bool(self.flights)
        flags = (
            (Flag.OURS if ours else 0) | (Flag.NEVER_READY if never_ready else 0) | (Flag.MID_TURN if mid_turn else 0)
        )
        if self.ready:
            flags |= Flag.RESUMED  # on a CLOSE row: it had been ready
        # From when a welcome that had been given was followed by silence.
        since_ns = self._pinged_ns if never_ready and self.ready else 0
        row = self._row(RowKind.CLOSE, at_ns, code=code, text=reason, flags=int(flags), intended=since_ns)
        self.tracker.closed(row, at_ns, code, ours=ours, ready=self.ready, never_ready=never_ready, mid_turn=mid_turn)
        self.open = self.ready = self.expects_answer = False
        self._pinged_ns = 0
        self.outbox.clear()
        if mid_turn and self.contract.file.turn.interrupted == "abandoned" and not ours:
            self.give_up(at_ns, End.ABANDONED)
        self.wake()

    def gave_up(self, at_ns: int, *, fatal: bool) -> None:
        self._row(RowKind.GAVE_UP, at_ns, flags=Flag.FATAL if fatal else 0)

    def is_fatal(self, code: int) -> bool:
        """After this close code, or this HTTP status, the client must not come back."""
        return code in self.contract.file.closes.fatal or code in REFUSALS

    # Frames

    def frame(self, raw: bytes, at_ns: int) -> None:
        """One text frame, as bytes; anything may be in it."""
        self.frames((raw,), at_ns, raw)

    def frames(self, raws: Sequence[bytes], at_ns: int, source: bytes) -> None:
        """Text frames that came together. ``source``: bytes in which each of them stands as it is.

        What is looked up once for all of them is what makes an event cheap: a turn's events mostly come together.
        """
        decode, met, put, tracker = self._decode, self._met, self._put_ordinary, self.tracker
        own = self._has_only_own_marks(source)
        for raw in raws:
            seen = _, standing, schema, recovered, kind, ids = decode(raw)
            turn_id, agent, execution, tool, _, stream, _, _, cursor, version = ids
            flight = self.flight
            # Nearly all frames: an ordinary event that was met before, of the turn in flight, and the next one of the stream.
            # Each condition is a rule of ``_judge`` that then has nothing to say.
            if (
                flight is not None and turn_id == flight.turn_id and (node := flight.turn.node)
                and cursor == tracker.high + 1 and cursor < MOST_CURSOR and len(flight.frames) < KEPT_FRAMES
                and (step := met.get((kind, agent, tool))) is not None and not (standing or schema or recovered)
                and self.ready and (stream is None or stream == self.stream) and (own or self._has_only_own_marks(raw))
            ):  # fmt: skip
                key, head, names = step
                execution_id, turn, size = 0, flight.turn, len(raw)
                labels = self._labels if version is None else self._versions.get(version, -1)
                if execution:
                    execution_id = _short(execution)
                    key |= turn.ordinal(execution_id) << ORDINAL_SHIFT
                after = node.get(key)
                if after is not None and size <= FRAME_CAP_BYTES and labels >= 0:
                    number = put(head, flight.who, names, execution_id, size, labels, flight.when, at_ns, cursor)
                    self.heard = True
                    tracker.high = cursor
                    flight.frames.append((number, at_ns, raw, size))
                    flight.events += 1
                    turn.follow(after, number)
                    if after.ended:
                        self._end(flight, at_ns, self._end_of(flight, after.outcome), raw)
                    continue
            self._judge(raw, at_ns, seen)

    def _has_only_own_marks(self, raw: bytes) -> bool:
        """No other session's, that is. Mostly there is one mark, and to find it is cheaper than to count once more."""
        marks = raw.count(self._nonce)
        return (marks == 1 and self._own_tag in raw) or marks == raw.count(self._own_tag)

    def _judge(self, raw: bytes, at_ns: int, seen: Seen) -> None:
        """A frame of any kind."""
        index, standing, schema, recovered, kind, ids = seen
        turn_id, agent, execution, tool, event_id, stream, _, _, cursor, version = ids
        record, flight, known = self.record, self.flight, self._known
        record.frames_received += 1
        flags, unknown, code, labels, said = 0, 0, 0, self._labels, ""
        place = cursor if cursor is not None and 0 <= cursor < MOST_CURSOR else -1
        key = _key(event_id) if event_id and place < 0 else 0  # a number says all that an id could
        self.heard = True
        if standing or recovered:
            flags = (RECOVERED if recovered else 0) | STANDING_FLAGS[standing]
        if flight is None or turn_id != flight.turn_id:
            flight, turn, unknown, more = self._place(index, turn_id)
            flags |= more
        if flight is not None:
            turn, intended, sent = flight.number, flight.intended, flight.sent
            if index in self._reads:
                code, more, bits, said = self._content.read(flight, index, raw, place, key)
                flags |= more
                schema |= bits
        else:
            intended = sent = 0
            said = self._content.read_stray(index, raw)
        if (foreign := self._foreign(raw, said)) >= 0:
            self._content.forget(0 if flight is None else flight.number)  # what is told is not told again
        if stream is not None and cursor is not None and stream != self.stream and self.stream:
            flags |= OTHER_STREAM
        if version is not None:
            labels = self._versions.get(version) or self._label(version)
        raw_id = known(kind) or self._intern(kind)
        agent_id = (known(agent) or self._intern(agent)) if agent else 0
        tool_id = (known(tool) or self._intern(tool)) if tool else 0
        execution_id, size = _short(execution) if execution else 0, len(raw)
        number = self._put(
            EVENT, self._cohort, flags, index, schema, self._number, self.connection, turn, raw_id, agent_id, tool_id,
            execution_id, foreign, code, size, labels, unknown, intended, sent, at_ns, place, key,
        )  # fmt: skip
        if not (flags or schema or code or kind in self._heeds or self._roles[index] == OTHER):
            self._meet((kind, agent, tool), index, raw_id, agent_id, tool_id)
        before = self.findings
        self.tracker.event(
            number, at_ns, index, flags, schema, turn, foreign, agent_id, tool_id, execution_id, place, key, code
        )
        if not self.ready:  # before any frame is kept, for it may hold what must not be shown
            if not self.expects_answer:
                self._handshake.hear(kind, raw)
                self._shake_hands(at_ns)
            elif kind == self._answer_type:
                self._answered(raw, at_ns)
        if flight is not None:
            if self._roles[index] != OTHER:
                flight.events += 1
                if flight.awaited:
                    self._shown(flight)
            if len(flight.frames) < KEPT_FRAMES and size <= FRAME_CAP_BYTES:
                flight.frames.append((number, at_ns, raw, size))
            else:
                flight.keep_late(number, at_ns, raw)
            current = self.tracker.turns.get(turn)
            if current is not None and current.ended:
                self._end(flight, at_ns, self._end_of(flight, current.outcome), raw)
        elif self.findings > before or index == 0:
            record.keep(self._number, turn, number, at_ns, "in", raw)
        if kind in self._heeds:
            self._heed(kind)

    def _shown(self, flight: Flight) -> None:
        if flight.turn.seen & flight.awaited:
            flight.awaited = 0
            self.wake()

    def _meet(self, names: tuple[str, str | None, str | None], index: int, raw: int, agent: int, tool: int) -> None:
        """Remember what the names of an ordinary event come to."""
        if index in self._reads or names in self._met or len(self._met) >= MOST_MET:
            return
        key = self._trails.number(index, agent, tool, 0)
        if key >= 0 and all(map(self._known, filter(None, names))):  # the record itself forgets what is long
            head = Parts.pack_head(EVENT, self._cohort, index)
            self._met[names] = key, head, Parts.pack_names(raw, agent, tool)

    def _heed(self, kind: str) -> None:
        if kind in self._replies:
            self.outbox.append(self._replies[kind].render(self._told()))
            self.wake()
        if kind == self._pong:
            self._pinged_ns = 0

    def _end_of(self, flight: Flight, outcome: int) -> End:
        """How the turn ended. Whoever stops a turn that nobody asked to be stopped, or wants to replace, has failed it."""
        end = END_OF[outcome]
        if end is End.REJECTED:  # only where that is promised, and only while another turn is under way
            promised = self.contract.file.turn.concurrent == "reject" and flight.behind
            return end if promised else End.FAILED
        if end is not End.CANCELLED or flight.cancelled:
            return end
        superseded = self.contract.file.turn.concurrent == "supersede" and flight.number < self.turns
        return end if superseded else End.FAILED

    def _place(self, index: int, turn_id: str | None) -> tuple[Flight | None, int, int, int]:
        """Where a frame belongs that does not name the latest turn in flight.

        (the turn in flight, or None and the turn's number; the string number of an unknown id; flags)
        """
        if turn_id is not None:
            turn, stale = self._turn_of(turn_id)
            if turn == UNKNOWN_TURN:
                return None, turn, self._intern(turn_id), stale
            return self.flights.get(turn), turn, 0, stale
        if not index or self._roles[index] == OTHER:
            return None, 0, 0, 0
        if self.flight is not None:
            # One after the other is how turns run that do not say which they are: whoever began last goes on, or begins first.
            flights = self.flights.values()
            begun = (flight for flight in reversed(flights) if flight.events)
            return next(begun, next(iter(flights))), 0, 0, ASSUMED_TURN
        if self._roles[index] == CONTENT:
            return None, 0, 0, ASSUMED_TURN
        # Without a turn to belong to it comes after the last one's end, or out of nothing.
        return None, self.turns or UNKNOWN_TURN, 0, ASSUMED_TURN

    def _label(self, version: str) -> int:
        number = self._intern(f"{VERSION_LABEL}{version}")
        if len(self._versions) < MOST_VERSIONS:
            self._versions[version] = number
        return number

    def binary(self, raw: bytes, at_ns: int) -> None:
        """A binary frame is no event of any text contract."""
        self.frame(raw if raw.lstrip()[:1] not in {b"{", b"["} else b"\x00" + raw, at_ns)

    def _foreign(self, raw: bytes, said: str) -> int:
        """The session whose mark stands in a frame of ours, or in what its chunk ends, since tokens cut marks; -1 if none.

        Chunks may be lost, and several texts mixed: with the bracket behind it, parts of our own mark make no other.
        """
        for text, end in ((raw, b""), (said.encode("utf-8", "replace"), rb"\]")) if said else ((raw, b""),):
            if self._has_only_own_marks(text):
                continue
            for found in re.finditer(re.escape(self._nonce) + rb"s([0-9a-f]{6})" + end, text):
                session = int(found[1], 16)
                if session != self._number:
                    return session
        return -1

    def _turn_of(self, turn_id: str) -> tuple[int, int]:
        """Our own turn's number, or UNKNOWN_TURN; and the STALE flag for a turn of an earlier run."""
        found = TURN_ID.match(turn_id)
        if found is None:
            return UNKNOWN_TURN, 0
        if found[1] != self.identity.nonce:
            return UNKNOWN_TURN, int(Flag.STALE)
        number = int(found[3])
        if int(found[2], 16) == self._number and 1 <= number <= self.turns:
            return number, 0
        return UNKNOWN_TURN, 0

    def tick(self, at_ns: int) -> None:
        """Time has passed: a pause of the handshake may be over."""
        if self.pause_until_ns and at_ns >= self.pause_until_ns and self.open and not self.ready:
            self._shake_hands(at_ns)

    @property
    def pause_until_ns(self) -> int:
        """When the session wants to be ticked; 0: not at all."""
        return self._handshake.pause_until_ns

    @property
    def values(self) -> dict[str, str]:
        """What prelude and handshake have taken, for all that is sent."""
        return self._handshake.values

    def _shake_hands(self, at_ns: int) -> None:
        welcome = self._handshake.advance(at_ns, self.outbox)
        if welcome == b"":
            self._become_ready(at_ns)
        elif welcome is not None:
            self._welcomed(welcome, at_ns)
        elif self.outbox or self.pause_until_ns:
            self.wake()

    def keep_alive(self, at_ns: int) -> bool:
        """Something is to be sent because nothing was said for a while."""
        beat = self.contract.keepalive
        if beat is None or at_ns - self._said_ns < beat.every_ms * NS_PER_MS:
            return False
        self._said_ns = at_ns
        if beat.expect and not self._pinged_ns:
            self._pinged_ns, self._late = at_ns, False
        self.outbox.append(beat.message.render(self._told()))
        return True

    def unanswered(self, at_ns: int) -> bool:
        """A ping has not been answered in time. Only the second look says so: what has come must have been read by then."""
        beat = self.contract.keepalive
        if beat is None or not self._pinged_ns or at_ns - self._pinged_ns < beat.every_ms * NS_PER_MS:
            return False
        late, self._late = self._late, True
        return late

    def _told(self) -> dict[str, Any]:
        """What templates that belong to no turn may say."""
        names = dict.fromkeys(self.contract.taken, "")
        return {**names, "thread": self.thread, "now": self.wall(), "stream": self.stream, **self.values}

    def _welcomed(self, raw: bytes, at_ns: int) -> None:
        resume, where = self.contract.file.resume, self.contract.file.handshake.node
        welcome = json_of(raw) if where or self.contract.resumes else None
        if where and (node := _text(at_path(welcome, where))):
            self._node = self._intern(f"{NODE_LABEL}{node}")
        if not self.contract.resumes:
            self._become_ready(at_ns)
            return
        stream = _text(at_path(welcome, resume.stream))
        if self.stream:
            self.expects_answer = True
            values = {**self._told(), "stream": self.stream, "cursor": self.tracker.high}
            self._row(RowKind.ASK, at_ns, cursor=self.tracker.high)
            self.outbox.append(self.contract.resume_ask.render(values))
            self._next_stream = stream
            self.wake()  # there is something to send
            return
        self.stream = stream
        self._become_ready(at_ns)

    def _answered(self, raw: bytes, at_ns: int) -> None:
        resume = self.contract.file.resume
        answer = json_of(raw)
        resumed = at_path(answer, resume.resumed) is True
        head = at_path(answer, resume.head) if resume.head else None
        head = head if isinstance(head, int) and not isinstance(head, bool) and abs(head) < MOST_CURSOR else -1
        asked = self.tracker.high
        row = self._row(RowKind.CLAIM, at_ns, cursor=head, flags=Flag.RESUMED if resumed else 0)
        self.expects_answer = False
        if not resumed:
            self.stream = self._next_stream
        self.tracker.claim(row, at_ns, resumed, head, asked)
        self._become_ready(at_ns)

    def _become_ready(self, at_ns: int) -> None:
        self.ready = True
        self._said_ns = at_ns
        self._row(RowKind.READY, at_ns, intended=self.dialled_ns, labels=self._node)
        for flight in self.flights.values():
            if not flight.events and self.contract.file.send.resend:
                # In doubt: the cut may have swallowed the message, and sending it again is safe.
                self._row(RowKind.RESEND, at_ns, turn=flight.number)
                self.tracker.resent(flight.number)
                flight.resent = True
                self.outbox.append(flight.message)
        self.wake()

    # Turns

    def begin(
        self, intended_ns: int, content: str, at_ns: int, expect: Expectation | None = None, step: int = 0
    ) -> Flight:  # fmt: skip
        """Put a new turn's message into the outbox, to be sent at once. ``step``: of a journey, from 1.

        Its row is written before the bytes leave, so that no answer can overtake it.
        """
        self.turns = number = self.turns + 1
        turn_id = f"{self._turn_prefix}{number}"
        values = {
            "content": content + self._mark,
            "thread": self.thread,
            "turn": turn_id,
            "message": f"{self._message_prefix}{number}",
            "now": self.wall() if self._dated else "",
        }
        if self._handshake.values:
            values |= self._handshake.values  # such as a thread that the server has made
        message = self.contract.message.render(values)
        flight = Flight(number, turn_id, intended_ns, at_ns, message, expect)
        flight.who = Parts.pack_who(self._number, self.connection, number)
        flight.behind = bool(self.flights)
        flight.thread = self.thread
        self.flight = self.flights[number] = flight
        self._said_ns = at_ns
        row = self._put(
            SEND, self._cohort, 0, 0, 0, self._number, self.connection, number, 0, 0, 0, 0, -1, step, 0, self._labels, 0,
            intended_ns, at_ns, at_ns, -1, 0,
        )  # fmt: skip
        flight.frames.append((row, at_ns, message, len(message)))
        flight.turn = self.tracker.sent(row, number)
        self.outbox.append(message)
        return flight

    def watch(self, flight: Flight, events: int) -> None:
        """Wake when a turn shows any of these events (bits); whoever is woken asks ``flight.turn.seen``."""
        flight.turn.leave()  # on a known way nobody looks at what is seen
        flight.awaited = events

    def switch(self, *, first: bool = False) -> None:
        """New turns go on a new thread, or on the session's first one."""
        self.thread = f"thread_{self.tag}"
        if not first:
            self._threads += 1
            self.thread += f"n{self._threads}"

    def part(self) -> None:
        """The user is about to leave by itself: what becomes of the turns under way is its own doing."""
        for flight in self.flights.values():
            flight.left = True

    def cancel(self, at_ns: int) -> None:
        """Ask for the latest turn to be stopped, if the contract says how."""
        flight, template = self.flight, self.contract.cancel
        if flight is None or template is None or flight.cancelled:
            return
        flight.cancelled = at_ns
        row = self._row(RowKind.CANCEL, at_ns, turn=flight.number)
        self.tracker.cancelled(row, flight.number)
        message_id = f"{self._message_prefix}{flight.number}"
        values = {**self._told(), "turn": flight.turn_id, "message": message_id, "content": ""}
        if "thread" not in self.values:
            values["thread"] = flight.thread
        message = template.render(values)
        flight.frames.append((row, at_ns, message, len(message)))
        self.outbox.append(message)

    def deadline_of(self, flight: Flight) -> int:
        """When a turn must be given up."""
        deadline = flight.sent + self._deadline_ns
        cancel = self.contract.file.cancel if flight.cancelled else None
        return deadline if cancel is None else min(deadline, flight.cancelled + cancel.within_ms * NS_PER_MS)

    def deadline_ns(self) -> int:
        """When the first of the turns in flight must be given up."""
        flights = self.flights
        if len(flights) == 1:
            return self.deadline_of(*flights.values())
        return min(map(self.deadline_of, flights.values()), default=0)

    @property
    def events_in_flight(self) -> int:
        """Events that the turns in flight have shown."""
        return sum(flight.events for flight in self.flights.values())

    def unsend(self) -> None:
        """A cut: whatever was sent again may be lost again."""
        for flight in self.flights.values():
            flight.resent = False

    def give_up(self, at_ns: int, end: End, number: int = 0) -> None:
        """Stop waiting for a turn in flight; 0: for all of them."""
        for flight in list(self.flights.values()):
            if number in {0, flight.number}:
                self._end(flight, at_ns, end)

    def dropped(self, intended_ns: int, at_ns: int, reason: str, step: int = 0, *, over: bool = False) -> None:
        """A planned turn that is not sent. ``step``: of a journey, from 1; ``over``: the journey was, before it came to that."""
        self._row(RowKind.DROP, at_ns, intended=intended_ns, text=reason, code=step, flags=Flag.OURS if over else 0)

    def travelled(self, intended_ns: int, began_ns: int, at_ns: int, fate: Fate, step: int = -1, why: str = "") -> None:
        """A journey is over. ``began_ns`` 0: it never began; ``step``: that failed, from 1; -1: none."""
        self.record.row(
            int(RowKind.JOURNEY), self._cohort, 0, 0, 0, self._number, self.connection, 0, 0, 0, 0, 0, -1, int(fate), 0, self._labels,
            self.record.intern(why) if why else 0, intended_ns, began_ns, at_ns, step, 0,
        )  # fmt: skip

    def stop(self, at_ns: int) -> None:
        """The session is over; settles what is open."""
        self.give_up(at_ns, CUT_BY_STOP)
        self._row(RowKind.STOP, at_ns)
        self.tracker.finish(at_ns)

    def _end(self, flight: Flight, at_ns: int, end: End, last: bytes = b"") -> None:
        """``last``: the frame that says so, if one does."""
        number = flight.number
        used_in, used_out = self._used(last) if last and self._usage is not None else (-1, 0)
        self._put(
            END, self._cohort, OURS if flight.left else 0, 0, 0, self._number, self.connection, number, 0, 0, 0, 0, -1, end, 0,
            self._labels, 0, flight.intended, flight.sent, at_ns, used_in, used_out,
        )  # fmt: skip
        tracker = self.tracker
        tracker.ended(number, end)
        took = at_ns - flight.intended
        slow = took > self._slowest_ns * SLOW_FACTOR
        if slow:
            self._slowest_ns = took
        suspicious = self.findings > self._findings_at_end or end not in (OK, CUT_BY_STOP)
        if (current := tracker.turns.get(number)) is not None:
            suspicious = suspicious or current.holed or current.cut  # what that means is found out later
        self._findings_at_end = self.findings
        if suspicious or (number + self._number) % SAMPLE_EVERY == 0 or (slow and number > 1):
            for i, (row, frame_at, raw, size) in enumerate([*flight.frames, *(flight.tail or ())]):
                direction = "out" if i == 0 or raw is flight.message else "in"
                self.record.keep(self._number, number, row, frame_at, direction, raw, size)
        flight.end, flight.ended_ns = end, at_ns
        del self.flights[number]
        self._content.forget(number)
        if self.flight is flight:
            self.flight = next(reversed(self.flights.values())) if self.flights else None
        self.last_end = end
        self.wake()

    def _used(self, last: bytes) -> tuple[int, int]:
        """Tokens in and out, as a turn's last frame tells them; what it does not tell is none."""
        usage, frame = self._usage, json_of(last)
        if usage is None:
            return 0, 0
        used_in, used_out = (_count(at_path(frame, path)) if path else 0 for path in (usage.input, usage.output))
        return used_in, used_out

    def _found(self, finding: Finding) -> None:
        self.findings += 1
        self.emit(finding)

    def _row(
        self, kind: RowKind, at_ns: int, *, turn: int = 0, code: int = 0, text: str = "", flags: int = 0,
        cursor: int = -1, intended: int = 0, labels: int = 0,
    ) -> int:  # fmt: skip
        flight = self.flights.get(turn)
        sent = flight.sent if flight is not None else 0
        intended = flight.intended if flight is not None else intended
        return self.record.row(
            int(kind), self._cohort, int(flags), 0, 0, self._number, self.connection, turn, 0, 0, 0, 0, -1, code, 0,
            labels or self._labels, self.record.intern(text) if text else 0, intended, sent, at_ns, cursor, 0,
        )  # fmt: skip


def _short(text: str) -> int:
    """32 bits of an execution id: enough to tell the few tools of one turn apart."""
    return zlib.crc32(text.encode("utf-8", "replace")) or 1


def _key(event_id: str) -> int:
    return int.from_bytes(blake2b(event_id.encode("utf-8", "replace"), digest_size=8).digest(), "little") or 1


def _count(value: Any) -> int:
    """A number of tokens; what is none, or absurd, is 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_CURSOR else 0


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MOST_TAKEN else ""
