"""One session's tracker: cursor, repeats, leaks, phantoms, continuity claims, closes, and its turns. Pure.

The session feeds it live, and the judge feeds it the same facts from rows again: one code, the same findings. A row is
judged once, by the first rule it breaks: leak, phantom, duplicate, vocabulary, schema, terminal, pairing, order.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from loadtests.contract.decoder import UNDECLARED_OUTCOME
from loadtests.findings import BY_NAME, Finding, Kind
from loadtests.history import UNKNOWN_TURN, End, Flag
from loadtests.trail import STRAY
from loadtests.turn import CONSEQUENCES, CONTENT, DONE, FAILED, OTHER, Rules, TurnTracker

__all__ = ["SessionTracker"]

FOREIGN = BY_NAME["foreign"]
AFTER_END = BY_NAME["after-end"]
UNKNOWN = BY_NAME["unknown-turn"]
REDELIVERED = BY_NAME["redelivered"]
UNAPPROVED = BY_NAME["unapproved"]
OVERLAPPED = BY_NAME["overlapped"]
TEXT_DIFFERS = BY_NAME["text-differs"]
POOR_ANSWER = BY_NAME["poor-answer"]
WENT_BACK = BY_NAME["went-back"]
HOLE = BY_NAME["hole"]
HOLE_AT_CUT = BY_NAME["hole-at-cut"]
CLAIMED_OVER_HOLE = BY_NAME["claimed-over-hole"]
CLAIMED_BEHIND = BY_NAME["claimed-behind"]
PARTIAL_REPLAY = BY_NAME["partial-replay"]
NEVER_READY = BY_NAME["never-ready"]
UNANSWERED = BY_NAME["unanswered"]
CLOSED_EARLY = BY_NAME["closed-early"]
ABNORMAL_CLOSE = BY_NAME["abnormal-close"]
SCHEMA_KINDS = (BY_NAME["not-json"], BY_NAME["no-type"], BY_NAME["wrong-type"])
FIELD_MISSING, UNDECLARED = BY_NAME["field-missing"], BY_NAME["undeclared-outcome"]

KEPT_TURNS = 8  # a session remembers so many turns; of older ones only that they are over
KEPT_KEYS = 2048  # event ids remembered twice over, where there is no cursor
NOTHING: AbstractSet[int] = frozenset()  # one for all: where streams are numbered thousands of sessions remember no key
CLEAN_CLOSE = 1000
GIVEN_UP = (int(End.TIMEOUT), int(End.IN_DOUBT))

F_RECOVERED, F_OTHER_STREAM, F_STALE = int(Flag.RECOVERED), int(Flag.OTHER_STREAM), int(Flag.STALE)
F_TEXT_DIFFERS, F_POOR_ANSWER = int(Flag.TEXT_DIFFERS), int(Flag.POOR_ANSWER)
F_STANDING = int(Flag.LEGACY | Flag.UNAPPROVED | Flag.DEPRECATED | Flag.BAD_VERSION | Flag.OLD_VERSION)
F_OF_WHOLE = F_TEXT_DIFFERS | F_POOR_ANSWER
F_UNUSUAL = F_OTHER_STREAM | F_STALE | F_STANDING | F_OF_WHOLE
#: what a frame's own words already say, and under which kind; the first that applies counts
F_WORDS = tuple(
    (int(flag), BY_NAME[name])
    for flag, name in (
        (Flag.LEGACY, "legacy"),
        (Flag.UNAPPROVED, "unapproved"),
        (Flag.BAD_VERSION, "version-unknown"),
        (Flag.DEPRECATED, "deprecated"),
        (Flag.OLD_VERSION, "version-deprecated"),
    )
)


class _Hole:
    """Missing numbers first..last of the stream; ``row`` is the event that showed it."""

    __slots__ = ("at_ns", "first", "kind", "last", "row", "turn")

    def __init__(self, first: int, last: int, kind: Kind, row: int, at_ns: int, turn: int) -> None:
        self.first, self.last, self.kind, self.row, self.at_ns, self.turn = first, last, kind, row, at_ns, turn


class SessionTracker:
    """State of one session over all its connections. ``emit`` is called with every finding."""

    __slots__ = (
        "asked", "claim_row", "claimed_head", "connection", "current", "emit", "high", "holes", "keys", "old_keys",
        "reconnected", "reported", "rules", "session", "several", "turns",
    )  # fmt: skip

    def __init__(self, rules: Rules, session: int, emit: Callable[[Finding], None]) -> None:
        self.rules = rules
        self.session = session
        self.emit = emit
        self.turns: dict[int, TurnTracker] = {}
        self.current: TurnTracker | None = None
        self.high = rules.first_cursor - 1
        self.holes: list[_Hole] = []
        self.keys: AbstractSet[int] = NOTHING
        self.old_keys: AbstractSet[int] = NOTHING
        self.connection = 0
        self.asked = self.claimed_head = self.claim_row = -1
        self.reconnected = False
        #: more than one turn may be under way, though the contract lets only one run
        self.several = False
        self.reported = 0

    def sent(self, row: int, turn: int) -> TurnTracker:
        """A new turn's message was sent."""
        self.several = self.rules.exclusive and self._in_flight()
        self.current = self.turns[turn] = current = TurnTracker(self.rules, turn, row).set_out()
        if self.several:
            for one in self.turns.values():
                one.leave()
        if len(self.turns) > KEPT_TURNS:
            self._settle(self.turns.pop(next(iter(self.turns))), 0)  # the oldest: numbers only grow
        return current

    def event(
        self, row: int, at_ns: int, event: int, flags: int, schema: int, turn: int,
        foreign: int, agent: int, tool: int, execution: int, cursor: int, key: int, code: int = 0,
    ) -> Kind | None:  # fmt: skip
        """One frame; returns the rule that its row breaks first. Ends of turns show in ``current``."""
        tracker = self.turns.get(turn)
        if tracker is None or cursor != self.high + 1 or not event or schema or flags & F_UNUSUAL or foreign >= 0:
            return self._unusual(
                row, at_ns, event, flags, schema, turn, foreign, agent, tool, execution, cursor, key, code
            )
        # Nearly all frames: the next one of the stream, with nothing to say against it but what its turn says.
        self.high = cursor
        recovered = flags & F_RECOVERED
        if tracker.node is not STRAY or tracker.learning is not None:
            chunk = code and self.rules.roles[event] == CONTENT
            key = -1 if recovered or chunk else tracker.key(event, agent, tool, execution, code)
            after = tracker.node.get(key)
            if after is not None:
                tracker.follow(after, row)
                return None
            return self._explore(tracker, key, row, at_ns, event, flags, agent, tool, execution, code)
        broken = tracker.event(row, event, recovered, agent, tool, execution, code)
        if broken is None and not tracker.ended and not self.several:
            return None
        return self._in_turn(tracker, broken, None, row, at_ns, event, flags, event)

    def _explore(
        self, tracker: TurnTracker, key: int, row: int, at_ns: int, event: int, flags: int, agent: int, tool: int, execution: int,
        code: int,
    ) -> Kind | None:  # fmt: skip
        """A step that is not known: if it breaks nothing it will be."""
        tracker.catch_up()
        reported, begin_row = self.reported, tracker.begin_row
        broken = tracker.event(row, event, flags & F_RECOVERED, agent, tool, execution, code)
        found = self._in_turn(tracker, broken, None, row, at_ns, event, flags, event)
        tracker.learn(key if self.reported == reported else -1, begins=tracker.begin_row != begin_row)
        return found

    def _unusual(
        self, row: int, at_ns: int, event: int, flags: int, schema: int, turn: int,
        foreign: int, agent: int, tool: int, execution: int, cursor: int, key: int, code: int = 0,
    ) -> Kind | None:  # fmt: skip
        found = None
        if foreign >= 0:
            # A frame out of another session's stream has that stream's number, which says nothing of ours.
            if flags & F_OTHER_STREAM or (turn == UNKNOWN_TURN and not self.rules.resumes):
                return self._report(FOREIGN, turn, row, at_ns, foreign)
            found = FOREIGN
        if flags & F_STALE:
            if cursor == self.high + 1:  # numbered in our stream all the same
                self.high = cursor
            return self._report(FOREIGN, turn, row, at_ns, foreign) if found is FOREIGN else None
        tracker = self.turns.get(turn) if turn else None
        if cursor >= 0 and not flags & F_OTHER_STREAM:
            if cursor == self.high + 1:
                self.high = cursor
            else:
                # Always, also under a leak: a number that is not counted would show as a hole later.
                gap = self._cursor(row, at_ns, cursor, tracker, turn)
                found = found or gap
                if gap is REDELIVERED:
                    return self._report(found or gap, turn, row, at_ns, foreign if found is FOREIGN else cursor)
        elif key and not self.rules.numbered:
            if key in self.keys or key in self.old_keys:
                return self._report(found or REDELIVERED, turn, row, at_ns)
            self._remember(key)
        if turn == UNKNOWN_TURN:
            return self._report(found or UNKNOWN, turn, row, at_ns, max(foreign, 0))
        if flags & F_STANDING:
            kind = next(kind for flag, kind in F_WORDS if flags & flag)
            if not (schema and kind is UNAPPROVED):
                if kind.warning:
                    self._report(kind, turn, row, at_ns)
                else:
                    found = found or kind
        if schema:
            found = found or _schema_kind(schema)
        if flags & F_OTHER_STREAM and foreign < 0:
            found = found or PARTIAL_REPLAY
        detail = foreign if found is FOREIGN else event
        if event and tracker is not None:
            tracker.leave()
            broken = tracker.event(row, event, flags & F_RECOVERED, agent, tool, execution, code)
            if flags & F_OF_WHOLE and (self.rules.roles[event] not in (DONE, FAILED) or tracker.end_row == row):
                # A nested agent's end speaks for that agent alone.
                if flags & F_TEXT_DIFFERS and not tracker.lacks_text:
                    broken = broken or (TEXT_DIFFERS, row)
                elif flags & F_POOR_ANSWER and not tracker.lacks_text:
                    broken = broken or (POOR_ANSWER, row)
            return self._in_turn(tracker, broken, found, row, at_ns, event, flags, detail)
        if event and turn and self.rules.roles[event] != OTHER:
            found = found or AFTER_END  # of a turn so old that only its being over is remembered
        if found is not None:
            self._report(found, turn, row, at_ns, detail)
        return found

    def _in_turn(
        self, tracker: TurnTracker, broken: tuple[Kind, int] | None, found: Kind | None, row: int, at_ns: int, event: int,
        flags: int, detail: int,
    ) -> Kind | None:  # fmt: skip
        """What counts of what a frame breaks (``found``) and what its turn says of it (``broken``)."""
        # What was stored ran at some earlier time.
        if self.several and not (flags & F_RECOVERED and self.rules.recovers):
            self._overlap(tracker, row, at_ns, event)
        consequence = tracker.holed and broken is not None and broken[0] in CONSEQUENCES
        if broken is not None and not consequence and (found is None or found is WENT_BACK):
            found, row = broken
        if tracker.ended and not tracker.settled and not tracker.cut:
            self._settle(tracker, at_ns)
        if found is not None:
            self._report(found, tracker.number, row, at_ns, detail)
        return found

    def _overlap(self, tracker: TurnTracker, row: int, at_ns: int, event: int) -> None:
        """Whichever turn begins second had to wait for the first; that one was not over if it shows more. (Its end may be lost.)"""
        role = self.rules.roles[event]
        if role == OTHER:
            return
        if tracker.overtaken is not None:
            first, other = tracker.overtaken
            # To end is what it must do if a later message supersedes it.
            if not (role in (DONE, FAILED) and self.rules.supersedes and other > tracker.number):
                tracker.overtaken = None
                self._report(OVERLAPPED, other, first, at_ns)
        if row == tracker.begin_row:
            for one in self.turns.values():
                if one is not tracker and one.under_way and not one.holed:
                    one.overtaken = one.overtaken or (row, tracker.number)

    def _cursor(self, row: int, at_ns: int, cursor: int, tracker: TurnTracker | None, turn: int) -> Kind | None:
        """A number that is not the next one: a hole begins, one is filled late, or it was there before."""
        if cursor > self.high:
            first = self.high + 1
            claimed = (
                self.claim_row >= 0 and first > self.asked and (self.claimed_head < 0 or first <= self.claimed_head)
            )
            kind = CLAIMED_OVER_HOLE if claimed else HOLE_AT_CUT if self.reconnected else HOLE
            last = cursor - 1
            if claimed and 0 <= self.claimed_head < last:
                self.holes.append(_Hole(first, self.claimed_head, kind, row, at_ns, turn))
                first, kind = self.claimed_head + 1, HOLE
            self.holes.append(_Hole(first, last, kind, row, at_ns, turn))
            self.high = cursor
            # What is missing may be of any turn that is still open, and of the one that showed it.
            for touched in self.turns.values():
                if not touched.settled and (touched is tracker or not touched.ended):
                    touched.leave()
                    touched.holed = True
            return None
        for i, hole in enumerate(self.holes):
            if hole.first <= cursor <= hole.last:
                rest = [(hole.first, cursor - 1), (cursor + 1, hole.last)]
                self.holes[i : i + 1] = [
                    _Hole(a, b, hole.kind, hole.row, hole.at_ns, hole.turn) for a, b in rest if a <= b
                ]
                if not self.holes:
                    for one in self.turns.values():
                        one.holed = False
                return WENT_BACK
        return REDELIVERED

    def _remember(self, key: int) -> None:
        keys = self.keys = self.keys if isinstance(self.keys, set) else set()
        keys.add(key)
        if len(keys) >= KEPT_KEYS:
            self.old_keys, self.keys = keys, NOTHING

    def resent(self, turn: int) -> None:
        """The turn's message was sent again, on a connection that is ready."""
        if tracker := self.turns.get(turn):
            tracker.leave()
            tracker.resent = tracker.sent_again = True

    def opened(self, connection: int) -> None:
        """A new connection of this session was upgraded."""
        self.reconnected = self.connection > 0
        self.connection = connection
        if self.rules.numbered and not self.rules.resumes:
            self._new_stream()

    def claim(self, row: int, at_ns: int, resumed: bool, head: int, asked: int) -> None:
        """The backend's answer to a resume."""
        if resumed and 0 <= head < asked:
            self._report(CLAIMED_BEHIND, 0, row, at_ns, head)
            self._flush_holes(at_ns)
            self._new_stream()
            self.high = head
            for turn in self.turns.values():
                turn.leave()
                turn.holed = turn.holed or not turn.ended
            return
        if resumed:
            self.claim_row, self.claimed_head, self.asked = row, head, asked
            self.reconnected = False
            return
        self._flush_holes(at_ns)
        self._new_stream()
        for turn in self.turns.values():
            if not turn.ended:
                turn.leave()
                turn.declared = True

    def _new_stream(self) -> None:
        self.high = self.rules.first_cursor - 1
        self.claim_row = self.claimed_head = self.asked = -1
        self.reconnected = False

    def closed(
        self, row: int, at_ns: int, code: int, *, ours: bool, ready: bool, never_ready: bool, mid_turn: bool
    ) -> None:
        """A connection ended; ``ours``: the client closed it."""
        turn = self.current
        number = turn.number if turn else 0
        for one in self.turns.values():
            if not one.over:
                one.leave()
                one.cut, one.resent = True, False
                one.left = one.left or (ours and not never_ready)
        if never_ready:
            self._report(UNANSWERED if ready else NEVER_READY, 0, row, at_ns)
        if ours:
            return
        if code == CLEAN_CLOSE:
            if mid_turn or not ready:
                self._report(CLOSED_EARLY, number if mid_turn else 0, row, at_ns, code)
        elif code not in self.rules.normal_closes:
            self._report(ABNORMAL_CLOSE, number if mid_turn else 0, row, at_ns, code)

    def cancelled(self, row: int, turn: int) -> None:
        """The client asked for a turn to be stopped."""
        if tracker := self.turns.get(turn):
            tracker.leave()
            tracker.cancel_row = row

    def ended(self, turn: int, end: int) -> None:
        """The client stopped waiting for a turn."""
        if end in GIVEN_UP and (tracker := self.turns.get(turn)):
            tracker.leave()
            tracker.given_up = True

    def finish(self, at_ns: int) -> None:
        """The session is over: settle what is open."""
        head = self.claimed_head
        if head > self.high and self.claim_row >= 0 and not self._in_flight():
            self.holes.append(_Hole(self.high + 1, head, CLAIMED_OVER_HOLE, self.claim_row, at_ns, 0))
            for turn in self.turns.values():
                turn.holed = turn.holed or not turn.settled
        self._flush_holes(at_ns)
        for number in sorted(self.turns):
            self.turns[number].leave()  # what is settled by the session's end is no example for others
            self._settle(self.turns[number], at_ns)

    def _in_flight(self) -> bool:
        return any(not turn.over for turn in self.turns.values())

    def _flush_holes(self, at_ns: int) -> None:
        for hole in self.holes:
            self._report(hole.kind, hole.turn, hole.row, hole.at_ns or at_ns, hole.first)
        self.holes = []

    def _settle(self, tracker: TurnTracker, at_ns: int) -> None:
        if tracker.settled:
            return
        for kind, row, detail in tracker.settle():
            self._report(kind, tracker.number, row, at_ns, detail)

    def _report(self, kind: Kind, turn: int, row: int, at_ns: int, detail: int = 0) -> Kind:
        self.reported += 1
        self.emit(Finding(kind, self.session, turn, row, at_ns, detail))
        return kind


def _schema_kind(bits: int) -> Kind:
    for bit, kind in enumerate(SCHEMA_KINDS):
        if bits >> bit & 1:
            return kind
    return UNDECLARED if bits == UNDECLARED_OUTCOME else FIELD_MISSING
