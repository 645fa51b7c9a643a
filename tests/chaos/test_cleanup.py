"""From a run's directory alone: its processes, its proxies at a stranger's Toxiproxy, its commands; never the stranger's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from chaos.cleanup import cleanup
from chaos.faults import parse_fault
from chaos.guard import Guard
from chaos.listeners import open_listeners
from chaos.ports import free_port
from chaos.toxiproxy import Control
from loadtests.errors import ConfigError, RigError
from loadtests.journal import Journal, read_journal
from loadtests.manifest import run_id as id_of

pytestmark = pytest.mark.live
CONDUCTOR = """
import sys, time
from pathlib import Path
from chaos.guard import Guard
guard = Guard.start(sys.argv[1], Path(sys.argv[2]))
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def run_dir(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "plan.json").write_text("{}")
    return path


def test_all_that_is_left_goes_and_the_strangers_stays(run_dir, toxiproxy, echo_port, tmp_path):
    name = id_of(run_dir)
    (run_dir / "manifest.json").write_text(json.dumps({"toxiproxy": toxiproxy.url}))
    theirs = Control(toxiproxy.url, "")
    theirs.create("stranger", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    theirs.add_toxic("stranger", "slow", parse_fault({"kind": "latency", "latency_ms": 5}, "", "").toxics[0])
    stranger = theirs.proxy("stranger")
    ours = open_listeners(["control", "treated"], ("127.0.0.1", echo_port), name, log_dir=tmp_path, url=toxiproxy.url)
    for toxic in parse_fault({"kind": "jam"}, "", "").toxics:
        ours["treated"].control.add_toxic(ours["treated"].proxy, f"w1-{toxic.stream}", toxic)
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, "GAUNTLET_RUN": name}
    )
    undone = tmp_path / "undone"
    journal = Journal(run_dir / "history.jsonl")
    revert = [sys.executable, "-c", f"open({str(undone)!r}, 'w')"]
    journal.append("command", id="w2", step="applying", argv=["x"], revert=revert, timeout_s=10, without=[])
    journal.close()

    cleaned = cleanup(run_dir)

    assert cleaned.left == []
    assert sleeper.wait(5) == -9
    assert theirs.proxies() == {"stranger": stranger}
    assert undone.exists()
    text = "\n".join(cleaned.lines)
    assert "1 process ended" in text
    assert f"2 proxies deleted at {toxiproxy.url}" in text
    assert "w2: its revert command was run" in text
    assert json.loads((run_dir / "cleanup.json").read_text())["ok"] is True
    assert [record["step"] for record in read_journal(run_dir / "history.jsonl")] == ["applying", "reverted"]


def test_cleaning_what_is_clean_says_so(run_dir):
    cleaned = cleanup(run_dir)
    assert cleaned.lines == ["no processes ended", "nothing is left"]
    assert cleanup(run_dir).lines == cleaned.lines


def test_what_would_not_go_is_named(run_dir):
    journal = Journal(run_dir / "history.jsonl")
    journal.append("command", id="w2", step="applying", argv=["x"], revert=["false"], timeout_s=10, without=[])
    journal.close()
    assert cleanup(run_dir).left == ["revert of w2: false: exit status 1"]
    assert json.loads((run_dir / "cleanup.json").read_text())["ok"] is False


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no run directory"):
        cleanup(tmp_path)


def test_a_run_that_is_alive_is_left_alone_unless_forced(run_dir, monkeypatch):
    monkeypatch.setattr("chaos.cleanup.PATIENCE_S", 0.2)
    guard = Guard.start(id_of(run_dir), run_dir)
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, "GAUNTLET_RUN": id_of(run_dir)}
    )
    with pytest.raises(RigError, match=rf"run run is alive \(process {os.getpid()}\).*--force"):
        cleanup(run_dir)
    assert sleeper.poll() is None
    assert not (run_dir / "cleanup.json").exists()
    assert cleanup(run_dir, force=True).left == []
    assert sleeper.wait(5) == -9
    guard.close()
    assert cleanup(run_dir).lines[0] == "no processes ended"


def test_a_run_whose_conductor_was_killed_is_cleaned_when_its_guard_is_gone(run_dir, tmp_path, until):
    """At once after the kill the guard still reverts, and has the lock: it is waited for."""
    busy, go_on = tmp_path / "busy", tmp_path / "go-on"
    revert = ["sh", "-c", f"touch {busy}; until test -e {go_on}; do sleep 0.02; done"]
    journal = Journal(run_dir / "history.jsonl")
    journal.append("command", id="w1", step="applying", argv=["x"], revert=revert, timeout_s=30, without=[])
    journal.close()
    conductor = subprocess.Popen(
        [sys.executable, "-c", CONDUCTOR, id_of(run_dir), str(run_dir)], stdout=subprocess.PIPE
    )
    conductor.stdout.readline()
    conductor.kill()
    conductor.wait()
    conductor.stdout.close()
    until(busy.exists)
    cleaned = []
    thread = threading.Thread(target=lambda: cleaned.append(cleanup(run_dir)))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    go_on.touch()
    thread.join(10)
    assert (cleaned[0].left, cleaned[0].reverted.done) == ([], [])
    assert json.loads((run_dir / "guard.json").read_text())["done"] == ["w1"]


def test_a_guard_that_was_killed_too_keeps_nobody_out(run_dir):
    guard = Guard.start(id_of(run_dir), run_dir)
    guard.process.kill()
    guard.process.wait()
    assert (run_dir / "guard.lock").exists()
    assert cleanup(run_dir).left == []


def test_proxies_that_the_ledger_names_go_though_the_list_hangs(run_dir, toxiproxy, wedge):
    theirs, odd = Control(toxiproxy.url, ""), f"gauntlet-{id_of(run_dir)}-odd"
    theirs.create(odd, f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    wedge(theirs, "stranger")
    journal = Journal(run_dir / "history.jsonl")
    journal.append("window", id="w1", step="applying", proxy=odd)
    journal.close()
    cleaned = cleanup(run_dir, [toxiproxy.url])
    assert (cleaned.swept.proxies, cleaned.left, theirs.proxy(odd)) == (1, [], None)
