"""A user's commands: a deadline, an environment without secrets, and a ledger from which they can be reverted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from chaos.revert import holding, mark, pending, proxies, revert_all, run_command
from loadtests.journal import Journal

PYTHON = [sys.executable, "-c"]


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "history.jsonl"


def environment(process):
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def write(ledger, *records):
    journal = Journal(ledger)
    for kind, fields in records:
        journal.append(kind, **fields)
    journal.close()


def applying(name="w1", revert=("true",), **more):
    return "command", {"id": name, "step": "applying", "argv": ["x"], "revert": revert and list(revert), **more}


def step(name, word):
    return "command", {"id": name, "step": word}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["true"], ""),
        (["false"], "exit status 1"),
        (["no-such-program"], "No such file"),
        ([*PYTHON, "import sys; print('so much', file=sys.stderr); sys.exit(3)"], "exit status 3 (so much)"),
    ],
    ids=str,
)
def test_how_a_command_ended(argv, words):
    said = run_command(argv, 10, (), "r/w1/apply")
    assert (words in said) if words else (said == "")


def test_a_command_that_hangs_is_ended_with_all_its_children(until):
    family = f"import subprocess, time; subprocess.Popen({[*PYTHON, 'import time; time.sleep(60)']!r}); time.sleep(60)"
    begun = time.monotonic()
    assert "not done in 0.5 s" in run_command([*PYTHON, family], 0.5, (), "r/w1/hang")
    assert time.monotonic() - begun < 5
    marked = b"GAUNTLET_COMMAND=r/w1/hang"
    until(lambda: not any(marked in environment(pid) for pid in Path("/proc").glob("[0-9]*")))


def test_a_command_sees_neither_the_token_nor_the_runs_tag(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAT_TOKEN", "secret")
    monkeypatch.setenv("GAUNTLET_RUN", "r")
    code = f"import json, os; open({str(tmp_path / 'env')!r}, 'w').write(json.dumps(dict(os.environ)))"
    assert run_command([*PYTHON, code], 10, ("CHAT_TOKEN",), "r/w1/apply") == ""
    seen = json.loads((tmp_path / "env").read_text())
    assert not {"CHAT_TOKEN", "GAUNTLET_RUN"} & seen.keys()
    assert {"PATH", "GAUNTLET_COMMAND"} <= seen.keys()


@pytest.mark.parametrize(
    ("records", "left"),
    [
        ([], []),
        ([applying()], ["w1"]),
        ([applying(), step("w1", "applied"), step("w1", "reverting")], ["w1"]),
        ([applying(), step("w1", "applied"), step("w1", "reverted")], []),
        ([applying("w1"), applying("w2")], ["w2", "w1"]),
        ([applying(revert=None)], []),
        ([("window", {"id": "w1", "step": "applying", "revert": ["true"]})], []),
        ([applying(revert=())], []),
    ],
    ids=str,
)
def test_what_the_ledger_says_is_still_to_be_reverted(ledger, records, left):
    write(ledger, *records)
    assert [one.id for one in pending(ledger)] == left


def test_a_ledger_of_nonsense_reverts_nothing(ledger):
    ledger.write_bytes(
        b'[1]\n{"type": "command"}\n{"type": "command", "id": 1, "step": "applying", "revert": [1]}\n\xff{'
    )
    assert pending(ledger) == []
    assert pending(ledger.with_name("none")) == []


def test_reverting_is_done_once_and_written_down(ledger, tmp_path):
    touched = tmp_path / "touched"
    write(ledger, applying(revert=[*PYTHON, f"open({str(touched)!r}, 'a').write('x')"]))
    with ledger.open("ab") as file:
        file.write(b'{"type": "cut by a cra')
    assert revert_all("r", ledger).done == ["w1"]
    assert revert_all("r", ledger).done == []
    assert touched.read_text() == "x"


def test_what_cannot_be_reverted_stays_pending_and_is_named(ledger):
    write(ledger, applying(revert=["false"]))
    assert revert_all("r", ledger).failed == ["w1: false: exit status 1"]
    assert [one.id for one in pending(ledger)] == ["w1"]


def test_an_apply_that_still_runs_is_ended_first_and_what_a_finished_one_started_lives(ledger):
    environment = {**os.environ, "GAUNTLET_COMMAND": mark("r", "w1", "apply")}
    running = subprocess.Popen([*PYTHON, "import time; time.sleep(60)"], env=environment)
    environment["GAUNTLET_COMMAND"] = mark("r", "w2", "apply")
    started = subprocess.Popen([*PYTHON, "import time; time.sleep(60)"], env=environment)
    write(ledger, applying("w1"), applying("w2"), step("w2", "applied"))
    assert sorted(revert_all("r", ledger).done) == ["w1", "w2"]
    assert running.wait(5) == -9
    assert started.poll() is None
    started.kill()
    started.wait()


def test_a_stop_ends_a_command_before_its_time():
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    begun = time.monotonic()
    assert run_command(["sleep", "60"], 60, (), "r/w1/verify", stop) == "sleep: stopped"
    assert time.monotonic() - begun < 5


def test_a_revert_that_failed_is_known_as_tried(ledger):
    write(ledger, applying("w1"), applying("w2"), step("w1", "not-reverted"))
    assert {one.id: one.tried for one in pending(ledger)} == {"w1": True, "w2": False}


def test_a_lock_is_waited_for_and_a_file_that_is_not_there_is_free(ledger):
    write(ledger)
    with holding(ledger, 0) as first, holding(ledger, 0.1) as second:
        assert (first, second) == (True, False)
    with holding(ledger, 0) as again, holding(ledger.with_name("none"), 0) as absent:
        assert (again, absent) == (True, True)


def test_the_proxies_of_a_ledger_are_those_of_its_windows(ledger):
    write(ledger, *(("window", {"id": "w1", "step": one, "proxy": "p"}) for one in ("applying", "applied")))
    write(ledger, ("window", {"id": "w2"}), ("command", {"id": "w3", "proxy": "q"}))
    assert proxies(ledger) == ["p"]
    assert proxies(ledger.with_name("none")) == []
