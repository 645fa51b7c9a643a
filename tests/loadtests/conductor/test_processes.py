"""The run's children: started, waited for, ended; and a sentence with the reason when one does not come up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.sync.client import connect

from loadtests.assignment import ENVIRONMENT, Assignment
from loadtests.conductor import processes
from loadtests.conductor.processes import Backend, Load, ask_probe
from loadtests.errors import RigError
from tests.live.gauntlet import until
from tests.loadtests.histories import NONCE

pytestmark = pytest.mark.live
TAG = {"GAUNTLET_TEST_RUN": "this-one"}


def environment_of(pid: int) -> dict[str, str]:
    return psutil.Process(pid).environ()


def test_the_backend_listens_carries_the_tag_and_knows_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_TOKEN", "hush")
    backend = Backend(tmp_path, TAG, 3, "", "CHAT_TOKEN", "build-7")
    try:
        with connect(backend.url, open_timeout=10) as client:
            assert "stream_id" in str(client.recv(timeout=10))
        found = environment_of(backend._process.pid)
        assert (found["GAUNTLET_TEST_RUN"], "CHAT_TOKEN" in found) == ("this-one", False)
        assert backend.alive
    finally:
        backend.stop()
    assert not backend.alive
    assert backend._process.returncode == 0
    backend.stop()


def test_a_backend_that_does_not_come_up_is_told_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(RigError, match=r"backend\.log"):
        Backend(tmp_path, TAG, 3, "no-such-defect", "", "")
    assert "no-such-defect" in (tmp_path / "backend.log").read_text()


def stubborn() -> subprocess.Popen[bytes]:
    script = "import signal,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\nwhile True: signal.pause()"
    process = subprocess.Popen([sys.executable, "-P", "-c", script], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"up\n"
    return process


def test_a_child_that_will_not_end_is_killed() -> None:
    process = stubborn()
    processes._end(process, 0.2)
    assert process.returncode == -signal.SIGKILL
    assert process.stdout
    process.stdout.close()
    processes._end(process, 0.2)


class Started:
    """Instead of starting: what would have been."""

    def __init__(self, command: list[str], **how: Any) -> None:
        self.command, self.how, self.returncode, self.pid = command, how, None, os.getpid()


@pytest.mark.parametrize(
    ("workers", "web", "has", "has_not"),
    [
        (1, False, ["--headless", "--only-summary"], ["--processes", "--autostart"]),
        (3, False, ["--headless", "--processes", "3", "--master-bind-host"], ["--autostart"]),
        (1, True, ["--autostart", "--web-port"], ["--headless", "--processes"]),
    ],
)
def test_locust_is_started_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, web: bool, has: list[str], has_not: list[str]
) -> None:
    monkeypatch.setattr(processes.subprocess, "Popen", Started)
    load = Load(tmp_path, TAG, 60, workers, "ws://h", web=web)
    started: Any = load._process
    assert started.command[:4] == [sys.executable, "-P", "-m", "locust"]
    assert set(has) <= set(started.command)
    assert not set(has_not) & set(started.command)
    assert bool(load.web_url) is web
    assert started.how["env"][ENVIRONMENT] == str(tmp_path / "assignment.json")
    assert started.how["env"]["GAUNTLET_TEST_RUN"] == "this-one"
    assert Path(started.command[started.command.index("-f") + 1]).is_file()


def test_locust_comes_up_and_ends_in_order(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    one = Assignment(
        run_dir=str(tmp_path),
        nonce=NONCE,
        seed=1,
        contract="netra",
        scenario="smoke",
        target="ws://127.0.0.1:9",
        users=2,
    )
    (tmp_path / "assignment.json").write_bytes(msgspec.json.encode(one))
    load = Load(tmp_path, TAG, 2, 1, "ws://127.0.0.1:9", web=False)
    try:
        until((tmp_path / "rows" / "worker-0.up").exists, what="being up")
        assert load.alive
    finally:
        assert load.stop()
    assert json.loads((tmp_path / "rows" / "worker-0.json").read_text())["errors"] == {}


def test_a_probe_that_crashes_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(RigError, match=r"the preflight crashed: .*assignment\.json"):
        ask_probe(tmp_path, TAG, 30)


def test_a_probe_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "assignment.json")
    with pytest.raises(RigError, match="did not end within"):
        ask_probe(tmp_path, TAG, 2)


# -- what faults do to the backend -------------------------------------------------------------------------------------


@pytest.fixture
def comes_back(tmp_path: Path) -> Iterator[Backend]:
    one = Backend(tmp_path, TAG, 3, "", "", "", {"ping_interval_s": 5}, comes_back=True)
    try:
        yield one
    finally:
        one.stop()


def served(url: str) -> bool:
    with connect(url, open_timeout=10) as client:
        return "stream_id" in str(client.recv(timeout=10))


def test_a_killed_backend_comes_back_at_the_same_address_with_its_database(comes_back: Backend, tmp_path: Path) -> None:
    url, first = comes_back.url, comes_back._process.pid
    with connect(url, open_timeout=10) as client:
        client.recv(timeout=10)
        comes_back.kill()
        assert comes_back.alive  # a fault did that: the run goes on
        with pytest.raises(ConnectionClosedError):
            client.recv(timeout=10)
    with pytest.raises(OSError, match="refused"):
        served(url)
    assert (tmp_path / "backend.sqlite").exists()
    comes_back.start()
    assert (comes_back.url, served(url), comes_back._process.pid != first) == (url, True, True)
    comes_back._process.kill()
    comes_back._process.wait()
    assert not comes_back.alive  # nobody meant that


def test_a_paused_backend_keeps_its_connections_and_answers_later(comes_back: Backend) -> None:
    with connect(comes_back.url, open_timeout=10) as client:
        client.recv(timeout=10)
        comes_back.pause()
        pong = client.ping()
        assert not pong.wait(0.2)
        assert comes_back.alive
        comes_back.resume()
        assert pong.wait(10)


def test_a_restart_closes_in_order_and_is_served_when_it_returns(comes_back: Backend) -> None:
    with connect(comes_back.url, open_timeout=10) as client:
        client.recv(timeout=10)
        comes_back.restart()
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code in {1001, 1012}
    assert served(comes_back.url)


def test_a_backend_that_is_paused_can_be_stopped(comes_back: Backend) -> None:
    comes_back.pause()
    comes_back.stop()
    assert comes_back._process.returncode == 0


def test_a_backend_whose_port_is_taken_meanwhile_is_told(comes_back: Backend) -> None:
    host, port = comes_back.url.removeprefix("ws://").split("/")[0].split(":")
    comes_back.kill()
    with socket.create_server((host, int(port))), pytest.raises(RigError, match=r"backend\.log"):
        comes_back.start()
