"""The whole backend without its sockets: the parts wired together, driven by three verbs: connected, received, lost.

Pure over ``World``, ``Storage`` and links: the asyncio server and a simulation in virtual time drive the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from loadtests.backend.agents import AgentService, policy_of
from loadtests.backend.defects import Defect
from loadtests.backend.engine import ExecutionEngine
from loadtests.backend.estate import Estate, Homes
from loadtests.backend.eventlog import ANONYMOUS, Claim, EventLog, Storage, Turn
from loadtests.backend.frames import FrameWriter, Shape
from loadtests.backend.manager import Link, Parcel, WebSocketManager
from loadtests.backend.messages import MessageHandlerService
from loadtests.backend.notifier import WebSocketNotifier, parcel_of
from loadtests.backend.planting import SPARED_TURNS, Planter
from loadtests.backend.registry import AgentRegistry
from loadtests.backend.spoilt_replays import OVERTAKERS
from loadtests.backend.tools import ToolDispatcher
from loadtests.backend.world import World
from loadtests.contract import Contract
from loadtests.contract.schema import Role

__all__ = ["Backend", "shared_by_user"]

RETENTION_S = 900.0
NORMAL_CLOSURE = 1000
FIRST_VERSION = "1"


def _known(user: str) -> bool:
    """Nobody may take an anonymous client's name."""
    return bool(user) and not user.startswith(ANONYMOUS)


def shared_by_user(user: str, *, cursor: bool) -> bool:
    """Whether what is undelivered to such a client is its user's, who may come back on any connection."""
    return _known(user) and not cursor


def _streams_of(owner: str, estate: Estate) -> tuple[str, ...]:
    """Those that are not the owner itself: of a user who has several."""
    found = (*(run.turn.stream for run in estate.runs), *(parcel.stream for parcel in estate.kept))
    return tuple(dict.fromkeys(stream for stream in found if stream != owner))


class Backend:
    """One reference backend."""

    def __init__(
        self,
        contract: Contract,
        storage: Storage,
        world: World,
        *,
        seed: int = 0,
        defect: Defect | None = None,
        defect_share: float = 0.1,
        spared_turns: int = SPARED_TURNS,
        shape: Shape = "flat",
        node: str = "node-1",
        build: str = "reference",
        outcomes: Mapping[str, float] | None = None,
        at_once: int = 0,
        concurrent: str = "",
        event_versions: Sequence[str] = (),
        homes: Homes | None = None,
    ) -> None:
        """``homes``: this one is a node of several on one storage."""
        self._world = world
        self._homes = homes
        #: owners that were another node's, until they come back
        self._adopted: set[str] = set()
        self._identity = {"node": node, "build": build}
        self._heartbeat = contract.file.control.heartbeat
        self._by_cursor: set[str] = set()
        self._known_users: set[str] = set()
        self._roles = {rule.name: rule.role for rule in contract.events}
        self._links: set[Link] = set()
        self.frames = FrameWriter(contract, shape)
        self.log = EventLog(storage)
        self.planter = Planter(defect, seed, defect_share, spared_turns, self._roles)
        self.manager = WebSocketManager(
            world, self.frames, lambda parcel: self.planter.strikes("flush", f"{parcel.stream}:{parcel.seq}")
        )
        versions = tuple(event_versions) or tuple(contract.file.versions.accepted[:1]) or (FIRST_VERSION,)
        self.notifier = WebSocketNotifier(
            contract,
            self.log,
            self.manager,
            self.frames,
            world.now_s,
            # While a new version is rolled out, one turn is served by an old node and the next by a new one.
            lambda run: versions[0] if len(versions) == 1 else world.dice(f"{run} version").choice(versions),
        )
        registry = AgentRegistry.for_contract(contract)
        self.agents = AgentService(
            contract,
            world,
            ExecutionEngine(registry, ToolDispatcher(), world.dice, outcomes),
            self.log,
            self.notifier,
            self.manager,
            self.planter,
            registry.root.name,
            policy_of(concurrent or (defect.concurrent if defect else "") or contract.file.turn.concurrent),
            at_once,
        )
        self._root = registry.root.name
        self._messages = MessageHandlerService(
            contract, world, self.frames, self.log, self.agents, self._resume, self._shared_by_user,
            lambda link: self.planter.strikes("ping", link.stream),
        )  # fmt: skip
        if homes is None:
            for turn in self.log.unended():
                self.agents.give_up(turn)

    def connected(self, link: Link, user: str, *, cursor: bool) -> bool:
        """Welcome a connection; False when a planted defect leaves it waiting.

        ``user`` is empty for a client without credentials; ``cursor`` marks one that resumes by cursor.
        """
        known, shared = _known(user), shared_by_user(user, cursor=cursor)
        link.user = user if known else self._world.new_id(ANONYMOUS)
        link.stream = self._world.new_id("st")
        back_again = known and user in self._known_users
        self._links.add(link)
        if self.planter.refuses_welcome(self._world.now_s(), known_user=back_again):
            self._known_users.add(user)
            if self.planter.closes:
                link.close(NORMAL_CLOSURE, "main cleanup")
            return False
        if known:
            self._known_users.add(user)
        self.log.open(link.stream, link.user, lasting=self._homes is not None)
        if self._homes is not None and not shared:
            self._homes.settle(link.stream)
        if cursor:
            self._by_cursor.add(link.stream)
        connection = self._world.new_id("main")
        who = {"mode": "main", "connection_id": connection, "user_id": link.user}
        data = {**who, **self._identity, "stream_id": link.stream, "last_seq": 0}
        link.put(Parcel(frame=self.frames.welcome(data, self._world.now_s())))
        self.manager.join(link, keeps=shared)
        if (kept := self.manager.kept_for(link)) is not None:
            self._broadcast(link, kept)
        return True

    def received(self, link: Link, raw: bytes) -> None:
        """One message of a welcomed connection."""
        self._messages.handle(link, raw)

    def lost(self, link: Link, unsent: Sequence[Parcel], *, cut: bool) -> None:
        """A connection ended; ``cut``: not by the client's own goodbye after its welcome."""
        if cut:
            self.planter.cut(self._world.now_s(), link.stream, link.user)
            if self.manager.owns(link):
                self.agents.cut(link.stream)
        self.manager.leave(link, unsent)
        if not (cut and self.planter.strikes("house", str(len(self._links)))):
            self._links.discard(link)

    @property
    def links(self) -> Collection[Link]:
        """Connections that are open, as far as the house knows."""
        return self._links

    @property
    def connections(self) -> int:
        """How many those are."""
        return len(self._links)

    def admits(self) -> bool:
        """Whether a connection would be accepted at all."""
        return self.planter.admits(self._world.now_s())

    def idle(self, link: Link) -> None:
        """Nothing came from this connection for a while: show that we are here."""
        link.put(Parcel(frame=self.frames.control(self._heartbeat, self._world.now_s())))

    def sweep(self) -> None:
        """Forget who has been away for too long; to be called now and then."""
        for stream in self.manager.sweep(RETENTION_S):
            self.log.forget(stream)
            self._by_cursor.discard(stream)

    def release(self, owner: str, unsent: Callable[[Link], Iterable[Parcel]]) -> Estate:
        """Another node takes over; nothing of this owner may happen here any more. ``unsent``: what a link still holds."""
        estate = Estate(runs=self.agents.park(owner), kept=self.manager.release(owner, unsent))
        for stream in (owner, *_streams_of(owner, estate)):
            self.log.forget(stream)
            self.notifier.forget(stream)
        self._by_cursor.discard(owner)
        return estate

    def owners(self) -> set[str]:
        """Those of whom more is here than the log says."""
        return self.agents.owners() | self.manager.users()

    def adopt(self, owner: str, estate: Estate) -> None:
        """Go on where another node has stopped."""
        streams = _streams_of(owner, estate)
        self._adopted.add(owner)
        self.log.adopt(owner, (owner, *streams))
        if streams:
            self.manager.keep_for(owner, streams, estate.kept)
        self.agents.carry_on(estate.runs)

    def bury(self, turn: Turn) -> None:
        """A turn that another node has left behind, dead, ends here."""
        self._adopted.add(turn.owner)
        self.log.adopt(turn.owner, (turn.owner, turn.stream))
        if turn.stream != turn.owner:
            self.manager.keep_for(turn.owner, (turn.stream,))
        if self.planter.strikes("orphan", turn.run):
            self.log.end(turn)
        else:
            self.agents.give_up(turn)

    def _shared_by_user(self, link: Link) -> bool:
        return shared_by_user(link.user, cursor=link.stream in self._by_cursor)

    def _resume(self, link: Link, stream: str, after: int) -> None:
        if self._homes is None or not self.log.owned_by(stream, link.user):
            self._resumed(link, stream, after)
        else:
            self._homes.fetch(stream, lambda: self._resumed(link, stream, after))

    def _resumed(self, link: Link, stream: str, after: int) -> None:
        """Answer, replay, then live events: in one go, so that nothing can come between."""
        claim = self.log.claim(stream, link.user, after, whole=self.planter.reads_all)
        came_over = stream in self._adopted
        self._adopted.discard(stream)
        spoils = came_over or not self.planter.across
        if spoils and claim.resumed and self.planter.aims("denial", f"{stream}:{after}"):
            if self._is_open_ended(claim):
                self.planter.hit()
            claim = replace(claim, resumed=False, reason="unknown stream")
        if spoils and claim.resumed and (upto := self.planter.rewind(claim)) is not None:
            self.log.rewind(stream, upto)
            claim = replace(claim, head=upto, missed=(), had=())
        answer = Parcel(frame=self.frames.restored(claim, self._world.now_s()))
        if not claim.resumed:
            link.put(answer)
            return
        replay = [parcel_of(entry) for entry in self.planter.replay(claim)]
        link.user = claim.user
        if link.stream != stream:
            self.log.forget(link.stream)
            self._by_cursor.discard(link.stream)
            if self._homes is not None:
                self._homes.forget(link.stream)
        self._by_cursor.add(stream)
        self.notifier.forget(stream)
        if replay and self.planter.aims("overtake", f"{stream}:{after}"):
            self.manager.take_over(link, stream, [answer])
            overtakers, ends = self._names(*OVERTAKERS), self._names("done", "failed")
            self.manager.hold_back(stream, replay, overtakers, ends, self.planter.hit)
            return
        self.manager.take_over(link, stream, [answer, *replay])
        own = claim.missed[0] if claim.missed else claim.last_had
        if own is not None:
            self._broadcast(link, parcel_of(own))

    def _is_open_ended(self, claim: Claim) -> bool:
        """Whether the client has seen the beginning of a turn, and not its end."""
        last = claim.last_had
        return last is not None and not (
            self._roles.get(last.kind) in {"done", "failed"} and self._root.encode() in last.frame
        )

    def _names(self, *roles: Role) -> frozenset[str]:
        return frozenset(name for name, role in self._roles.items() if role in roles)

    def _broadcast(self, link: Link, parcel: Parcel) -> None:
        """A client has come back: under a planted defect everybody hears of it."""
        if self.planter.strikes("broadcast", parcel.stream):
            self.manager.broadcast(Parcel(frame=parcel.frame), but=link)
