"""The durable event log: numbers each stream's events, answers a resume honestly, rebuilds a thread.

Pure over its storage; knows no connection. An event is in the log before anybody may deliver it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["ANONYMOUS", "Claim", "Entry", "EventLog", "MemoryStorage", "Storage", "Turn"]

#: How the users begin that came without credentials, one a connection.
ANONYMOUS = "anon"

REMEMBERED_TURNS = 20_000
HISTORY_EVENTS = 500
REMEMBERED_WORDS = 20  # messages of one thread
WORDS_CHARACTERS = 500  # of one message


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One execution. ``owner`` is within what a message id is executed once: a stream, or a user."""

    owner: str
    stream: str
    user: str
    thread: str
    run: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One numbered event, with the very frame that was or will be sent."""

    stream: str
    seq: int
    user: str
    thread: str
    kind: str
    at_s: float
    frame: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The answer to a resume: with ``resumed`` every event after ``after`` up to ``head`` is in ``missed``."""

    resumed: bool
    stream: str
    after: int
    head: int = 0
    reason: str = ""
    user: str = ""
    missed: tuple[Entry, ...] = ()
    #: the last one that the client says it has; all of those, where they were asked for
    had: tuple[Entry, ...] = ()

    @property
    def last_had(self) -> Entry | None:
        return self.had[-1] if self.had else None


class Storage(Protocol):
    """Where the log lives. Reads see every write made before, durable or not yet."""

    def add_stream(self, stream: str, user: str) -> None: ...
    def stream_user(self, stream: str) -> str | None: ...
    def append(self, entry: Entry) -> None: ...
    def bounds(self, stream: str) -> tuple[int, int]:
        """First kept number and last number; (1, 0) for an empty stream."""

    def read(self, stream: str, after: int, upto: int) -> list[Entry]: ...
    def thread(self, user: str, thread: str, limit: int) -> list[Entry]: ...
    def begin(self, turn: Turn) -> None: ...
    def end(self, turn: Turn) -> None: ...
    def turns(self, limit: int) -> list[tuple[Turn, bool]]:
        """The latest turns, oldest first, and whether each has ended."""

    def turns_of(self, owner: str) -> list[tuple[Turn, bool]]:
        """All of one owner's, oldest first."""

    def remember(self, turn: Turn, words: str) -> None: ...
    def words(self, owner: str, thread: str, limit: int) -> list[str]:
        """What was said on a thread, the latest so many, oldest first."""

    def trim(self, stream: str, upto: int) -> None: ...
    def rewind(self, stream: str, upto: int) -> None:
        """Forget everything after; only a planted defect wants that."""


class MemoryStorage:
    """The storage of ``:memory:``, tests and simulation."""

    def __init__(self) -> None:
        self._users: dict[str, str] = {}
        self._entries: dict[str, list[Entry]] = {}
        self._trimmed: dict[str, int] = {}
        self._turns: dict[tuple[str, str], tuple[Turn, bool]] = {}
        self._words: dict[tuple[str, str], deque[str]] = {}

    def add_stream(self, stream: str, user: str) -> None:
        self._users[stream] = user

    def stream_user(self, stream: str) -> str | None:
        return self._users.get(stream)

    def append(self, entry: Entry) -> None:
        self._entries.setdefault(entry.stream, []).append(entry)

    def bounds(self, stream: str) -> tuple[int, int]:
        trimmed = self._trimmed.get(stream, 0)
        return trimmed + 1, trimmed + len(self._entries.get(stream, ()))

    def read(self, stream: str, after: int, upto: int) -> list[Entry]:
        trimmed = self._trimmed.get(stream, 0)
        return self._entries.get(stream, [])[max(0, after - trimmed) : max(0, upto - trimmed)]

    def thread(self, user: str, thread: str, limit: int) -> list[Entry]:
        mine = [s for s, owner in self._users.items() if owner == user]
        found = [e for s in mine for e in self._entries.get(s, ()) if e.thread == thread]
        return sorted(found, key=lambda e: (e.at_s, e.stream, e.seq))[-limit:]

    def begin(self, turn: Turn) -> None:
        self._turns[turn.owner, turn.message] = (turn, False)

    def end(self, turn: Turn) -> None:
        self._turns[turn.owner, turn.message] = (turn, True)

    def turns(self, limit: int) -> list[tuple[Turn, bool]]:
        return list(self._turns.values())[-limit:]

    def turns_of(self, owner: str) -> list[tuple[Turn, bool]]:
        return [turn for turn in self._turns.values() if turn[0].owner == owner]

    def trim(self, stream: str, upto: int) -> None:
        trimmed = self._trimmed.get(stream, 0)
        if upto > trimmed:
            del self._entries[stream][: upto - trimmed]
            self._trimmed[stream] = upto

    def remember(self, turn: Turn, words: str) -> None:
        self._words.setdefault((turn.owner, turn.thread), deque(maxlen=REMEMBERED_WORDS)).append(words)

    def words(self, owner: str, thread: str, limit: int) -> list[str]:
        return list(self._words.get((owner, thread), ()))[-limit:]

    def rewind(self, stream: str, upto: int) -> None:
        del self._entries.get(stream, [])[max(0, upto - self._trimmed.get(stream, 0)) :]


def _may_see(owner: str, user: str) -> bool:
    return owner == user or (owner.startswith(ANONYMOUS) and user.startswith(ANONYMOUS))


class EventLog:
    """Numbers from 1 without holes, one series a stream."""

    def __init__(self, storage: Storage, keep_events: int = 10_000) -> None:
        self._storage = storage
        self._keep_events = keep_events
        self._heads: dict[str, int] = {}
        #: streams that no message came on yet; they cost the storage nothing
        self._unused: dict[str, str] = {}
        self._turns: OrderedDict[tuple[str, str], bool] = OrderedDict()
        for turn, ended in storage.turns(REMEMBERED_TURNS):
            self._turns[turn.owner, turn.message] = ended

    def open(self, stream: str, user: str, *, lasting: bool = False) -> None:
        """A new stream, empty; ``lasting``: others must know of it before anything happens on it."""
        self._unused[stream] = user
        self._heads[stream] = 0
        if lasting:
            self._store_stream(stream)

    def adopt(self, owner: str, streams: Iterable[str]) -> None:
        """Others have written these: what is remembered of them is old."""
        for stream in streams:
            self.forget(stream)
        for turn, ended in self._storage.turns_of(owner):
            self._turns[turn.owner, turn.message] = ended

    def forget(self, stream: str) -> None:
        """Free what is held in memory for a stream that nobody came back to; what is stored stays."""
        self._heads.pop(stream, None)
        self._unused.pop(stream, None)

    def head(self, stream: str) -> int:
        if stream not in self._heads:
            self._heads[stream] = self._storage.bounds(stream)[1]
        return self._heads[stream]

    def knows(self, turn: Turn) -> bool:
        """Whether its message was executed, or is being, or waits for that."""
        return (turn.owner, turn.message) in self._turns

    def begin(self, turn: Turn, words: str = "") -> bool:
        """Note that a message is being executed; False when it was or is already."""
        key = turn.owner, turn.message
        if key in self._turns:
            return False
        self._store_stream(turn.stream)
        self._turns[key] = False
        if len(self._turns) > REMEMBERED_TURNS:
            self._turns.popitem(last=False)
        self._storage.begin(turn)
        if words:
            self._storage.remember(turn, words[:WORDS_CHARACTERS])
        return True

    def end(self, turn: Turn) -> None:
        if (turn.owner, turn.message) in self._turns:
            self._turns[turn.owner, turn.message] = True
        self._storage.end(turn)

    def unended(self) -> list[Turn]:
        """Turns that a former process left behind."""
        return [turn for turn, ended in self._storage.turns(REMEMBERED_TURNS) if not ended]

    def append(self, turn: Turn, kind: str, at_s: float, frame: Callable[[int], bytes]) -> Entry:
        """The turn's next event; ``frame`` makes its bytes from its number."""
        self._store_stream(turn.stream)
        seq = self.head(turn.stream) + 1
        entry = Entry(
            stream=turn.stream,
            seq=seq,
            user=turn.user,
            thread=turn.thread,
            kind=kind,
            at_s=at_s,
            frame=frame(seq),
        )
        self._storage.append(entry)
        self._heads[turn.stream] = seq
        # Trimming by batches: a delete an event would cost more than the event.
        if seq % 256 == 0 and seq > self._keep_events:
            self._storage.trim(turn.stream, seq - self._keep_events)
        return entry

    def claim(self, stream: str, user: str, after: int, *, whole: bool = False) -> Claim:
        """What a client that has everything up to ``after`` has missed, or why nobody can say.

        ``whole``: with all that it has, too.

        Between clients without credentials, knowing the stream's secret name is the proof.
        """
        owner = self._owner(stream)
        if owner is None or not _may_see(owner, user):
            # One answer for both: whether another user's stream exists is nobody's business.
            return Claim(resumed=False, stream=stream, after=after, reason="unknown stream")
        head = self.head(stream)
        if after > head:
            return Claim(resumed=False, stream=stream, after=after, head=head, reason="ahead of the log")
        if after + 1 < self._storage.bounds(stream)[0]:
            return Claim(resumed=False, stream=stream, after=after, head=head, reason="events were trimmed")
        entries = self._storage.read(stream, 0 if whole else max(0, after - 1), head)
        had = tuple(entry for entry in entries if entry.seq <= after)
        missed = tuple(entry for entry in entries if entry.seq > after)
        return Claim(resumed=True, stream=stream, after=after, head=head, user=owner, missed=missed, had=had)

    def owned_by(self, stream: str, user: str) -> bool:
        """Whether there is such a stream, and the user may resume it."""
        owner = self._owner(stream)
        return owner is not None and _may_see(owner, user)

    def _owner(self, stream: str) -> str | None:
        return self._unused.get(stream) or self._storage.stream_user(stream)

    def words(self, owner: str, thread: str) -> tuple[str, ...]:
        """What was said on a thread, the latest messages, oldest first."""
        return tuple(self._storage.words(owner, thread, REMEMBERED_WORDS))

    def rewind(self, stream: str, upto: int) -> None:
        """Forget a stream's events after ``upto``; only a planted defect wants that."""
        self._storage.rewind(stream, upto)
        self._heads[stream] = upto

    def history(self, user: str, thread: str) -> list[Entry]:
        """A thread's latest events in the order in which they happened; nothing of another user's."""
        return self._storage.thread(user, thread, HISTORY_EVENTS)

    def _store_stream(self, stream: str) -> None:
        user = self._unused.pop(stream, None)
        if user is not None:
            self._storage.add_stream(stream, user)
