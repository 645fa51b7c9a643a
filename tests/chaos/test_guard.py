"""The guard against real deaths: whatever way the conductor ends, nothing that carries the run's tag outlives it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from chaos.guard import Guard, tagged
from chaos.ports import free_port
from chaos.toxiproxy import Control
from loadtests.journal import Journal

pytestmark = pytest.mark.live

CONDUCTOR = textwrap.dedent(
    """
    import os, subprocess, sys, time
    from pathlib import Path
    from chaos.guard import TAG, Guard
    run_id, run_dir, lease_s, *urls = sys.argv[1:]
    guard = Guard.start(run_id, Path(run_dir), float(lease_s), urls)
    env = {**os.environ, TAG: run_id}
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    family = f"import subprocess, time; subprocess.Popen({sleeper!r}, start_new_session=True); time.sleep(60)"
    for _ in range(2):
        subprocess.Popen([sys.executable, "-c", family], env=env)
    if os.fork() == 0:
        time.sleep(60)
    print("up", flush=True)
    for line in sys.stdin:
        guard.beat() if line == "beat\\n" else guard.close()
        print("done", flush=True)
    """
)


@pytest.fixture
def conductor(run_id, tmp_path):
    """A small conductor: two children, two grandchildren in sessions of their own, and a fork that holds the pipe."""
    started = []

    def start(lease_s=10.0, urls=()):
        process = subprocess.Popen(
            [sys.executable, "-c", CONDUCTOR, run_id, str(tmp_path), str(lease_s), *urls],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, process_group=0,
        )  # fmt: skip
        started.append(process)
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()


def record(tmp_path):
    path = tmp_path / "guard.json"
    return json.loads(path.read_text()) if path.exists() else None


def test_a_killed_conductor_leaves_nobody(conductor, run_id, tmp_path, until):
    process = conductor()
    until(lambda: len(tagged(run_id)) == 4)
    process.kill()
    written = until(lambda: record(tmp_path), 2.0)
    assert tagged(run_id) == []
    assert (written["reason"], written["killed"], written["left"]) == ("conductor-death", 4, [])


def test_a_frozen_conductor_loses_its_lease(conductor, run_id, tmp_path, until):
    process = conductor(lease_s=0.5)
    process.send_signal(signal.SIGSTOP)
    written = until(lambda: record(tmp_path), 4.0)
    assert tagged(run_id) == []
    assert written["reason"] == "lease"
    assert process.poll() is None


def test_an_orderly_end_sweeps_too(conductor, run_id, tmp_path, until):
    process = conductor()
    until(lambda: len(tagged(run_id)) == 4)
    process.stdin.write("close\n")
    assert process.stdout.readline() == "done\n"
    assert record(tmp_path)["reason"] == "orderly"
    assert tagged(run_id) == []


def test_proxies_on_a_strangers_toxiproxy_go_and_the_strangers_stay(conductor, run_id, toxiproxy, tmp_path, until):
    theirs = Control(toxiproxy.url, "")
    stranger = theirs.create("stranger", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    process = conductor(urls=[toxiproxy.url])
    theirs.create(f"gauntlet-{run_id}-treated", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    process.kill()
    written = until(lambda: record(tmp_path), 2.0)
    assert written["proxies"] == 1
    assert theirs.proxies() == {"stranger": stranger}


def test_the_guard_ignores_the_signals_of_a_terminal(run_id, tmp_path):
    guard = Guard.start(run_id, tmp_path)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(guard.process.pid, number)
    guard.beat()
    assert guard.alive
    guard.close()
    assert not guard.alive
    assert record(tmp_path)["reason"] == "orderly"


def test_saying_something_to_a_dead_guard_is_no_crash(run_id, tmp_path):
    guard = Guard.start(run_id, tmp_path)
    guard.process.kill()
    guard.process.wait()
    guard.beat()
    guard.close()
    assert not guard.alive


def test_a_guard_inside_another_run_does_not_carry_its_tag(run_id, tmp_path, monkeypatch):
    monkeypatch.setenv("GAUNTLET_RUN", run_id)
    guard = Guard.start("inner", tmp_path)
    assert tagged(run_id) == []
    guard.close()


@pytest.mark.parametrize("way", ["killed", "orderly"])
def test_a_command_that_was_not_reverted_is(way, conductor, run_id, tmp_path, until):
    """Whether the conductor died in its window or could not revert it by itself."""
    undone = tmp_path / "undone"
    journal = Journal(tmp_path / "history.jsonl")
    revert = [sys.executable, "-c", f"open({str(undone)!r}, 'w')"]
    journal.append("command", id="w1", step="applying", argv=["x"], revert=revert, timeout_s=10, without=[])
    journal.close()
    process = conductor()
    if way == "killed":
        process.kill()
    else:
        process.stdin.write("close\n")
    written = until(lambda: (found := record(tmp_path)) and found.get("done") and found, 5.0)
    assert (undone.exists(), written["done"], written["failed"]) == (True, ["w1"], [])
    assert tagged(run_id) == []


def test_the_lock_says_who_conducts_and_goes_with_the_guard(run_id, tmp_path):
    guard = Guard.start(run_id, tmp_path)
    with (tmp_path / "guard.lock").open() as file:
        assert json.load(file) == {"run": run_id, "process": os.getpid(), "guard": guard.process.pid}
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        guard.close()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not (tmp_path / "guard.lock").exists()


def test_a_guard_that_reverts_is_waited_for_as_long_as_that_may_take(run_id, tmp_path, monkeypatch):
    monkeypatch.setattr("chaos.guard.CLOSE_S", 0.5)
    undone = tmp_path / "undone"
    journal = Journal(tmp_path / "history.jsonl")
    revert = ["sh", "-c", f"sleep 1.5; touch {undone}"]
    journal.append("command", id="w1", step="applying", argv=["x"], revert=revert, timeout_s=10, without=[])
    journal.close()
    guard = Guard.start(run_id, tmp_path)
    guard.close()
    assert (undone.exists(), guard.process.returncode) == (True, 0)


def test_a_revert_that_failed_is_tried_once_more(run_id, tmp_path):
    runs = tmp_path / "runs"
    journal = Journal(tmp_path / "history.jsonl")
    revert = ["sh", "-c", f"echo x >> {runs}; exit 1"]
    journal.append("command", id="w1", step="applying", argv=["x"], revert=revert, timeout_s=10, without=[])
    journal.append("command", id="w1", step="not-reverted")
    journal.close()
    Guard.start(run_id, tmp_path).close()
    assert (record(tmp_path)["failed"], runs.read_text()) == (["w1: sh: exit status 1"], "x\n")


def test_proxies_that_the_ledger_names_go_though_the_list_hangs(conductor, run_id, toxiproxy, wedge, tmp_path, until):
    theirs, odd = Control(toxiproxy.url, ""), f"gauntlet-{run_id}-odd"
    theirs.create(odd, f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    wedge(theirs, "stranger")
    process = conductor(urls=[toxiproxy.url])
    journal = Journal(tmp_path / "history.jsonl")
    journal.append("window", id="w1", step="applying", proxy=odd)
    journal.close()
    process.kill()
    written = until(lambda: record(tmp_path), 5.0)
    assert (written["proxies"], written["left"], theirs.proxy(odd)) == (1, [], None)
