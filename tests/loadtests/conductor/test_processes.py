"""The run's children: started, waited for, ended; and a sentence with the reason when one does not come up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
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
