"""One load generator process without Locust: its users' numbers and cohorts, the common start, its account at the end."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic_ns
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from loadtests import acts as acts_module
from loadtests import arrivals, cohorts, process
from loadtests.acts import Act
from loadtests.assignment import Assignment
from loadtests.history import COHORTS, OUR_ERROR, End, RowKind
from loadtests.process import LoadProcess
from loadtests.rundir import read_run
from loadtests.scenario import load as load_scenario
from tests.loadtests.histories import NONCE, compiled, write_frame_of_run
from tests.loadtests.servers import Agent, answer_whole, in_thread, until

pytestmark = pytest.mark.live
SCENARIO = """
scenario: 1
name: short
contract: netra
users: 4
pace_ms: 100
prompts: [hello]
phases: [{name: steady, s: 0.6}]
"""


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Locust's statistics would import Locust; the garbage collector is the test run's own."""
    monkeypatch.setattr(process.livestats, "feed", lambda *_: 0)
    before = gc.get_threshold()
    with gevent.Timeout(20):
        yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    write_frame_of_run(tmp_path, compiled("netra"), nonce=NONCE)
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    return tmp_path


def agent() -> Agent:
    netra = compiled("netra")
    return Agent({rule.role: rule.name for rule in reversed(netra.events)}, netra.file.handshake.ready, answer_whole)


def environment() -> Any:
    fired: list[dict[str, Any]] = []
    request = SimpleNamespace(_handlers=[1, 2], fire=lambda **values: fired.append(values))
    return SimpleNamespace(events=SimpleNamespace(request=request), stats=None, fired=fired)


def made(run_dir: Path, port: int, index: int = 0, **changes: Any) -> LoadProcess:
    facts: dict[str, Any] = {
        "run_dir": str(run_dir), "nonce": NONCE, "seed": 5, "contract": "netra", "scenario": str(run_dir / "scenario.yaml"),
        "target": f"ws://127.0.0.1:{port}", "users": 4,
    }  # fmt: skip
    return LoadProcess(Assignment(**{**facts, **changes}), environment(), index)


@pytest.mark.parametrize(
    ("index", "changes", "numbers"),
    [
        (0, {}, [0, 1, 2]),
        (1, {"workers": 3, "users": 9}, [1, 4, 7]),
        (1, {"workers": 3, "users": 6}, [1, 4, None]),
        (2, {"barrier": False}, [2 * process.STRIDE, 2 * process.STRIDE + 1, 2 * process.STRIDE + 2]),
    ],
)
def test_users_of_all_processes_have_numbers_of_their_own(
    run_dir: Path, index: int, changes: dict[str, Any], numbers: list[int | None]
) -> None:
    one = made(run_dir, 1, index, **changes)
    assert [made and made[0] for made in (one.chat() for _ in range(3))] == numbers
    one.stop()


def test_a_whole_run_from_the_common_start_to_the_account(run_dir: Path) -> None:
    with in_thread(agent()) as port:
        one = made(run_dir, port)
        users = [one.chat() for _ in range(4)]
        talking = [gevent.spawn(one.converse, number, chat, lambda: "hello", 100) for number, chat in users]
        until((run_dir / "rows" / "worker-0.up").exists, "being up")
        gevent.sleep(0.05)
        assert not [chat for _, chat in users if chat.session.connection]
        start_ns = monotonic_ns() + 50_000_000
        (run_dir / "start.json").write_text(json.dumps({"start_ns": start_ns}))
        until((run_dir / "rows" / "worker-0.done").exists, "the end")
        gevent.joinall(talking)
        one.stop()
    data = read_run(run_dir)
    sends = data.rows[data.rows["kind"] == RowKind.SEND]
    ends = data.rows[data.rows["kind"] == RowKind.END]
    account = data.accounts["worker-0"] or {}
    assert set(sends["session"].tolist()) == {0, 1, 2, 3}
    assert sends["intended"].min() >= start_ns
    assert sends["intended"].max() < start_ns + 600_000_000
    assert set(ends["code"].tolist()) == {End.OK}
    assert (account["users"], account["turns"], account["errors"]) == (4, len(sends), {})
    assert account["rows"] == len(data.rows)


def test_cohorts_dial_their_own_listener_and_are_those_of_the_seed(run_dir: Path) -> None:
    treated, control = agent(), agent()
    with in_thread(treated) as a, in_thread(control) as b:
        listeners = {"treated": ("127.0.0.1", a), "control": ("127.0.0.1", b)}
        one = made(run_dir, 1, listeners=listeners, treated_share=0.25)
        (run_dir / "start.json").write_text(json.dumps({"start_ns": monotonic_ns()}))
        users = [one.chat() for _ in range(4)]
        gevent.joinall([gevent.spawn(one.converse, number, chat, lambda: "hello", 100) for number, chat in users])
        one.stop()
    rows = read_run(run_dir).rows
    hit = set(rows["session"][rows["cohort"] == COHORTS.index("treated")].tolist())
    assert hit == cohorts.treated(5, 4, 0.25)
    assert (treated.opened, control.opened) == (1, 3)


def test_a_mistake_of_a_users_own_code_is_counted_and_ends_nobody(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "FLUSH_S", 0.01)
    # as long as a busy machine may take to get to the first turn
    (run_dir / "scenario.yaml").write_text(SCENARIO.replace("s: 0.6", "s: 3.0"))
    asked: list[int] = []

    def content() -> str:
        asked.append(1)
        if len(asked) == 1:
            raise LookupError("no more ideas")
        return "hello"

    with in_thread(agent()) as port:
        one = made(run_dir, port)
        (run_dir / "start.json").write_text(json.dumps({"start_ns": monotonic_ns()}))
        number, chat = one.chat()
        one.converse(number, chat, content, 100)
        one.stop()
    account = json.loads((run_dir / "rows" / "worker-0.json").read_text())
    assert (account["errors"], account["turns"] >= 1) == ({"LookupError": 1}, True)


@pytest.mark.parametrize(
    ("end", "fired"),
    [(End.OK, [None]), (End.FAILED, ["failed"]), (End.TIMEOUT, ["timeout"]), (End.CUT_BY_STOP, []), (End.IN_DOUBT, [])],
)
def test_who_listens_to_locust_hears_of_turns_that_count(run_dir: Path, end: End, fired: list[str | None]) -> None:
    one = made(run_dir, 1)
    one.fire_turn(end, 12.5)
    heard = [values["exception"] and str(values["exception"]) for values in one.environment.fired]
    assert heard == fired
    one.stop()


def test_no_token_stands_in_what_it_writes(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_TOKEN", "hush-{user}")
    one = made(run_dir, 1, token_env="CHAT_TOKEN")
    number, chat = one.chat()
    chat.session.dial_failed(1, 401, f"HTTP 401: who is hush-gauntlet-{number}?")
    one.stop()
    one.stop()
    assert b"who is [redacted]?" in (run_dir / "rows" / "worker-0.strings").read_bytes()


COUNTING = """#!/bin/sh
echo x >> "$0.calls"
echo "{\\"token\\": \\"hush-$1-$(wc -l < "$0.calls" | tr -d ' ')\\", \\"expires_in_s\\": 0}"
"""


def test_each_connection_is_made_with_the_token_that_a_program_gives_then(run_dir: Path) -> None:
    program = run_dir / "program"
    program.write_text(COUNTING)
    program.chmod(0o755)
    one = made(run_dir, 1, token_program=str(program))
    number, chat = one.chat()
    assert not (run_dir / "program.calls").exists()
    assert [chat._dial(0.1) is not None for _ in range(2)] == [True, True]  # nobody listens there
    assert chat.session.values["token"] == f"hush-gauntlet-{number}-2"
    chat.session.dial_failed(1, 401, f"HTTP 401: who is hush-gauntlet-{number}-1?")
    program.write_text("#!/bin/sh\nexit 3")
    failure = chat._dial(0.1)
    assert failure is not None
    assert (failure.code, failure.text) == (OUR_ERROR, "token: the token program exited with 3")
    assert one.errors == {"TokenError": 1}
    one.stop()
    assert b"who is [redacted]?" in (run_dir / "rows" / "worker-0.strings").read_bytes()


OPEN_SCENARIO = """
scenario: 1
name: outside
contract: netra
users: 6
arrivals: {model: open, rate_per_s: 60, schedule: fixed, late_ms: 5000}
mix: [{name: chatty, weight: 2}, {name: silent, talks: false}]
prompts: [hello]
phases: [{name: steady, s: 0.5}, {name: twice, s: 0.5, load: 2}]
"""


@pytest.mark.parametrize("index", [0, 1])
def test_what_arrives_from_outside_is_sent_by_whoever_is_free_and_only_this_process_s_own(
    run_dir: Path, index: int
) -> None:
    (run_dir / "scenario.yaml").write_text(OPEN_SCENARIO)
    scenario, _ = load_scenario(str(run_dir / "scenario.yaml"))
    start_ns = monotonic_ns() + 200_000_000
    (run_dir / "start.json").write_text(json.dumps({"start_ns": start_ns}))
    with in_thread(agent()) as port:
        one = made(run_dir, port, index, workers=2, users=6)
        users = [one.chat() for _ in range(3)]
        gevent.joinall([gevent.spawn(one.converse, number, chat, lambda: "hello", 100) for number, chat in users])
        until((run_dir / "rows" / f"worker-{index}.done").exists, "the end")
        one.stop()
    rows = read_run(run_dir).rows
    sends, drops = (rows[rows["kind"] == kind] for kind in (RowKind.SEND, RowKind.DROP))
    planned = [start_ns + int(at_ms * 1e6) for at_ms, user in arrivals.planned(scenario, 5) if user % 2 == index]
    assert sorted([*sends["intended"].tolist(), *drops["intended"].tolist()]) == planned
    assert len(sends) > 0
    assert set(sends["session"].tolist()) <= {user for user in arrivals.talking(scenario, 5) if user % 2 == index}
    assert rows[rows["kind"] == RowKind.READY]["session"].tolist().count(users[0][0]) == 1


def test_what_was_meant_for_a_user_who_never_came_is_counted(run_dir: Path) -> None:
    one = made(run_dir, 1)
    one._drop(3, 7, "nobody was free")
    assert one.errors == {"NobodyThere": 1}
    one.chat()
    one._drop(3, 8, "nobody was free")
    one.stop()
    rows = read_run(run_dir).rows
    assert rows["intended"][rows["kind"] == RowKind.DROP].tolist() == [8]


class Desk(BaseHTTPRequestHandler):
    """Gives a ticket to whoever asks, and repeats it to whoever comes with it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self._answer(200, b'{"ticket": "tick-%d-abcdef"}' % monotonic_ns())

    def do_GET(self) -> None:
        self._answer(503, b"not with " + self.path.encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_what_a_prelude_gave_is_in_no_file_of_the_run(run_dir: Path) -> None:
    path = run_dir / "desk.yaml"
    path.write_text(
        "contract: 1\nname: desk\nextends: netra\nendpoint: {path: /ws, query: {ticket: '{ticket}'}}\n"
        "prelude: [{path: /ticket, take: {ticket: ticket}}]\n"
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        one = made(run_dir, server.server_address[1], contract=str(path))
        (run_dir / "start.json").write_text(json.dumps({"start_ns": monotonic_ns()}))
        users = [one.chat() for _ in range(2)]
        gevent.joinall([gevent.spawn(one.converse, number, chat, lambda: "hello", 100) for number, chat in users])
        one.stop()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    written = b"".join(part.read_bytes() for part in (run_dir / "rows").iterdir())
    assert b"not with /ws?ticket=[redacted]" in written
    assert b"abcdef" not in written


def test_what_a_handshake_gave_is_in_no_file_of_the_run(run_dir: Path) -> None:
    """Not even in the frame that gave it, which is kept because there is something to say against it."""
    path = run_dir / "granted.yaml"
    path.write_text(
        "contract: 1\nname: granted\nextends: netra\nfields: {grade: [grade]}\nevents: {grant: {role: other, fields: [grade]}}\n"
        "handshake: {ready: connection_established, steps: [{pause_ms: 5}, {expect: grant, take: {ticket: ticket, thread: thread}}]}\n"
    )
    one = made(run_dir, 1, contract=str(path))
    (run_dir / "start.json").write_text(json.dumps({"start_ns": monotonic_ns()}))
    _, chat = one.chat()
    session = chat.session
    session.dial(monotonic_ns())
    session.opened(monotonic_ns())
    session.frame(b'{"type": "grant", "ticket": "tick-0123456789", "thread": "thread-0123456789"}', monotonic_ns())
    session.frame(b'{"type": "odd tick-0123456789"}', monotonic_ns())
    session.closed(monotonic_ns(), 1008, "no such ticket: tick-0123456789")
    one.stop()
    written = b"".join(part.read_bytes() for part in (run_dir / "rows").iterdir())
    assert written.count(b"[redacted]") == 4
    assert b"tick-0123456789" not in written
    assert b"thread-0123456789" in written


def test_acts_are_played_on_the_sessions_of_the_seed_and_the_way_back_is_theirs(run_dir: Path) -> None:
    treated, control, other = agent(), agent(), agent()
    (run_dir / "scenario.yaml").write_text(SCENARIO.replace("s: 0.6", "s: 1.2"))
    with in_thread(treated) as a, in_thread(control) as b, in_thread(other) as c:
        ports = {"treated": a, "control": b, "treated-alt": c}
        listeners = {name: ("127.0.0.1", port) for name, port in ports.items()}
        acts = [Act("w1", "switch", "treated", 300, 700, {"share": 0.5}, "treated-alt")]
        one = made(run_dir, 1, listeners=listeners, treated_share=0.5, acts=acts)
        (run_dir / "start.json").write_text(json.dumps({"start_ns": monotonic_ns() + 100_000_000}))
        users = [one.chat() for _ in range(4)]
        talking = [gevent.spawn(one.converse, number, chat, lambda: "hello", 100) for number, chat in users]
        gevent.joinall(talking)
        one.stop()
    begin, end = acts_module.read(run_dir)
    data = read_run(run_dir)
    closes = data.rows[data.rows["kind"] == RowKind.CLOSE]
    cut = closes[closes["code"] == 1006]
    assert (begin["sessions"], begin["of"], end["act"]) == (cut["session"].tolist(), 1, "end")
    assert [data.strings[text] for text in cut["text"]] == ["our own act: switch of w1"]
    assert (treated.opened, control.opened, other.opened) == (2, 2, 1)
    assert set(begin["sessions"]) < cohorts.treated(5, 4, 0.5)
