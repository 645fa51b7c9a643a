"""Every planted defect, played by real sessions in virtual time, is found by exactly the checkers of its row."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest

from loadtests.backend.defects import DEFECTS
from loadtests.backend.manager import Parcel
from loadtests.contract import Contract, load
from loadtests.findings import Finding
from loadtests.history import End
from loadtests.session import Identity, Session
from loadtests.turn import Rules

NONCE = "gx0badcafe"
USERS = 12
TURNS = 8
BACK_AFTER_MS = 300.0
READY_WITHIN_MS = 5_000.0
#: what the cut explains by itself; whoever judges a run knows its fault windows, this test does not
BY_THE_CUT = {"abnormal-close", "silent-cut"}


class Rows:
    """A record that only numbers its rows."""

    frames_received = 0

    def __init__(self) -> None:
        self._texts: dict[str, int] = {}
        self._count = itertools.count(1)

    def row(self, *_values: int) -> int:
        return next(self._count)

    def known(self, text: str) -> int | None:
        return None

    def intern(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts) + 1)

    def keep(self, *_frame: Any) -> None:
        pass


class Wire:
    """A link whose other end is a session."""

    def __init__(self, user: Any) -> None:
        self.stream = self.user = ""
        self._user = user
        self.alive = True

    def put(self, parcel: Parcel, *, whole: bool = False) -> bool:
        if not self.alive:
            return False
        self._user.stage.time.schedule(0.2, lambda: self._user.arrives(self, parcel))
        if parcel.close_code:
            self.close(parcel.close_code, "")
        return True

    def close(self, code: int, reason: str) -> None:
        if self.alive:
            self.alive = False
            self._user.stage.time.schedule(0.2, lambda: self._user.hung_up(self, code))


class User:
    """Turn after turn, coming back whenever its connection is gone."""

    def __init__(self, stage: Any, contract: Contract, rules: Rules, record: Rows, number: int, emit: Any) -> None:
        self.stage = stage
        self.contract = contract
        self.number = number
        self.ends: Counter[End] = Counter()
        self.session = Session(contract, rules, Identity(NONCE, number), record, emit, lambda: "now")
        self.wire: Wire | None = None
        self.dice = random.Random(number)
        self.token = "" if contract.resumes else f"user{number}"

    @property
    def now_ns(self) -> int:
        return int(self.stage.time.now_ms * 1e6)

    def dial(self) -> None:
        self.session.dial(self.now_ns)
        wire = self.wire = Wire(self)
        self.session.opened(self.now_ns)
        self.stage.backend.connected(wire, self.token, cursor=self.contract.resumes)
        self.stage.time.schedule(READY_WITHIN_MS, lambda: self.wait_is_over(wire))

    def wait_is_over(self, wire: Wire) -> None:
        if self.wire is wire and not self.session.ready:
            self.gone(wire, 1000, ours=True, never_ready=True)

    def arrives(self, wire: Wire, parcel: Parcel) -> None:
        if self.wire is not wire:
            return
        was_ready, flight = self.session.ready, self.session.flight
        self.session.frame(parcel.frame, self.now_ns)
        self.flush()
        if self.session.ready and not was_ready and self.session.flight is None:
            self.stage.time.schedule(self.dice.uniform(10, 400), self.next_turn)
        if flight is not None and self.session.flight is None:
            self.ended()

    def ended(self) -> None:
        self.ends[self.session.last_end] += 1
        self.stage.time.schedule(self.dice.uniform(10, 400), self.next_turn)

    def next_turn(self) -> None:
        session = self.session
        if session.turns >= TURNS or session.flight is not None or not session.ready:
            return
        session.begin(self.now_ns, "what does it cost?", self.now_ns)
        number = session.turns
        self.flush()
        deadline_ms = self.contract.file.turn.deadline_ms
        self.stage.time.schedule(deadline_ms, lambda: self.deadline(number))

    def deadline(self, number: int) -> None:
        flight = self.session.flight
        if flight is not None and flight.number == number:
            self.session.give_up(self.now_ns, End.TIMEOUT)
            self.ended()

    def flush(self) -> None:
        messages, self.session.outbox[:] = list(self.session.outbox), []
        for message in messages:
            if self.wire is not None and self.wire.alive:
                self.stage.backend.received(self.wire, message)

    def cut(self) -> None:
        if self.wire is not None:
            self.gone(self.wire, 1006)

    def hung_up(self, wire: Wire, code: int) -> None:
        if self.wire is wire:
            self.gone(wire, code)

    def gone(self, wire: Wire, code: int, **how: Any) -> None:
        self.wire, wire.alive = None, False
        self.session.closed(self.now_ns, code, "", **how)
        self.stage.backend.lost(wire, [], cut=True)
        self.stage.time.schedule(BACK_AFTER_MS, self.dial)


def play(make_stage: Any, contract_name: str, defect: str, seed: int) -> tuple[Any, list[Finding], Counter[End]]:
    """All users through all their turns, half of them cut once in the middle of a turn."""
    stage = make_stage(defect, seed=seed, spared_turns=10)
    contract = load(contract_name)
    rules = Rules(contract, frozenset({1}))
    record = Rows()
    record.intern(contract.file.agents.root[0])
    findings: list[Finding] = []
    users = [User(stage, contract, rules, record, number, findings.append) for number in range(1, USERS + 1)]
    for user in users:
        stage.time.schedule(10.0 * user.number, user.dial)
    for user in users[: USERS // 2]:
        stage.time.schedule(1500.0 + seed, user.cut)
    stage.run(300_000)
    for user in users:
        user.session.stop(user.now_ns)
    return stage, findings, sum((user.ends for user in users), Counter())


@pytest.mark.parametrize("contract", ["reference", "netra"])
@pytest.mark.parametrize("defect", [*DEFECTS])
def test_a_defect_is_found_by_exactly_the_checkers_of_its_row(make_stage: Any, contract: str, defect: str) -> None:
    for seed in (1, 2):
        stage, findings, _ = play(make_stage, contract, defect, seed)
        found = {f.kind.checker for f in findings if f.kind.name not in BY_THE_CUT}
        texts = [(f.kind.name, f.session, f.turn) for f in findings if f.kind.name not in BY_THE_CUT]
        assert (found, seed) == (set(DEFECTS[defect].ids[contract]), seed), texts
        assert stage.backend.planter.planted or (DEFECTS[defect].where == "replay" and contract == "netra")


@pytest.mark.parametrize("contract", ["reference", "netra"])
def test_without_a_defect_nothing_is_found_and_every_turn_ends_well(make_stage: Any, contract: str) -> None:
    for seed in range(5):
        _, findings, ends = play(make_stage, contract, "", seed)
        assert {f.kind.name for f in findings} <= BY_THE_CUT
        assert ends == {End.OK: USERS * TURNS}


def test_the_late_event_makes_a_turn_late_and_nothing_else(make_stage: Any) -> None:
    stage, findings, ends = play(make_stage, "reference", "late-event", 1)
    assert stage.time.now_ms > 6_500
    assert {f.kind.name for f in findings} <= BY_THE_CUT
    assert ends == {End.OK: USERS * TURNS}


def test_every_row_says_what_it_does_and_hooks_in_at_one_place() -> None:
    for name, row in DEFECTS.items():
        assert row.name == name
        assert row.sentence
        assert set(row.ids) == {"reference", "netra"}
        assert (row.script is not None, row.replay is not None) == (row.where == "script", row.where == "replay")


def test_the_unapproved_type_is_in_no_contract(make_stage: Any) -> None:
    stage = make_stage("unapproved-type")
    link = stage.join()
    stage.ask(link)
    stage.run()
    planted = [kind for kind in link.kinds if kind not in load("reference").by_name]
    assert len(planted) == 1
    for name in ("reference", "netra"):
        file = load(name).file
        assert planted[0] not in {*file.events, *file.aliases, *file.legacy}
