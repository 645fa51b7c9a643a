"""The locustfile that ships: Locust finds one user class in it, and a run of it leaves a run directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.history import RowKind
from loadtests.rundir import read_run
from tests.loadtests.locusts import locust, only_run, quick_scenario
from tests.loadtests.servers import in_thread
from tests.loadtests.test_process import agent

pytestmark = pytest.mark.live


def test_locust_finds_one_user(tmp_path: Path) -> None:
    assert locust(tmp_path, "--list").stdout.split()[-1] == "Chatting"


def test_headless_it_talks_and_leaves_a_whole_run_directory(tmp_path: Path) -> None:
    one = agent()
    with in_thread(one) as port:
        done = locust(
            tmp_path, "--headless", "-u", "3", "-r", "3", "-t", "2s", "--host", f"ws://127.0.0.1:{port}", "--scenario",
            quick_scenario(tmp_path),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    data = read_run(only_run(tmp_path))
    sends = int((data.rows["kind"] == RowKind.SEND).sum())
    account = data.accounts["worker-0"] or {}
    assert (account["users"], account["turns"], account["errors"], account["provisional"]) == (3, sends, {}, {})
    assert sends == len(one.heard) >= 6
    assert {message["payload"]["content"].partition(" [")[0] for message in one.heard} == {"one", "two", "three"}
    assert (data.manifest["kind"], data.manifest["exit"], data.problems) == ("plain-locust", "ended", [])
    table = (done.stdout + done.stderr).rpartition("Shutting down")[2]
    assert f"EVENT    {data.contract.name_of('done')}" in table
    assert "TURN     turn" in table
    assert json.loads((only_run(tmp_path) / "health.jsonl").read_text().splitlines()[0])["worker"] == "worker-0"
