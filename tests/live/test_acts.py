"""Faults of our own side and on the backend's process, on the real path: they bite, everybody comes back, and a sound backend
is not blamed for what we did to ourselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtests.acts import read
from loadtests.history import COHORTS
from loadtests.rundir import read_run
from tests.live.gauntlet import CHAOS, Ended, gauntlet, processes_of, scenario, together

pytestmark = pytest.mark.live

EACH_S, APART_S = 2.0, 4.0
ON_US: dict[str, dict[str, Any]] = {
    "mass-disconnect": {"share": 0.6},
    "sleep": {"share": 0.5},
    "switch": {},
    "slow-consumer": {"share": 0.3},
}
ON_IT: dict[str, dict[str, Any]] = {"backend-kill": {}, "backend-pause": {}, "backend-restart": {}}


def one_run(folder: Path, faults: Mapping[str, dict[str, Any]], **changes: Any) -> Ended:
    """All of these, one after the other, in one phase."""
    phases = {"warm-up": 2.0, "steady": 4.0, "acts": APART_S * len(faults), "recovery": 8.0}
    path = scenario(folder / "mine.yaml", phases, **changes)
    body = yaml.safe_load(path.read_text())
    body["phases"][2]["faults"] = [
        {"at_s": APART_S * i, "for_s": EACH_S, "fault": {"kind": kind, **asked}}
        for i, (kind, asked) in enumerate(faults.items())
    ]
    path.write_text(yaml.safe_dump(body))
    return gauntlet("run", path, cwd=folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    us, it = (tmp_path_factory.mktemp(name) for name in ("us", "it"))
    return together({"us": lambda: one_run(us, ON_US), "it": lambda: one_run(it, ON_IT, scope="backend")})


@pytest.mark.parametrize("whom", ["us", "it"])
def test_a_sound_backend_is_go_and_nothing_is_left(runs: dict[str, Ended], whom: str) -> None:
    ended = runs[whom]
    assert (ended.code, ended.ids) == (0, set()), ended
    assert not processes_of(ended.run)
    assert "wedge" not in (ended.run / "history.jsonl").read_text()


def test_every_fault_was_seen_to_bite(runs: dict[str, Ended]) -> None:
    faults = [fault for ended in runs.values() for fault in ended.verdict["faults"]]
    assert {fault["kind"]: fault["effect"] for fault in faults} == dict.fromkeys({**ON_US, **ON_IT}, "confirmed")


@pytest.mark.parametrize("kind", ON_US)
def test_the_sessions_of_the_seed_did_it_and_nobody_else(runs: dict[str, Ended], kind: str) -> None:
    run = runs["us"].run
    begin, end = (line for line in read(run) if line["kind"] == kind)
    hit = round(15 * ON_US[kind].get("share", 1.0))
    assert (begin["act"], end["act"], begin["sessions"]) == ("begin", "end", end["sessions"])
    assert 0.6 * hit <= len(begin["sessions"]) <= hit
    rows = read_run(run).rows
    treated = set(rows["session"][rows["cohort"] == COHORTS.index("treated")].tolist())
    assert set(begin["sessions"]) <= treated
    assert len(treated) == 15


def test_a_fault_on_the_backend_is_everybodys(runs: dict[str, Ended]) -> None:
    run = runs["it"].run
    assert set(read_run(run).rows["cohort"].tolist()) == {COHORTS.index("treated")}
    manifest = json.loads((run / "manifest.json").read_bytes())
    assert (manifest["scope"], {one["place"] for one in manifest["windows"]}) == ("backend", {"backend"})
    assert not list(run.glob("toxiproxy-control*"))


def test_a_run_stops_itself_at_its_limits_and_leaves_nothing(tmp_path: Path) -> None:
    path = scenario(tmp_path / "mine.yaml", {**CHAOS, "recovery": 40.0}, abort={"share_hit": 0.2})
    ended = gauntlet("run", path, cwd=tmp_path)
    manifest = json.loads((ended.run / "manifest.json").read_bytes())
    assert "abort.share_hit is 0.2" in manifest["exit"]
    assert "the run cannot go on: stopped by its own limits" in ended.err
    assert ended.code == 3, ended
    assert ended.verdict["faults"][0]["end_s"] is not None
    assert not processes_of(ended.run)


def test_an_experiment_runs_by_its_name_and_the_manifest_says_which(tmp_path: Path) -> None:
    ended = gauntlet("run", "smoke", "--experiment", "flap", "--form", "short", cwd=tmp_path)
    assert (ended.code, ended.ids) == (0, set()), ended
    manifest = json.loads((ended.run / "manifest.json").read_bytes())
    assert (manifest["experiment"], manifest["form"], manifest["scenario"]) == ("flap", "short", "smoke-flap")
    assert manifest["hypothesis"]
    planned = gauntlet("chaos", "plan", "flap", "--form", "short", cwd=tmp_path)
    assert planned.out == (ended.run / "plan.json").read_text()
    cleaned = gauntlet("chaos", "cleanup", ended.run, cwd=tmp_path)
    assert (cleaned.code, cleaned.out.splitlines()[-1]) == (0, "nothing is left")
