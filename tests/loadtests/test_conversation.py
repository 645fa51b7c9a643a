"""What a user does next, driven in virtual time: turns, cuts, deadlines, interference, and what is dropped."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtests.conversation import Ask, Conversation, Dial, Failure, Hangup, Pause, Steps, Wait
from loadtests.history import End, Flag, RowKind
from loadtests.pool import Pool
from loadtests.retry import Policy
from loadtests.session import Identity, Session
from tests.loadtests.histories import NONCE, Bench

MS = 1_000_000
STOPPABLE = """
contract: 1
name: stoppable
extends: reference
cancel: {template: {type: stop_agent, payload: {run_id: "{turn}"}}, within_ms: 500}
turn: {deadline_ms: 2000, recovery_ms: 1000, interrupted: resumed, concurrent: queue}
"""


class Wire:
    """A backend of few words and its connection, in virtual time; ``plan``: what happens when, beside the answers."""

    def __init__(self, bench: Bench, policy: Policy | None = None) -> None:
        self.now_ns = 0
        self.is_open = False
        self.heard: list[dict[str, Any]] = []
        self.requests: list[Any] = []
        self.failures: list[Failure] = []
        self.silent = False
        self.answer_after_ms = 5.0
        self.over = False
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._rung = False
        self._cursor = 0
        self.bench = bench
        contract = bench.contract
        self.session = Session(
            contract, bench.rules, Identity(NONCE, 1), bench.recorder, bench.found.append, lambda: "now"
        )
        self.session.wake = self._ring
        self.conversation = Conversation(
            self.session, contract, policy or Policy(base_ms=10, cap_ms=100, attempts=4), random.Random(1), self, lambda: self.now_ns,
            lambda: self.over,
        )  # fmt: skip
        self._names = {rule.role: rule.name for rule in reversed(contract.events)}

    def _ring(self) -> None:
        self._rung = True

    def at(self, ms: float, what: Callable[[], None]) -> None:
        self._due.append((int(ms * MS), next(self._count), what))
        self._due.sort()

    def run(self, steps: Steps[Any]) -> Any:
        """Perform a part of the conversation; returns what it returns."""
        answer: Any = None
        while True:
            try:
                request = steps.send(answer)
            except StopIteration as end:
                return end.value
            self.requests.append(request)
            answer = None
            if isinstance(request, Dial):
                self._pass(self.now_ns + MS)
                answer = self._dial()
            elif isinstance(request, Hangup):
                self.abort()
            elif isinstance(request, Pause):
                self._pass(request.until_ns)
            else:
                self._wait(request)

    def _wait(self, request: Wait) -> None:
        until = request.until_ns if request.until_ns is not None else 1 << 62
        while not self._rung and self.now_ns < until:
            assert self._due or until < 1 << 61, "would wait for ever"
            self._pass(min(self._due[0][0] if self._due else until, until))
        self._rung = False

    def _pass(self, until_ns: int) -> None:
        while self._due and self._due[0][0] <= until_ns:
            self.now_ns, _, what = self._due.pop(0)
            what()
        self.now_ns = max(self.now_ns, until_ns)

    def _dial(self) -> Failure | None:
        if self.failures:
            return self.failures.pop(0)
        self.is_open = True
        self.session.opened(self.now_ns)
        self._frame(type=self.bench.contract.file.handshake.ready, data={"stream_id": "st", "last_seq": 0})
        return None

    def _frame(self, **frame: Any) -> None:
        if self.is_open:
            self.session.frame(json.dumps(frame).encode(), self.now_ns)

    def send(self, message: bytes) -> None:
        said = json.loads(message)
        self.heard.append(said)
        if said["type"] == self.bench.contract.file.resume.ask.get("type"):
            self._frame(type=self.bench.contract.file.resume.answer, data={"resumed": True, "last_seq": self._cursor})
        elif said["type"] == "user_message" and not self.silent:
            run = said["payload"]["run_id"]
            for step, role in enumerate(("started", "thinking", "tool-open", "tool-close", "done"), start=1):
                self.at(self.now_ns / MS + step * self.answer_after_ms, lambda role=role, run=run: self._say(role, run))

    def _say(self, role: str, run: str) -> None:
        if self.is_open:
            self._cursor += 1
            ids = {"run_id": run, "agent_name": "supervisor", "seq": self._cursor, "stream_id": "st"}
            more = {
                "tool_name": "search",
                "execution_id": "e",
                "results": {"n": 1},
                "reasoning": "hm",
                "status": "completed",
            }
            self._frame(type=self._names[role], **ids, **more)

    def abort(self, *, reset: bool = False) -> None:
        self.is_open = False

    def cut(self, code: int = 1006) -> None:
        self.is_open = False
        self.conversation.closed(code, "", self.now_ns)

    def kinds(self) -> list[str]:
        return [RowKind(row["kind"]).name for row in self.bench.rows()]


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    path = tmp_path / "stoppable.yaml"
    path.write_text(STOPPABLE)
    return Wire(Bench(tmp_path / "run", str(path)))


def turn(wire: Wire, ask: Ask | None = None, within_ms: int = 1000) -> bool:
    result: bool = wire.run(wire.conversation.run_turn(wire.now_ns, ask or Ask("hello"), wire.now_ns + within_ms * MS))
    return result


def test_a_turn_is_sent_and_ends_and_costs_one_wait(wire: Wire) -> None:
    assert turn(wire)
    wire.requests.clear()
    assert turn(wire)
    assert [type(one) for one in wire.requests] == [Wait]
    assert (wire.session.last_end, wire.bench.found) == (End.OK, [])


def test_a_failed_dial_is_tried_again_with_pauses_until_it_succeeds(wire: Wire) -> None:
    wire.failures = [Failure(-111, "refused")] * 3
    assert turn(wire)
    assert sum(isinstance(one, Dial) for one in wire.requests) == 4
    assert sum(isinstance(one, Pause) for one in wire.requests) == 3


def test_a_fatal_failure_ends_all_trying(wire: Wire) -> None:
    wire.failures = [Failure(401, "who?")]
    assert not turn(wire)
    assert not turn(wire)
    assert sum(isinstance(one, Dial) for one in wire.requests) == 1
    assert wire.kinds().count("DROP") == 2


def test_who_is_sent_away_for_good_in_a_turn_does_not_come_back_even_once(wire: Wire) -> None:
    wire.at(12, lambda: wire.cut(1008))
    assert turn(wire)
    assert not turn(wire)
    assert sum(isinstance(one, Dial) for one in wire.requests) == 1
    assert wire.kinds().count("GAVE_UP") == 1


def test_a_code_that_the_policy_alone_calls_fatal_ends_all_trying(tmp_path: Path) -> None:
    wire = Wire(Bench(tmp_path), Policy(base_ms=10, cap_ms=100, attempts=4, fatal=(4321,)))
    wire.at(12, lambda: wire.cut(4321))
    assert turn(wire)
    assert not turn(wire)
    assert sum(isinstance(one, Dial) for one in wire.requests) == 1


def test_an_outage_longer_than_the_policy_does_not_lose_the_user(wire: Wire) -> None:
    wire.failures = [Failure(-111, "refused")] * 20
    assert turn(wire, within_ms=60_000)
    assert "GAVE_UP" in wire.kinds()


def test_a_cut_turn_is_resumed_and_ends(wire: Wire) -> None:
    wire.at(12, wire.cut)
    assert turn(wire)
    assert wire.session.connection == 2
    assert "CLAIM" in wire.kinds()


def test_a_turn_without_its_end_is_given_up_at_its_deadline(wire: Wire) -> None:
    assert turn(wire)
    began, wire.silent = wire.now_ns, True
    assert turn(wire)
    assert wire.session.last_end is End.TIMEOUT
    assert 2000 <= (wire.now_ns - began) / MS < 2100


def test_a_cancelled_turn_that_goes_on_is_given_up_sooner_and_said_so(wire: Wire) -> None:
    assert turn(wire)
    wire.answer_after_ms = 400
    began = wire.now_ns
    assert turn(wire, Ask("hello", cancel_after_ms=100))
    assert wire.heard[-1]["type"] == "stop_agent"
    assert wire.heard[-1]["payload"]["run_id"] == f"run_{wire.session.tag}t2"
    assert 600 <= (wire.now_ns - began) / MS < 700
    wire.run(wire.conversation.stop())
    assert [finding.kind.name for finding in wire.bench.found] == ["cancel-ignored"]


def test_nothing_is_cancelled_that_has_ended(wire: Wire) -> None:
    assert turn(wire, Ask("hello", cancel_after_ms=500))
    assert "CANCEL" not in wire.kinds()


def test_a_second_message_is_sent_while_the_first_is_under_way_and_both_are_awaited(wire: Wire) -> None:
    wire.answer_after_ms = 50
    assert turn(wire, Ask("hello", second="and?", second_after_ms=10))
    said = [one["payload"]["content"].partition(" [")[0] for one in wire.heard if one["type"] == "user_message"]
    assert said == ["hello", "and?"]
    assert wire.kinds().count("END") == 2
    # This backend answers both at once, which its contract (queue) forbids.
    assert {finding.kind.name for finding in wire.bench.found} == {"overlapped"}


def test_a_planned_turn_that_is_late_by_more_than_a_pace_is_dropped_and_counted(wire: Wire) -> None:
    wire.answer_after_ms = 60
    wire.run(wire.conversation.live(iter([0.0, 10.0, 20.0, 5000.0]), 0, 4000 * MS, 100, lambda: Ask("hello")))
    kinds = wire.kinds()
    assert (kinds.count("SEND"), kinds.count("DROP"), kinds[-1]) == (1, 2, "STOP")


class Outside:
    """A pool of one seat that is the wire's, and what it dropped."""

    def __init__(self, wire: Wire) -> None:
        self.dropped: list[tuple[int, int, str]] = []
        self.pool = Pool(300 * MS, lambda _: "all", lambda *one: self.dropped.append(one))
        self.seat = self.pool.seat(1, wire.session.wake)
        self._wire = wire

    def arrives(self, *at_ms: float) -> None:
        for at in at_ms:
            self._wire.at(at, lambda at=at: self.pool.arrive(1, int(at * MS)))

    def serve(self, end_ms: int = 1000) -> list[tuple[int, int]]:
        """(meant for, sent) in ms, of all turns."""
        wire = self._wire
        wire.at(end_ms, self.pool.close)
        wire.run(wire.conversation.serve(self.seat, end_ms * MS, 300, lambda: Ask("hello")))
        sends = [row for row in wire.bench.rows() if row["kind"] == RowKind.SEND]
        return [(int(row["intended"]) // MS, int(row["sent"]) // MS) for row in sends]


def test_who_serves_takes_what_arrives_at_once_and_what_came_meanwhile_behind_it(wire: Wire) -> None:
    outside = Outside(wire)
    outside.arrives(100, 110, 500)
    assert outside.serve() == [(100, 100), (110, 125), (500, 500)]
    assert (wire.conversation.settled, outside.dropped) == (True, [])


def test_who_is_cut_while_nothing_arrives_is_back_for_what_comes_next(wire: Wire) -> None:
    outside = Outside(wire)
    wire.at(200, wire.cut)
    outside.arrives(400)
    assert outside.serve() == [(400, 400)]
    assert wire.kinds().count("READY") == 2


def test_what_arrives_while_nobody_is_connected_is_sent_late(wire: Wire) -> None:
    outside = Outside(wire)
    wire.at(200, wire.cut)
    wire.failures = [Failure(0, "refused")] * 2
    wire.at(0.5, wire.failures.clear)  # not before it is connected first
    wire.at(199, lambda: wire.failures.extend([Failure(0, "refused")] * 2))
    outside.arrives(201)
    ((intended, sent),) = outside.serve()
    assert intended == 201
    assert 203 <= sent <= 500


def test_what_was_given_to_somebody_who_must_stop_is_dropped_and_not_lost(wire: Wire) -> None:
    outside = Outside(wire)

    def stop() -> None:
        outside.pool.arrive(1, 400 * MS)
        wire.over = True

    wire.at(400, stop)
    assert outside.serve() == []
    (drop,) = [row for row in wire.bench.rows() if row["kind"] == RowKind.DROP]
    assert int(drop["intended"]) == 400 * MS


def test_who_is_refused_for_good_is_given_nothing_and_stays_to_the_end(wire: Wire) -> None:
    outside = Outside(wire)
    wire.failures = [Failure(401, "refused", fatal=True)]
    outside.arrives(100)
    assert outside.serve() == []
    assert outside.dropped == [(1, 100 * MS, "nobody was free before the run's end")]
    assert wire.now_ns == 1000 * MS


def test_who_is_refused_for_good_leaves_its_seat_to_others(wire: Wire) -> None:
    outside = Outside(wire)
    given: list[int] = []
    other = outside.pool.seat(2, lambda: given.append(other.taken()))
    wire.at(50, lambda: (setattr(wire, "failures", [Failure(401, "gone", fatal=True)]), wire.cut()))
    wire.at(90, other.offer)
    wire.at(100, lambda: outside.pool.arrive(3, 100 * MS))
    assert outside.serve() == []
    assert given[:1] == [100 * MS]


def test_who_is_refused_in_a_closed_model_plans_no_more_turns(wire: Wire) -> None:
    wire.failures = [Failure(401, "refused", fatal=True)]

    def at_once() -> Iterator[float]:
        while True:
            yield wire.now_ns / MS

    wire.run(wire.conversation.live(at_once(), 0, 1000 * MS, 50, lambda: Ask("hello"), closed=True))
    assert wire.kinds().count("DROP") <= 1
    assert wire.conversation.settled


def test_a_visitor_who_is_refused_waits_and_does_not_spin(wire: Wire) -> None:
    wire.conversation.visit = lambda: (0.02, 0.0)
    wire.at(15, lambda: (setattr(wire, "failures", [Failure(401, "gone", fatal=True)]), wire.cut()))
    wire.run(wire.conversation.live(iter([900.0]), 0, 1000 * MS, 50, lambda: Ask("hello")))
    assert len(wire.requests) < 20


def test_nobody_with_nothing_to_say_is_dialled_once_the_run_wants_no_more(wire: Wire) -> None:
    wire.failures = [Failure(0, "down")] * 1000
    wire.at(200, lambda: setattr(wire, "over", True))
    wire.run(wire.conversation.live(iter([900.0]), 0, 1000 * MS, 50, lambda: Ask("hello")))
    assert wire.now_ns < 400 * MS
    assert wire.conversation.settled


def test_who_has_nothing_more_to_say_may_be_asked_to_stay(wire: Wire) -> None:
    wire.run(wire.conversation.live(iter([10.0]), 0, 1000 * MS, 50, lambda: Ask("hello"), stay_until_ns=1000 * MS))
    assert (wire.now_ns, wire.kinds().count("END")) == (1000 * MS, 1)


def visiting(wire: Wire, stay_ms: float, away_ms: float) -> None:
    wire.conversation.visit = lambda: (stay_ms / 1000, away_ms / 1000)


def test_who_comes_and_goes_says_goodbye_between_turns_and_is_back_for_the_next_one(wire: Wire) -> None:
    visiting(wire, 100, 50)
    wire.run(wire.conversation.live(iter([10.0, 300.0]), 0, 400 * MS, 50, lambda: Ask("hello")))
    assert [request for request in wire.requests if isinstance(request, Hangup)] == [Hangup(1000, "")] * 3
    rows = [row for row in wire.bench.rows() if row["kind"] == RowKind.CLOSE]
    assert [int(row["flags"]) & int(Flag.OURS) for row in rows] == [int(Flag.OURS)] * 3
    assert [int(row["received"]) // MS for row in rows[:2]] == [101, 252]
    sends = [row for row in wire.bench.rows() if row["kind"] == RowKind.SEND]
    assert [(int(row["sent"]) // MS, int(row["connection"])) for row in sends] == [(10, 1), (301, 3)]


def test_nobody_leaves_in_the_middle_of_a_turn(wire: Wire) -> None:
    visiting(wire, 20, 0)
    wire.run(wire.conversation.live(iter([10.0]), 0, 60 * MS, 50, lambda: Ask("hello"), stay_until_ns=60 * MS))
    (end,) = [row for row in wire.bench.rows() if row["kind"] == RowKind.END]
    closes = [int(row["received"]) for row in wire.bench.rows() if row["kind"] == RowKind.CLOSE]
    assert closes[0] >= int(end["received"])


def test_who_is_away_when_no_more_turns_are_wanted_need_not_come_back(wire: Wire) -> None:
    visiting(wire, 100, 5000)

    def stop() -> None:
        wire.over = True
        wire.session.wake()

    wire.at(300, stop)
    wire.run(wire.conversation.live(iter([10.0, 9000.0]), 0, 9500 * MS, 50, lambda: Ask("hello")))
    assert (wire.now_ns, wire.session.connection) == (300 * MS, 1)


def test_who_is_away_is_given_nothing(wire: Wire) -> None:
    visiting(wire, 100, 300)
    outside = Outside(wire)
    outside.arrives(150, 420)
    assert outside.serve(1000) == [(150, 402), (420, 427)]


def test_the_runs_end_cuts_what_is_in_flight(wire: Wire) -> None:
    assert turn(wire)
    wire.session.begin(wire.now_ns, "hello", wire.now_ns)
    wire.conversation.cut()
    wire.conversation.cut()
    kinds = wire.kinds()
    assert (wire.session.last_end, kinds[-3:]) == (End.CUT_BY_STOP, ["END", "CLOSE", "STOP"])


def test_a_run_killed_during_the_goodbye_is_settled_once(wire: Wire) -> None:
    assert turn(wire)
    steps = wire.conversation.stop()
    assert isinstance(next(steps), Hangup)
    wire.conversation.cut()
    with pytest.raises(StopIteration):
        steps.send(None)
    assert wire.kinds().count("STOP") == 1


QUIET = """
contract: 1
name: quiet
extends: reference
control: {keepalive: {send: {type: ping}, every_ms: 1000, expect: pong}}
"""


@pytest.mark.parametrize("answered", [True, False])
def test_who_does_not_answer_a_ping_is_hung_up_on_and_another_connection_made(tmp_path: Path, answered: bool) -> None:
    (tmp_path / "quiet.yaml").write_text(QUIET)
    wire = Wire(Bench(tmp_path / "run", str(tmp_path / "quiet.yaml")))
    for tenth in range(1, 60):
        wire.at(tenth * 100, wire.conversation.beat)
        if answered:
            wire.at(tenth * 100 + 1, lambda: wire._frame(type="pong"))
    wire.run(wire.conversation.live(iter([5_000.0]), 0, 6_000 * MS, 10_000, lambda: Ask("hello")))
    kinds = [finding.kind.name for finding in wire.bench.found]
    assert (kinds, wire.session.connection) == (([], 1) if answered else (["unanswered"] * 2, 3))
    assert wire.session.last_end is End.OK
