"""Real sessions against a backend in virtual time: turn after turn, with cuts, stops, second messages, slow connections."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from loadtests.backend.defects import DEFECTS
from loadtests.backend.manager import Parcel
from loadtests.contract import Contract, load
from loadtests.contract.schema import Concurrent
from loadtests.findings import Finding
from loadtests.history import End, RowKind
from loadtests.session import Identity, Session
from loadtests.turn import Rules

__all__ = ["BY_THE_CUT", "CUT", "STOPPED_TURNS", "TURNS", "USERS", "Played", "play"]

NONCE = "gx0badcafe"
USERS = 12
TURNS = 8
#: half of them are cut in the middle of these turns
CUT = range(1, 7)
CUT_IN = (4, 6)
SLOW = (7, 8)
STOPPING = (9, 10)
TALKING = (11, 12)
STOPPED = (2, 4, 6)
STOPPED_TURNS = len(STOPPING) * len(STOPPED)
BACK_AFTER_MS = 15.0  # times the number of the user
READY_WITHIN_MS = 5_000.0
SLOW_MS = 200.0
QUIET_MS = (15_001.0, 30_500.0, 30_501.0)  # after everything: time for a ping, its answer, and for looking twice
#: what the cut explains by itself; whoever judges a run knows its fault windows, this test does not
BY_THE_CUT = {"abnormal-close", "silent-cut"}


@dataclass
class Played:
    stage: Any
    findings: list[Finding] = field(default_factory=list)
    ends: Counter[End] = field(default_factory=Counter)

    @property
    def own(self) -> list[Finding]:
        """What no cut explains, without mere warnings."""
        return [
            f
            for f in self.findings
            if not f.kind.warning and not (f.kind.name in BY_THE_CUT and f.session in CUT)
        ]  # fmt: skip

    @property
    def ids(self) -> set[str]:
        return {f.kind.checker for f in self.own}


class Rows:
    """A record that numbers its rows, counts how turns ended, and knows whose first one ended well."""

    frames_received = 0

    def __init__(self, ends: Counter[End]) -> None:
        self._texts: dict[str, int] = {}
        self._count = itertools.count(1)
        self._ends = ends
        self.told: set[int] = set()

    def row(self, *values: int) -> int:
        if values[0] == RowKind.END:
            self._ends[End(values[13])] += 1
            if values[7] == 1 and values[13] == End.OK:
                self.told.add(values[5])
        return next(self._count)

    def ordinary(self, *_parts: Any) -> int:
        return next(self._count)

    def known(self, text: str) -> int | None:
        return None

    def intern(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts) + 1)

    def keep(self, *_frame: Any) -> None:
        pass


class Wire:
    """A link whose other end is a session. What is on its way when it is cut counts as not sent."""

    def __init__(self, user: Player) -> None:
        self.stream = self.user = ""
        self._user = user
        self.alive = True
        self.on_its_way: list[Parcel] = []

    def put(self, parcel: Parcel, *, whole: bool = False) -> bool:
        if not self.alive:
            return False
        self.on_its_way.append(parcel)
        self._user.later(0.2, self.arrive)
        if parcel.close_code:
            self.close(parcel.close_code, "")
        return True

    def arrive(self) -> None:
        if self.on_its_way:
            self._user.arrives(self, self.on_its_way.pop(0))

    def close(self, code: int, reason: str) -> None:
        if self.alive:
            self.alive = False
            self._user.later(0.2, lambda: self._user.hung_up(self, code))


class Holds:
    """Expects some words in the answer."""

    def __init__(self, words: str) -> None:
        self._words = words

    def met_by(self, answer: str) -> bool:
        return self._words in answer


class Player:
    """One user. Half of its messages ask for what the first one said."""

    def __init__(self, stage: Any, contract: Contract, rules: Rules, record: Rows, number: int, emit: Any) -> None:
        self.stage = stage
        self.contract = contract
        self.number = number
        self.session = Session(contract, rules, Identity(NONCE, number), record, emit, self.wall)
        self.wire: Wire | None = None
        self.dice = random.Random(f"{stage.seed} {number}")
        self.record = record
        self.token = "" if contract.resumes else f"user{number}"
        self.busy = False
        self.rested = False

    @property
    def now_ns(self) -> int:
        return int(self.stage.time.now_ms * 1e6)

    def wall(self) -> str:
        return datetime.fromtimestamp(self.stage.now_s, UTC).isoformat()

    def later(self, delay_ms: float, callback: Any) -> None:
        self.stage.time.schedule(delay_ms, callback)

    def dial(self) -> None:
        self.session.dial(self.now_ns)
        if not self.stage.backend.admits():
            self.session.dial_failed(self.now_ns, 503, "starting")
            self.later(1000, self.dial)
            return
        wire = self.wire = Wire(self)
        self.session.opened(self.now_ns)
        self.stage.backend.connected(wire, self.token, cursor=self.contract.resumes)
        self.later(READY_WITHIN_MS, lambda: self.wait_is_over(wire))

    def wait_is_over(self, wire: Wire) -> None:
        if self.wire is wire and not self.session.ready:
            self.gone(wire, 1000, ours=True, never_ready=True)

    def arrives(self, wire: Wire, parcel: Parcel) -> None:
        if self.wire is not wire:
            return
        self.session.frame(parcel.frame, self.now_ns)
        self.flush()
        self.go_on()

    def go_on(self) -> None:
        """The next turn after a pause, when nothing is under way."""
        session = self.session
        if session.turns >= TURNS and not session.flights and not self.rested:
            self.rested = True
            for after_ms in QUIET_MS:
                self.later(after_ms, self.beat)
        elif session.ready and not session.flights and not self.busy:
            self.busy = True
            self.later(self.dice.uniform(10, 400), self.next_turn)

    def next_turn(self) -> None:
        self.busy = False
        session = self.session
        if session.turns >= TURNS or session.flights or not session.ready:
            return
        turn = session.turns + 1
        code = f"violet-{self.number}"
        if turn == 1 or turn % 2 == 0:
            self.say("how much?" if turn > 1 else f"the code word is {code}", "answer to")
        else:
            self.say("please recall the code word", code if self.number in self.record.told else "answer to")
        if turn in CUT_IN and self.number in CUT:
            self.later(self.dice.uniform(2, 150), self.cut)
        if turn in STOPPED and self.number in STOPPING:
            self.later(self.dice.uniform(10, 60), self.stop)
        if turn in (2, 5) and self.number in TALKING and self.contract.file.turn.concurrent:
            self.later(self.dice.uniform(20, 60), lambda: self.say("and another thing", "another"))

    def beat(self) -> None:
        """All is said, and the client looks whether the server is still there."""
        if self.wire is not None and self.session.unanswered(self.now_ns):
            self.gone(self.wire, 1000, ours=True, never_ready=True)
        elif self.session.ready and self.session.keep_alive(self.now_ns):
            self.flush()

    def say(self, content: str, expected: str) -> None:
        if self.session.ready and self.session.turns < TURNS:
            self.session.begin(self.now_ns, content, self.now_ns, Holds(expected))
            self.flush()
            self.watch()

    def stop(self) -> None:
        if self.session.ready:
            self.session.cancel(self.now_ns)
            self.flush()
            self.watch()

    def watch(self) -> None:
        self.later((self.session.deadline_ns() - self.now_ns) / 1e6 + 0.1, self.look)

    def look(self) -> None:
        if self.session.flights and self.now_ns >= self.session.deadline_ns():
            self.session.give_up(self.now_ns, End.TIMEOUT)
            self.go_on()

    def flush(self) -> None:
        messages, self.session.outbox[:] = list(self.session.outbox), []
        for message in messages:
            self.later(
                SLOW_MS if self.number in SLOW else 0.2, lambda wire=self.wire, one=message: self.send(wire, one)
            )

    def send(self, wire: Wire | None, message: bytes) -> None:
        if wire is not None and wire.alive:
            self.stage.backend.received(wire, message)

    def cut(self) -> None:
        if self.wire is not None:
            self.gone(self.wire, 1006)

    def hung_up(self, wire: Wire, code: int) -> None:
        if self.wire is wire:
            self.gone(wire, code)

    def gone(self, wire: Wire, code: int, **how: Any) -> None:
        self.wire, wire.alive = None, False
        self.session.closed(self.now_ns, code, "", **how)
        unsent, wire.on_its_way = wire.on_its_way, []
        self.stage.backend.lost(wire, unsent, cut=True)
        self.later(BACK_AFTER_MS * self.number, self.dial)


def play(
    make_stage: Any, contract_name: str, defect: str, seed: int, promised: Concurrent = "", **options: Any
) -> Played:  # fmt: skip
    """All users through all their turns; ``promised``: what becomes of a second message, if not what the contract says."""
    stage = make_stage(defect, seed=seed, spared_turns=10, **options)
    contract = load(contract_name).promising(DEFECTS[defect].concurrent if defect else promised)
    rules = Rules(contract, frozenset({1}))
    played = Played(stage)
    record = Rows(played.ends)
    record.intern(contract.file.agents.root[0])
    players = [Player(stage, contract, rules, record, number, played.findings.append) for number in range(1, USERS + 1)]
    for player in players:
        stage.time.schedule(10.0 * player.number, player.dial)
    stage.run(300_000)
    for player in players:
        player.session.stop(player.now_ns)
    return played
