"""Who is connected, and by which way each stream's events reach a client: live, kept for later, or by the log alone.

Pure over links and a timer: a link is one connection as delivery sees it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from loadtests.backend.frames import FrameWriter
from loadtests.backend.world import World

__all__ = ["GOING_AWAY", "TRY_AGAIN_LATER", "Link", "Mailbox", "Parcel", "WebSocketManager"]

RETRY_MS = (50.0, 100.0, 200.0)
FLUSH_MS = 100.0
OVERTAKEN_MS = 250.0
MOST_KEPT = 10_000
GOING_AWAY, TRY_AGAIN_LATER = 1001, 1013
TAKEN_OVER = "resumed on another connection"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One frame on its way. Only what carries a ``seq`` is an event, and worth keeping."""

    frame: bytes
    kind: str = ""
    stream: str = ""
    seq: int = 0
    #: close the connection after this one
    close_code: int = 0
    #: what ``frame`` was before it was packed as a stored message
    live: bytes = b""


class Link(Protocol):
    """One connection. ``stream`` is what it owns now."""

    stream: str
    user: str

    def put(self, parcel: Parcel, *, whole: bool = False) -> bool:
        """Take a frame for sending; False when closed, or too far behind (unless ``whole``)."""

    def close(self, code: int, reason: str) -> None:
        """Send nothing more, close."""


@dataclass(slots=True)
class Mailbox:
    """Where events of one stream, or of one user's streams, wait for a connection, in order."""

    #: undelivered events outlive the connection here; otherwise the log has them, or nobody wants them
    keeps: bool
    links: list[Link] = field(default_factory=list)
    backlog: deque[Parcel] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    #: a flush is due: nothing may overtake it
    held: bool = False
    retrying: bool = False
    left_at_s: float = 0.0
    #: what the next event of one kind overtakes, and is sent before one of another; only a planted defect has that
    behind: list[Parcel] = field(default_factory=list)
    overtakers: frozenset[str] = frozenset()
    flushers: frozenset[str] = frozenset()
    #: called when something has overtaken
    overtaken: Callable[[], None] | None = None

    def link_for(self, stream: str) -> Link | None:
        """The connection that began the stream, else the user's latest."""
        return next((link for link in self.links if link.stream == stream), self.links[-1] if self.links else None)


def _undelivered(parcels: Iterable[Parcel]) -> list[Parcel]:
    """The events among what a connection could not send, as they were before."""
    return [replace(p, frame=p.live or p.frame, live=b"", close_code=0) for p in parcels if p.seq]


class WebSocketManager:
    """Connections by stream and by user."""

    def __init__(self, world: World, frames: FrameWriter, repeats: Callable[[Parcel], bool] = lambda _: False) -> None:
        self._world = world
        self._frames = frames
        #: whether a planted defect flushes this one twice
        self._repeats = repeats
        self._streams: dict[str, Mailbox] = {}
        self._users: dict[str, Mailbox] = {}

    def join(self, link: Link, *, keeps: bool) -> None:
        """A welcomed connection, with an own stream; with ``keeps`` it shares its user's mailbox."""
        box = self._users.setdefault(link.user, Mailbox(keeps=True)) if keeps else Mailbox(keeps=False)
        self._streams[link.stream] = box
        box.links.append(link)
        if box.backlog:
            box.held = True
            self._world.schedule(FLUSH_MS, lambda: self._flush(box))

    def take_over(self, link: Link, stream: str, parcels: Iterable[Parcel]) -> None:
        """Give ``stream`` to this connection: the replay now, then live events; the former owner gets nothing more."""
        old = self._streams[link.stream]
        old.links.remove(link)
        if link.stream != stream:
            del self._streams[link.stream]
        box = self._streams.setdefault(stream, Mailbox(keeps=False))
        for former in box.links:
            former.close(GOING_AWAY, TAKEN_OVER)
        box.links = [link]
        box.backlog.clear()
        box.behind.clear()
        link.stream = stream
        for parcel in parcels:
            link.put(parcel, whole=True)

    def release(self, owner: str, unsent: Callable[[Link], Iterable[Parcel]]) -> tuple[Parcel, ...]:
        """Another node delivers to this user or stream from now on; what waited for a connection, or was ``unsent``."""
        box = self._users.pop(owner, None) or self._streams.get(owner)
        if box is None:
            return ()
        self._streams = {stream: other for stream, other in self._streams.items() if other is not box}
        kept = [event for link in box.links if box.keeps for event in _undelivered(unsent(link))] + list(box.backlog)
        for link in box.links:
            link.close(GOING_AWAY, TAKEN_OVER)
        box.links = []
        box.backlog.clear()
        box.behind.clear()
        return tuple(kept)

    def users(self) -> set[str]:
        """Those whose undelivered events outlive a connection."""
        return set(self._users)

    def keep_for(self, user: str, streams: Iterable[str], parcels: Iterable[Parcel] = ()) -> None:
        """What comes on these streams waits for the user, behind what another node has kept."""
        box = self._users.setdefault(user, Mailbox(keeps=True, left_at_s=self._world.now_s()))
        for stream in streams:
            self._streams.setdefault(stream, box)
        box.backlog.extend(parcels)

    def hold_back(
        self, stream: str, parcels: Iterable[Parcel], overtakers: frozenset[str], flushers: frozenset[str],
        overtaken: Callable[[], None],
    ) -> None:  # fmt: skip
        """Let the stream's next live event of the right kind overtake these, if one comes in time."""
        box = self._streams[stream]
        box.behind, box.overtakers, box.flushers, box.overtaken = list(parcels), overtakers, flushers, overtaken
        link = box.links[-1]
        self._world.schedule(OVERTAKEN_MS, lambda: self._send_behind(box, link))

    def _send_behind(self, box: Mailbox, link: Link) -> None:
        if link in box.links:
            held, box.behind = box.behind, []
            for parcel in held:
                link.put(parcel, whole=True)

    def owns(self, link: Link) -> bool:
        """Whether the connection still has its stream: nobody has taken it over."""
        box = self._streams.get(link.stream)
        return box is not None and link in box.links

    def kept_for(self, link: Link) -> Parcel | None:
        """The first event that waits for this connection's user."""
        box = self._streams.get(link.stream)
        return box.backlog[0] if box and box.backlog else None

    def broadcast(self, parcel: Parcel, *, but: Link) -> bool:
        """To every other client; false: there is none."""
        own = self._streams.get(but.stream)
        others = {id(box): box for box in self._streams.values() if box.links and box is not own}
        for box in others.values():
            box.links[-1].put(parcel)
        return bool(others)

    def leave(self, link: Link, unsent: Iterable[Parcel]) -> None:
        """A connection is gone; ``unsent`` is what it took and could not send, in order."""
        box = self._streams.get(link.stream)
        if box is None or link not in box.links:
            return
        box.links.remove(link)
        box.left_at_s = self._world.now_s()
        box.behind.clear()
        if not box.keeps:
            box.backlog.clear()
            return
        box.backlog.extendleft(reversed(_undelivered(unsent)))
        if box.backlog and box.links:
            self._retry(box, 0)

    def post(self, parcel: Parcel) -> bool:
        """Deliver or keep one event; says whether a live connection took it."""
        box = self._streams.get(parcel.stream)
        link = box.link_for(parcel.stream) if box else None
        if box is None or (link is None and not box.keeps):
            return False
        # Behind what waits, unless that is all for another connection of the user.
        waits = bool(box.backlog) and (
            link is None or link is box.links[-1] or any(p.stream == parcel.stream for p in box.backlog)
        )
        if box.behind and link is not None and parcel.kind not in box.overtakers:
            if parcel.kind not in box.flushers:
                box.behind.append(parcel)
                return True
            self._send_behind(box, link)
        if link is not None and not waits and link.put(parcel):
            if box.behind and box.overtaken is not None:
                box.overtaken()
            self._send_behind(box, link)
            return True
        if parcel.seq:
            box.backlog.append(parcel)
            if link is not None:
                self._retry(box, 0)
        return False

    def send_once(self, parcel: Parcel) -> bool:
        """To the stream's live connection or nowhere."""
        box = self._streams.get(parcel.stream)
        link = box.link_for(parcel.stream) if box and not box.held else None
        return link is not None and link.put(parcel)

    def lives_elsewhere(self, stream: str, other: str) -> bool:
        """Whether ``other`` belongs to a different client that is connected now."""
        box = self._streams.get(other)
        return box is not None and bool(box.links) and box is not self._streams.get(stream)

    def sweep(self, retention_s: float) -> list[str]:
        """Drop mailboxes that nobody came back to; the streams that were theirs."""
        before_s = self._world.now_s() - retention_s
        gone = [s for s, box in self._streams.items() if not box.links and box.left_at_s < before_s]
        for stream in gone:
            del self._streams[stream]
        alive = {id(box) for box in self._streams.values()}
        self._users = {user: box for user, box in self._users.items() if id(box) in alive}
        return gone

    def _flush(self, box: Mailbox) -> None:
        box.held = False
        while box.backlog and box.links:
            parcel = box.backlog[0]
            frame = self._frames.stored(parcel.kind, parcel.frame, self._world.now_s())
            stored = replace(parcel, frame=frame, live=parcel.frame, close_code=0)
            if not box.links[-1].put(stored, whole=True):
                break
            if self._repeats(parcel):
                box.links[-1].put(stored, whole=True)
            box.backlog.popleft()

    def _retry(self, box: Mailbox, attempt: int) -> None:
        if box.retrying or box.held:
            return
        box.retrying = True
        self._world.schedule(RETRY_MS[attempt], lambda: self._try_again(box, attempt))

    def _try_again(self, box: Mailbox, attempt: int) -> None:
        """By whatever connection the stream has now; a client that never takes its events must come back for them."""
        box.retrying = False
        if box.held:
            return
        while box.backlog:
            link = box.link_for(box.backlog[0].stream)
            if link is None:
                break
            if not link.put(box.backlog[0]):
                if attempt + 1 < len(RETRY_MS):
                    self._retry(box, attempt + 1)
                else:
                    log.warning("%d events undelivered after %d tries", len(box.backlog), len(RETRY_MS))
                    link.close(TRY_AGAIN_LATER, "too far behind")
                break
            box.backlog.popleft()
        if not box.keeps and not box.links:
            box.backlog.clear()
