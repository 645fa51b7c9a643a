"""A user over real sockets: what was planned is sent, or dropped and counted; no failure of a connection ends the user."""

from __future__ import annotations

import asyncio
import errno
import json
import random
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from time import monotonic_ns
from typing import Any

import gevent
import gevent.event
import pytest
from websockets.asyncio.server import ServerConnection

from loadtests import chat as module
from loadtests.chat import Chat
from loadtests.conversation import Ask, Failure, Fetch, Outcome, Run, Steps, Wait
from loadtests.dial import Target
from loadtests.door import Door
from loadtests.history import COHORTS, End, RowKind
from loadtests.retry import Policy
from loadtests.rundir import RunData, read_run
from loadtests.session import Identity, Session
from loadtests.transport import DialError
from reports.replay import replay
from tests.loadtests.histories import NONCE, Bench
from tests.loadtests.servers import Agent, answer_whole, closed_port, in_thread, raw_server, read_request, until

pytestmark = pytest.mark.live
NS_PER_MS = 1_000_000
QUICK = """
contract: 1
name: quick
extends: netra
handshake: {ready: connection_established, timeout_ms: 150}
turn: {deadline_ms: 300, recovery_ms: 300}
"""


CHATS: list[Chat] = []


def ring_for_ever() -> None:
    """What the load process does a few times a second."""
    while True:
        for chat in CHATS:
            chat.ring(monotonic_ns())
        gevent.sleep(0.01)


@pytest.fixture(autouse=True)
def no_test_hangs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("loadtests.conversation.CONNECT_TIMEOUT_S", 0.5)
    ringer = gevent.spawn(ring_for_ever)
    try:
        with gevent.Timeout(20):
            yield
    finally:
        CHATS.clear()
        ringer.kill()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    path = tmp_path / "quick.yaml"
    path.write_text(QUICK)
    return Bench(tmp_path / "run", str(path))


def agent(bench: Bench, **how: Any) -> Agent:
    events = {rule.role: rule.name for rule in reversed(bench.contract.events)}
    return Agent(events, bench.contract.file.handshake.ready, **{"on_message": answer_whole, **how})


def user(bench: Bench, port: int, policy: Policy | None = None) -> Chat:
    contract = bench.contract
    identity = Identity(NONCE, 1, COHORTS.index("direct"))
    session = Session(contract, bench.rules, identity, bench.recorder, bench.found.append, lambda: "now")
    dial = Target.parse(f"ws://127.0.0.1:{port}", contract.file.endpoint).dial(contract.file.auth, None, None)
    quick = policy or Policy(base_ms=2, cap_ms=10, attempts=4)
    chat = Chat(session, contract, Door(lambda _: dial), quick, random.Random(1), gevent.event.Event())
    CHATS.append(chat)
    return chat


def turn(chat: Chat, within_ms: int = 2000) -> bool:
    now = monotonic_ns()
    return chat.run_turn(now, "hello", now + within_ms * NS_PER_MS)


def recorded(bench: Bench) -> RunData:
    bench.recorder.close()
    return read_run(bench.path)


def kinds(data: RunData) -> list[str]:
    return [RowKind(kind).name for kind in data.rows["kind"].tolist()]


def ends(data: RunData) -> list[End]:
    return [End(code) for code in data.rows["code"][data.rows["kind"] == RowKind.END].tolist()]


def drops(data: RunData) -> list[str]:
    return [data.strings[text] for text in data.rows["text"][data.rows["kind"] == RowKind.DROP].tolist()]


def test_turns_are_sent_and_end_and_the_goodbye_is_polite(bench: Bench) -> None:
    one = agent(bench)
    told: list[End] = []
    with in_thread(one) as port:
        chat = user(bench, port)
        chat.conversation.on_turn = lambda end, *_: told.append(end)
        assert [turn(chat), turn(chat)] == [True, True]
        chat.stop()
        chat.stop()
    data = recorded(bench)
    assert (told, ends(data), bench.found) == ([End.OK, End.OK], [End.OK, End.OK], [])
    assert kinds(data)[:3] == ["DIAL", "OPEN", "EVENT"]
    assert kinds(data)[-2:] == ["CLOSE", "STOP"]
    assert data.rows["code"][-2] == 1000
    assert len(one.heard) == 2


def test_nobody_there_is_a_dropped_turn_and_not_the_end(bench: Bench) -> None:
    with closed_port() as port:
        chat = user(bench, port)
        assert not turn(chat, within_ms=100)
    with in_thread(agent(bench), port=port):
        assert turn(chat)
        chat.stop()
    data = recorded(bench)
    assert (drops(data), ends(data), bench.found) == (["not connected"], [End.OK], [])
    assert kinds(data).count("FAILED") == kinds(data).count("DIAL") - 1 >= 4
    assert "GAVE_UP" in kinds(data)


def test_waits_between_attempts_are_bounded_and_never_none(bench: Bench) -> None:
    with closed_port() as port:
        chat = user(bench, port, Policy(base_ms=20, cap_ms=40, attempts=3))
        turn(chat, within_ms=300)
    data = recorded(bench)
    dials = data.rows["received"][data.rows["kind"] == RowKind.DIAL].tolist()
    assert 5 <= len(dials) <= 60
    assert all(after - before < 200 * NS_PER_MS for before, after in pairwise(dials))


def test_a_server_that_closes_in_every_turn_is_come_back_to(bench: Bench) -> None:
    async def hang_up(one: Agent, socket: ServerConnection, message: dict[str, Any]) -> None:
        await socket.send(one.event("started", message))
        await socket.close(1011)

    one = agent(bench, on_message=hang_up)
    with in_thread(one) as port:
        chat = user(bench, port)
        assert [turn(chat), turn(chat)] == [True, True]
        chat.stop()
    data = recorded(bench)
    assert ends(data) == [End.TIMEOUT, End.TIMEOUT]
    assert sorted({finding.kind.name for finding in bench.found}) == ["abnormal-close", "never-ended"]
    assert one.opened >= 3
    assert sorted(map(repr, replay(data).findings)) == sorted(map(repr, bench.found))


def test_a_clean_close_in_a_turn_is_told_as_one(bench: Bench) -> None:
    async def hang_up(one: Agent, socket: ServerConnection, message: dict[str, Any]) -> None:
        await socket.send(one.event("started", message))
        await socket.close(1000)

    with in_thread(agent(bench, on_message=hang_up)) as port:
        chat = user(bench, port)
        turn(chat)
        chat.stop()
    assert sorted(finding.kind.name for finding in bench.found) == ["closed-early", "never-ended"]


def test_a_cut_turn_that_is_recovered_on_the_next_connection_ends_well(bench: Bench) -> None:
    async def hang_up(one: Agent, socket: ServerConnection, message: dict[str, Any]) -> None:
        await socket.send(one.event("started", message))
        await socket.close(1001)

    async def flush(one: Agent, socket: ServerConnection) -> bool:
        if one.heard:
            await socket.send(json.dumps({"type": one.ready}))
            for role in ("thinking", "tool-open", "tool-close", "done"):
                stored = json.loads(one.event(role, one.heard[0]))
                await socket.send(json.dumps({"type": "stored", "recovered": True, "data": stored}))
            await socket.wait_closed()
        return not one.heard

    with in_thread(agent(bench, on_message=hang_up, on_open=flush)) as port:
        chat = user(bench, port)
        assert turn(chat)
        chat.stop()
    assert (ends(recorded(bench)), bench.found) == ([End.OK], [])


def test_a_message_that_a_cut_may_have_swallowed_is_in_doubt(bench: Bench) -> None:
    async def hang_up(_: Agent, socket: ServerConnection, message: dict[str, Any]) -> None:
        await socket.close(1001)

    with in_thread(agent(bench, on_message=hang_up)) as port:
        chat = user(bench, port)
        turn(chat)
        chat.stop()
    assert ends(recorded(bench)) == [End.IN_DOUBT]


def test_a_silent_server_is_given_up_at_the_deadline(bench: Bench) -> None:
    async def nothing(*_: object) -> None:
        """Accepted, and never a word."""

    with in_thread(agent(bench, on_message=nothing)) as port:
        chat = user(bench, port)
        began = monotonic_ns()
        turn(chat)
        took_ms = (monotonic_ns() - began) / NS_PER_MS
        chat.stop()
    assert (ends(recorded(bench)), [finding.kind.name for finding in bench.found]) == ([End.TIMEOUT], ["silent"])
    assert 290 < took_ms < 2000


def test_a_server_that_never_welcomes_is_told_and_tried_again(bench: Bench) -> None:
    async def mute(_: Agent, socket: ServerConnection) -> bool:
        await socket.wait_closed()
        return False

    one = agent(bench, on_open=mute)
    with in_thread(one) as port:
        chat = user(bench, port)
        assert not turn(chat, within_ms=400)
        chat.stop()
    data = recorded(bench)
    assert {finding.kind.name for finding in bench.found} == {"never-ready"}
    assert drops(data) == ["not connected"]
    assert one.opened >= 2


def test_after_a_fatal_close_no_client_comes_back(bench: Bench) -> None:
    async def refuse(_: Agent, socket: ServerConnection) -> bool:
        await socket.close(1008, "not you")
        return False

    one = agent(bench, on_open=refuse)
    with in_thread(one) as port:
        chat = user(bench, port)
        assert [turn(chat), turn(chat)] == [False, False]
        chat.stop()
    data = recorded(bench)
    assert (one.opened, drops(data)) == (1, ["refused for good"] * 2)
    assert kinds(data).count("DIAL") == kinds(data).count("GAVE_UP") == 1


@pytest.mark.parametrize(("status", "again"), [(401, False), (403, False), (503, True)])
def test_only_a_refusal_of_credentials_is_for_good(bench: Bench, status: int, again: bool) -> None:
    def answer(one: Any) -> None:
        read_request(one)
        one.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)

    with raw_server(answer, connections=3 if again else 1) as port:
        chat = user(bench, port, Policy(base_ms=1, cap_ms=1, attempts=100))
        assert not turn(chat, within_ms=150)
        chat.stop()
    assert (kinds(recorded(bench)).count("DIAL") > 1) is again


def test_a_schedule_is_kept_and_what_is_late_is_dropped(bench: Bench) -> None:
    now = monotonic_ns()
    with in_thread(agent(bench)) as port:
        chat = user(bench, port)
        schedule = iter([-5000.0, -4000.0, 20.0, 60.0, 10_000.0])
        chat.live(schedule, now, now + 200 * NS_PER_MS, 100, lambda: Ask("hello"))
    data = recorded(bench)
    assert drops(data) == ["late by more than a pace"] * 2
    assert ends(data) == [End.OK, End.OK]
    sends = data.rows[data.rows["kind"] == RowKind.SEND]
    assert sends["intended"].tolist() == [now + 20 * NS_PER_MS, now + 60 * NS_PER_MS]
    assert (sends["received"] >= sends["intended"]).all()
    assert chat.stopped
    assert kinds(data)[-1] == "STOP"


def test_a_connection_that_breaks_between_turns_is_made_again_at_once(bench: Bench) -> None:
    async def answer_and_leave(one: Agent, socket: ServerConnection, message: dict[str, Any]) -> None:
        await answer_whole(one, socket, message)
        await socket.close(1001)

    one = agent(bench, on_message=answer_and_leave)
    now = monotonic_ns()
    with in_thread(one) as port:
        chat = user(bench, port)
        waiting = gevent.spawn(
            chat.live, iter([0.0, 5000.0]), now, now + 60_000 * NS_PER_MS, 10_000, lambda: Ask("hello")
        )
        until(lambda: one.opened == 2 and chat.session.ready, "the second connection")
        assert len(one.heard) == 1
        waiting.kill()
        chat.cut()


def test_a_run_that_is_killed_censors_the_turn_in_flight(bench: Bench) -> None:
    async def start(one: Agent, socket: ServerConnection, message: dict[str, Any]) -> None:
        await socket.send(one.event("started", message))
        await socket.wait_closed()

    one = agent(bench, on_message=start)
    with in_thread(one) as port:
        chat = user(bench, port)
        running = gevent.spawn(turn, chat)
        until(lambda: chat.session.flight and chat.session.flight.events, "the first event")
        running.kill()
        chat.cut()
        chat.cut()
    data = recorded(bench)
    assert (ends(data), bench.found) == ([End.CUT_BY_STOP], [])
    assert kinds(data)[-2:] == ["CLOSE", "STOP"]


# -- faults of our own side --------------------------------------------------------------------------------------------


def test_a_sleeper_blames_nobody_for_what_it_did_not_read(bench: Bench) -> None:
    """Asleep for longer than any turn may take; all that is owed came meanwhile."""
    gate = threading.Event()

    async def slowly(one: Agent, socket: ServerConnection, message: dict[str, Any]) -> None:
        await socket.send(one.event("started", message))
        await asyncio.to_thread(gate.wait, 10)
        for role in ("thinking", "tool-open", "tool-close", "done"):
            await socket.send(one.event(role, message))

    with in_thread(agent(bench, on_message=slowly)) as port:
        chat = user(bench, port)
        running = gevent.spawn(turn, chat)
        until(lambda: chat.session.flight and chat.session.flight.events, "the first event")
        assert chat.fall_asleep()
        gate.set()
        gevent.sleep(0.5)  # the contract gives a turn 0.3 s
        assert chat.session.flights
        assert chat.unread_bytes() > 0
        chat.look()
        gevent.sleep(0.05)
        chat.wake()
        running.join()
        chat.stop()
    assert (ends(recorded(bench)), bench.found) == ([End.OK], [])


def test_a_sleeper_whose_answer_is_not_there_yet_waits_for_it_as_after_a_cut(bench: Bench) -> None:
    gate = threading.Event()

    async def slowly(one: Agent, socket: ServerConnection, message: dict[str, Any]) -> None:
        await asyncio.to_thread(gate.wait, 10)
        await answer_whole(one, socket, message)

    one = agent(bench, on_message=slowly)
    with in_thread(one) as port:
        chat = user(bench, port)
        running = gevent.spawn(turn, chat)
        until(lambda: one.heard, "the message")
        assert chat.fall_asleep()
        gevent.sleep(0.5)  # the contract gives a turn 0.3 s, and 0.3 s after a cut
        chat.look()
        chat.wake()
        gevent.sleep(0.05)
        gate.set()
        running.join()
        chat.stop()
    assert (ends(recorded(bench)), bench.found) == ([End.OK], [])


def test_a_sleeper_does_nothing_until_it_is_woken(bench: Bench) -> None:
    one = agent(bench)
    now = monotonic_ns()
    with in_thread(one) as port:
        chat = user(bench, port)
        schedule = iter([0.0, 150.0, 300.0, 2000.0])
        living = gevent.spawn(chat.live, schedule, now, now + 1000 * NS_PER_MS, 100, lambda: Ask("hello"))
        until(lambda: len(one.heard) == 1 and not chat.session.flights, "the first turn")
        assert chat.fall_asleep()
        gevent.sleep(0.6)
        assert len(one.heard) == 1
        chat.look()
        chat.wake()
        living.join()
    data = recorded(bench)
    assert drops(data) == ["late by more than a pace"] * 2
    assert (ends(data), bench.found) == ([End.OK], [])


def test_who_is_dismissed_in_its_sleep_learns_it_when_it_wakes_and_comes_back(bench: Bench) -> None:
    dismiss = threading.Event()

    async def leave(one: Agent, socket: ServerConnection, message: dict[str, Any]) -> None:
        await answer_whole(one, socket, message)
        if one.opened == 1:
            await asyncio.to_thread(dismiss.wait, 10)
            await socket.close(1011, "where are you?")

    one = agent(bench, on_message=leave)
    with in_thread(one, close_timeout=0.1) as port:
        chat = user(bench, port)
        turn(chat)
        assert chat.fall_asleep()
        dismiss.set()
        gevent.sleep(0.2)
        assert chat.session.open
        chat.look()
        gevent.sleep(0.05)
        chat.wake()
        assert not chat.session.open
        turn(chat)
        chat.stop()
    assert (one.opened, ends(recorded(bench))) == (2, [End.OK, End.OK])


def test_who_stops_reading_goes_on_sending_and_gives_nothing_up(bench: Bench) -> None:
    one = agent(bench)
    with in_thread(one) as port:
        chat = user(bench, port)
        turn(chat)
        assert chat.stop_reading()
        running = gevent.spawn(turn, chat)
        until(lambda: len(one.heard) == 2, "the second message")
        gevent.sleep(0.5)
        assert chat.session.flights
        chat.look()
        gevent.sleep(0.05)
        chat.wake()
        running.join()
        chat.stop()
    assert (ends(recorded(bench)), bench.found) == ([End.OK, End.OK], [])


@pytest.mark.parametrize("reset", [True, False])
def test_who_loses_its_connection_comes_back_and_the_row_says_whose_act_it_was(bench: Bench, reset: bool) -> None:
    one = agent(bench)
    with in_thread(one) as port:
        chat = user(bench, port)
        assert not chat.lose("nobody is there yet", reset=reset)
        turn(chat)
        assert chat.lose("our own act", reset=reset)
        assert not chat.lose("twice", reset=reset)
        turn(chat)
        chat.stop()
        assert not chat.lose("too late", reset=reset)
    data = recorded(bench)
    closes = data.rows[data.rows["kind"] == RowKind.CLOSE]
    assert [(int(row["code"]), data.strings[row["text"]]) for row in closes] == [(1006, "our own act"), (1000, "")]
    assert (one.opened, ends(data)) == (2, [End.OK, End.OK])
    # left for the judge, who knows the window, to explain
    assert [finding.kind.name for finding in bench.found] == ["abnormal-close"]


def test_who_leaves_a_path_hands_its_socket_over_and_comes_back_by_another(bench: Bench) -> None:
    one = agent(bench)
    with in_thread(one) as port:
        chat = user(bench, port)
        assert chat.leave("nothing to leave") is None
        turn(chat)
        left = chat.leave("our own act")
        turn(chat)
        assert left.fileno() >= 0
        left.close()
        chat.stop()
        assert chat.leave("too late") is None
    assert (one.opened, ends(recorded(bench))) == (2, [End.OK, End.OK])


def test_nobody_is_hit_without_a_connection(bench: Bench) -> None:
    with closed_port() as port:
        chat = user(bench, port)
        assert (chat.fall_asleep(), chat.stop_reading(), chat.unread_bytes()) == (False, False, 0)
        chat.look()
        chat.wake()
        chat.cut()


def begun(what: Fetch | Run) -> Steps[Any]:
    pending = yield what
    while pending.result is None:
        yield Wait(None)
    return pending.result


def test_a_function_that_blocks_its_thread_stops_nobody_else(bench: Bench) -> None:
    chat, released = user(bench, 1), threading.Event()
    gevent.spawn_later(0.05, released.set)  # never, if the hub stood still
    assert chat._perform(begun(Run(lambda: released.wait(15)))) == Outcome(value=True)


def test_whatever_a_function_raises_is_given_to_whoever_called_it(bench: Bench) -> None:
    outcome = user(bench, 1)._perform(begun(Run(lambda: {}["nothing"])))
    assert (outcome.value, type(outcome.error)) == (None, KeyError)


def test_an_http_request_that_nobody_answers_is_a_failure_with_its_path(bench: Bench) -> None:
    with closed_port() as port:
        failure = user(bench, port)._perform(begun(Fetch("GET", "/threads", {}, None, 2.0)))
    assert isinstance(failure, Failure)
    assert failure.code < 0
    assert failure.text.startswith("GET /threads: ")


@pytest.mark.parametrize(("code", "told"), [(errno.EMFILE, ["EMFILE"]), (errno.ECONNREFUSED, [])])
def test_what_this_host_lacks_is_counted_as_our_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, code: int, told: list[str]
) -> None:
    class Lacking:
        def __init__(self, *_: Any) -> None:
            """Takes what a connection takes."""

        def connect(self, timeout_s: float) -> None:
            raise DialError("tcp", -code, f"nothing within {timeout_s:g} s")

        def abort(self, *, reset: bool = False) -> None:
            """Nothing is open."""

    monkeypatch.setattr(module, "Connection", Lacking)
    one = user(bench, 1)
    heard: list[str] = []
    one.on_error = heard.append
    assert not one.ensure_ready(monotonic_ns() + 50 * NS_PER_MS)
    assert sorted(set(heard)) == told
