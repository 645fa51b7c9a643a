"""Plain Locust, as its users know it: several processes, a locustfile of one's own, and a run that can be judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.history import RowKind
from loadtests.rundir import read_run
from tests.live.gauntlet import backend, gauntlet
from tests.loadtests.locusts import locust, only_run, quick_scenario

pytestmark = pytest.mark.live

OWN = """
from loadtests.users import ChatUser

class Impatient(ChatUser):
    pace_ms = 150
    prompts = ("Hurry up.",)

class Curious(ChatUser):
    weight = 2
    pace_ms = 2000

    def content(self):
        return "And why?"
"""


def flags(folder: Path, url: str, *more: str) -> list[str]:
    return [
        "--headless", "-r", "20", "-t", "4s", "--host", url, "--contract", "reference", "--scenario", quick_scenario(folder), *more,
    ]  # fmt: skip


def test_two_processes_write_one_run_directory_that_is_judged(tmp_path: Path) -> None:
    with backend("--seed", "3") as url:
        done = locust(tmp_path, *flags(tmp_path, url, "-u", "6", "--processes", "2"))
    assert done.returncode == 0, done.stderr[-3000:]
    run = only_run(tmp_path)
    data = read_run(run)
    assert (data.workers, data.problems) == (["worker-0", "worker-1"], [])
    sessions = set(data.rows["session"].tolist())
    assert len(sessions) == 6
    assert all(account and account["turns"] > 0 for account in data.accounts.values())
    assert int((data.rows["kind"] == RowKind.END).sum()) == int((data.rows["kind"] == RowKind.SEND).sum())
    judged = gauntlet("report", run, cwd=tmp_path)
    verdict = json.loads((run / "verdict.json").read_bytes())
    assert judged.code in {0, 3}, judged
    assert not [check["id"] for check in verdict["checks"] if check["verdict"] == "invalid"]
    assert verdict["books"]["sent"] > 10


def test_a_locustfile_of_ones_own_with_two_kinds_of_users(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    with backend("--seed", "3", "--defect", "legacy-type") as url:
        done = locust(tmp_path, *flags(tmp_path, url, "-u", "6"), file=path)
    assert done.returncode in {0, 1}, done.stderr[-3000:]
    run = only_run(tmp_path)
    rows = read_run(run).rows
    turns = [
        int((rows["session"][rows["kind"] == RowKind.SEND] == session).sum())
        for session in set(rows["session"].tolist())
    ]
    assert len(turns) == 6
    assert max(turns) > 1.5 * min(turns)
    assert gauntlet("report", run, cwd=tmp_path).code == 99
    verdict = json.loads((run / "verdict.json").read_bytes())
    assert {check["id"] for check in verdict["checks"] if check["verdict"] == "invalid"} == {"vocabulary"}
