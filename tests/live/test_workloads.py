"""Whole runs whose turns come from outside, after thinking, or only until somebody or a limit stops them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loadtests import arrivals
from loadtests.history import RowKind
from loadtests.manifest import read_manifest
from loadtests.rundir import RunData, read_run
from tests.live.gauntlet import CHAOS, Ended, gauntlet, gone, scenario, started, together, until

pytestmark = pytest.mark.live

OPEN = {"model": "open", "rate_per_s": 30}
MIX = [{"name": "chatty", "weight": 3}, {"name": "lurker", "talks": False}]
SPIKE = {"steady": 3.0, "spike": 2.0, "cool-down": 1.0}


def spiky(folder: Path) -> Path:
    """Twice the load in the spike."""
    path = scenario(
        folder / "short.yaml", SPIKE, arrivals=OPEN, mix=MIX, gates={"arrivals.achieved{kind:chatty}": ["rate>0.9"]}
    )
    path.write_text(path.read_text().replace("- name: spike\n", "- name: spike\n  load: 2\n"))
    return path


def run_open(folder: Path) -> Ended:
    return gauntlet("run", spiky(folder), "--processes", "2", cwd=folder)


def run_closed(folder: Path) -> Ended:
    changes = {
        "arrivals": {"model": "closed", "think_ms": [100, 500]},
        "limits": {"tokens": 2_000, "connects_per_s": 40},
    }
    return gauntlet("run", scenario(folder / "short.yaml", {"steady": 60.0}, **changes), cwd=folder)


def run_stopped(folder: Path) -> Ended:
    """Stopped under a fault, which must be healed."""
    path = scenario(folder / "short.yaml", {**CHAOS, "down": 20.0, "recovery": 30.0})
    with started("run", path, "--out", folder / "run", cwd=folder) as process:
        journal = folder / "run" / "history.jsonl"
        until(lambda: journal.exists() and '"applied"' in journal.read_text(), 60.0, "the fault")
        stop = gauntlet("stop", folder / "run", cwd=folder)
        out, err = process.communicate(timeout=60)
    return Ended(process.returncode, f"{out}\n{stop.out}", err, folder / "run")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    jobs = {"open": run_open, "closed": run_closed, "stopped": run_stopped}
    folders = {name: tmp_path_factory.mktemp(name) for name in jobs}
    return together({name: lambda name=name: jobs[name](folders[name]) for name in jobs})


def of_kind(data: RunData, kind: RowKind) -> np.ndarray:
    return data.rows[data.rows["kind"] == kind]


def test_an_open_run_means_what_its_scenario_says_whoever_sent_it(runs: dict[str, Ended]) -> None:
    ended = runs["open"]
    data = read_run(ended.run)
    planned = list(arrivals.planned(data.scenario, 1))
    sent, dropped = of_kind(data, RowKind.SEND), of_kind(data, RowKind.DROP)
    assert ended.code == 0, ended
    assert sorted([*sent["intended"].tolist(), *dropped["intended"].tolist()]) == sorted(
        data.start_ns + int(at_ms * 1e6) for at_ms, _ in planned
    )
    assert ended.verdict["books"]["planned"] == len(planned)


def test_a_spike_is_more_of_the_same_and_who_is_silent_stays_so_and_connected(runs: dict[str, Ended]) -> None:
    data = read_run(runs["open"].run)
    sent = of_kind(data, RowKind.SEND)
    at_s = (sent["intended"] - data.start_ns) / 1e9
    steady, spike = ((a <= at_s) & (at_s < b) for a, b in ((0, 3), (3, 5)))
    assert 1.4 < (spike.sum() / 2) / (steady.sum() / 3) < 2.8
    talking = set(arrivals.talking(data.scenario, 1))
    assert set(sent["session"].tolist()) <= talking
    silent = set(range(data.scenario.users)) - talking
    closed = of_kind(data, RowKind.CLOSE)
    end_ns = data.start_ns + int(data.scenario.total_s * 1e9)
    assert len(silent) == 7
    assert {int(row["session"]) for row in closed if row["received"] >= end_ns} >= silent


def test_a_limit_drains_a_closed_run_which_cannot_say_go_and_says_what_it_hides(runs: dict[str, Ended]) -> None:
    ended = runs["closed"]
    data = read_run(ended.run)
    assert (ended.code, ended.ids) == (3, {"self"}), ended
    reason = read_manifest(ended.run)["exit"]
    assert reason.startswith("stopped: limits.tokens: 2,")
    assert f"the run was stopped before its time: {reason.removeprefix('stopped: ')}" in ended.checks["self"][
        "reason"
    ] + str(ended.checks["self"]["witnesses"])
    ends = of_kind(data, RowKind.END)
    assert set(ends["code"].tolist()) == {0}
    assert ends["cursor"].sum() + ends["key"].sum() >= 2_000
    ready = of_kind(data, RowKind.READY)
    assert ready["received"].max() < data.start_ns
    assert np.ptp(ready["received"]) > 0.4e9
    assert "a closed workload" in (ended.run / "report.html").read_text()


def test_who_asks_a_run_to_stop_gets_its_faults_healed_its_turns_ended_and_a_report(runs: dict[str, Ended]) -> None:
    ended = runs["stopped"]
    assert ended.code in {3, 99}, ended
    assert read_manifest(ended.run)["exit"] == "stopped: asked by gauntlet stop"
    assert "the run was stopped before its time: asked by gauntlet stop" in ended.out
    data = read_run(ended.run)
    assert data.rows["received"].max() < data.start_ns + 40e9
    assert not [line for line in data.journal if line.get("type") == "cleanup" and not line.get("ok")]
    assert "left behind:" not in (ended.run / "summary.md").read_text()
    gone(ended.run, 10.0)


def test_only_a_run_that_goes_on_can_be_stopped(runs: dict[str, Ended], tmp_path: Path) -> None:
    over = gauntlet("stop", runs["open"].run, cwd=tmp_path)
    nothing = gauntlet("stop", tmp_path, cwd=tmp_path)
    assert (over.code, nothing.code) == (2, 2)
    assert "the run is over: ended" in over.err
    assert "is no run directory" in nothing.err
