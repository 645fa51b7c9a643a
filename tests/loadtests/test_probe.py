"""One connection and one turn, step by step: what is seen is told, what cannot work is named."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import msgspec
import pytest
from websockets.asyncio.server import ServerConnection

from loadtests.assignment import Assignment, secret_pattern
from loadtests.contract import load
from loadtests.dial import Target, tls_context
from loadtests.door import Door
from loadtests.probe import SHOWN_BYTES, WHOLE_BYTES, Frame, Probe, Report, probe_assignment
from loadtests.secrets import Secrets
from tests.loadtests.histories import NONCE
from tests.loadtests.servers import Agent, Authority, answer_whole, closed_port, in_thread, raw_server, read_request

pytestmark = pytest.mark.live
QUICK = """
contract: 1
name: quick
extends: netra
handshake: {ready: connection_established, timeout_ms: 150}
turn: {deadline_ms: 300}
"""


@pytest.fixture(autouse=True)
def no_test_hangs() -> Iterator[None]:
    with gevent.Timeout(20):
        yield


@pytest.fixture
def contract_path(tmp_path: Path) -> str:
    path = tmp_path / "quick.yaml"
    path.write_text(QUICK)
    return str(path)


def agent(path: str, **how: Any) -> Agent:
    one = load(path)
    events = {rule.role: rule.name for rule in reversed(one.events)}
    return Agent(events, one.file.handshake.ready, **{"on_message": answer_whole, **how})


def probe(path: str, port: int, shown: list[Frame] | None = None, token: str | None = None, **tls: Any) -> Report:
    one = load(path)
    target = Target.parse(f"{'wss' if tls else 'ws'}://localhost:{port}", one.file.endpoint, "localhost=127.0.0.1")
    dial = target.dial(one.file.auth, token, tls_context(target.scheme, tls.get("ca")))
    show = (shown if shown is not None else []).append
    secrets = Secrets(secret_pattern(token))
    return Probe(one, Door(lambda _: dial), NONCE, secrets, show, token=token or "").run("hello")


def steps(report: Report) -> list[tuple[str, bool]]:
    return [(name, ok) for name, ok, _, _ in report.steps]


def test_a_good_way_is_told_step_by_step(contract_path: str) -> None:
    shown: list[Frame] = []
    with in_thread(agent(contract_path)) as port:
        report = probe(contract_path, port, shown)
    assert steps(report) == [(name, True) for name in ("dns", "tcp", "upgrade", "auth", "handshake", "turn")]
    assert (report.fit, report.outcome, report.problem, report.approved) == ("fits", "ok", "", 6)
    assert [frame.event for frame in shown] == [
        "connection_established", "agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed",
    ]  # fmt: skip
    assert not [frame for frame in shown if frame.findings]


def test_over_tls_there_is_a_step_more(contract_path: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with in_thread(agent(contract_path), tls=authority.server("localhost")) as port:
        report = probe(contract_path, port, ca=authority.file)
    assert ("tls", True) in steps(report)
    assert report.outcome == "ok"


def test_nobody_there(contract_path: str) -> None:
    with closed_port() as port:
        report = probe(contract_path, port)
    assert (report.fit, steps(report)) == ("unreachable", [("dns", True), ("tcp", False)])


@pytest.mark.parametrize(
    ("status", "fit"), [(401, "refused"), (403, "refused"), (404, "no-websocket"), (500, "no-websocket")]
)
def test_an_answer_that_is_no_upgrade(contract_path: str, status: int, fit: str) -> None:
    def answer(one: Any) -> None:
        read_request(one)
        one.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 4\r\n\r\nsee?" % status)

    with raw_server(answer) as port:
        report = probe(contract_path, port)
    assert (report.fit, steps(report)[-1]) == (fit, ("upgrade", False))
    assert "see?" in report.problem


def test_connected_and_never_welcomed_is_silent_and_may_be_run_against(contract_path: str) -> None:
    async def mute(_: Agent, socket: ServerConnection) -> bool:
        await socket.wait_closed()
        return False

    with in_thread(agent(contract_path, on_open=mute)) as port:
        report = probe(contract_path, port)
    assert (report.fit, steps(report)[-1]) == ("silent", ("handshake", False))


def test_welcomed_and_never_answered_fits_and_has_no_end(contract_path: str) -> None:
    async def nothing(*_: object) -> None:
        """Accepted, and never a word."""

    with in_thread(agent(contract_path, on_message=nothing)) as port:
        report = probe(contract_path, port)
    assert (report.fit, report.outcome, steps(report)[-1]) == ("fits", "no end", ("turn", False))


def test_a_preflight_waits_less_than_the_contract_would_and_others_do_not(tmp_path: Path) -> None:
    path = tmp_path / "slow.yaml"
    path.write_text(QUICK.replace("deadline_ms: 300", "deadline_ms: 900"))

    async def nothing(*_: object) -> None:
        """Accepted, and never a word."""

    with in_thread(agent(str(path), on_message=nothing)) as port:
        one = Assignment(
            run_dir="",
            nonce=NONCE,
            seed=1,
            contract=str(path),
            scenario="smoke",
            target=f"ws://127.0.0.1:{port}",
            users=1,
        )
        took_ms = [probe_assignment(one, "hello", most_turn_s=s).steps[-1][2] for s in (0.1, math.inf)]
    assert 100 <= took_ms[0] < 800
    assert took_ms[1] >= 900


def test_closed_with_a_fatal_code_is_refused(contract_path: str) -> None:
    async def refuse(_: Agent, socket: ServerConnection) -> bool:
        await socket.close(1008, "who are you?")
        return False

    with in_thread(agent(contract_path, on_open=refuse)) as port:
        report = probe(contract_path, port)
    assert report.fit == "refused"
    assert "1008 who are you?" in report.problem


def test_frames_of_which_none_fits_are_a_misfit_and_shown(contract_path: str) -> None:
    async def other(_: Agent, socket: ServerConnection) -> bool:
        await socket.send('{"kind": "hello"}')
        await socket.wait_closed()
        return False

    with in_thread(agent(contract_path, on_open=other)) as port:
        report = probe(contract_path, port)
    assert (report.fit, report.frames[0].text) == ("misfit", '{"kind": "hello"}')


def test_a_frame_that_does_not_fit_is_there_whole_for_another_contract_to_be_tried(contract_path: str) -> None:
    long = json.dumps({"kind": "x", "pad": "p" * 2 * SHOWN_BYTES, "token": "hush-hush"})

    async def other(_: Agent, socket: ServerConnection) -> bool:
        await socket.send(long)
        await socket.send("y" * (WHOLE_BYTES + 9))
        await socket.wait_closed()
        return False

    with in_thread(agent(contract_path, on_open=other)) as port:
        report = probe(contract_path, port, token="hush-hush")
    one, cut = report.frames
    assert (report.fit, json.loads(one.whole)["token"], len(one.text)) == ("misfit", "[redacted]", SHOWN_BYTES)
    assert cut.whole == "y" * WHOLE_BYTES


def test_frames_that_fit_are_not_there_twice(contract_path: str) -> None:
    with in_thread(agent(contract_path)) as port:
        report = probe(contract_path, port)
    assert report.frames
    assert not [frame for frame in report.frames if frame.whole]


def test_a_finding_is_shown_with_its_frame(contract_path: str) -> None:
    async def old(one: Agent, socket: ServerConnection, message: dict[str, Any]) -> None:
        await socket.send('{"type": "chat_message"}')
        await answer_whole(one, socket, message)

    shown: list[Frame] = []
    with in_thread(agent(contract_path, on_message=old)) as port:
        probe(contract_path, port, shown)
    assert [frame.findings[0].partition(":")[0] for frame in shown if frame.findings] == ["vocabulary"]


def test_a_token_is_shown_nowhere_even_where_a_frame_is_cut(contract_path: str) -> None:
    token = "hush" * 20

    async def echo(one: Agent, socket: ServerConnection, message: dict[str, Any]) -> None:
        begin = one.event("thinking", message, reasoning="R")
        pad = SHOWN_BYTES - len(begin.partition("R")[0]) - 10
        await socket.send(one.event("thinking", message, reasoning="." * pad + token))
        await socket.close(1000, token)

    shown: list[Frame] = []
    with in_thread(agent(contract_path, on_message=echo)) as port:
        report = probe(contract_path, port, shown, token=token)
    assert b"hush" not in msgspec.json.encode([report, shown])
    assert b"[redacted]" in msgspec.json.encode(report)


def test_as_a_process_it_prints_one_line_of_json(contract_path: str, tmp_path: Path) -> None:
    with in_thread(agent(contract_path)) as port:
        one = Assignment(
            run_dir="",
            nonce=NONCE,
            seed=1,
            contract=contract_path,
            scenario="smoke",
            target=f"ws://127.0.0.1:{port}",
            users=1,
        )
        path = tmp_path / "assignment.json"
        path.write_bytes(msgspec.json.encode(one))
        command = [sys.executable, "-P", "-m", "loadtests.probe", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        (line,) = done.stdout.splitlines()
        assert json.loads(line)["outcome"] == "ok"
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(one, token_env="NO_SUCH_VARIABLE")))
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, "NO_SUCH_VARIABLE" in json.loads(done.stdout)["error"]) == (2, True)
