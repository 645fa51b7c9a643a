"""A failing run's plan is shrunk in virtual time, confirmed by runs that a test plays, written down and told."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.plan import Plan
from loadtests.conductor import replays, shrinking
from loadtests.conductor.options import RunOptions
from loadtests.conductor.replays import Target
from loadtests.conductor.shrinking import ShrinkOptions, by_of, shrink
from loadtests.errors import ConfigError, RigError
from tests.loadtests.conductor.failures import failed, storm

FEW_SEEDS = 2
Finds = Callable[[Plan], set[str]]


class Rig:
    """Stands in for whole runs: what one finds is a function of its plan."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, finds: Finds) -> None:
        self.runs: list[RunOptions] = []
        self._finds = finds
        monkeypatch.setattr(replays, "run", self.run)

    def run(self, options: RunOptions, *_: object) -> int:
        self.runs.append(options)
        assert options.out is not None
        options.out.mkdir()
        found = self._finds(Plan.from_json(Path(options.experiment).read_bytes()))
        checks = [{"id": id_, "verdict": "invalid"} for id_ in found]
        (options.out / "verdict.json").write_text(json.dumps({"checks": checks}))
        return 99 if found else 0


@pytest.fixture(autouse=True)
def _few_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrinking, "SEEDS", FEW_SEEDS)


def done(options: ShrinkOptions) -> tuple[int, list[str]]:
    said: list[str] = []
    return shrink(options, said.append, lambda *_: None), said


def record(run: Path) -> dict[str, object]:
    read: dict[str, object] = json.loads((run / "shrunk" / "shrink.json").read_text())
    return read


def test_one_planted_cause_becomes_one_window_confirmed_live_with_a_command_to_replay_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = failed(tmp_path / "run", storm())
    rig = Rig(monkeypatch, lambda plan: {"honesty"} if plan.windows else set())
    code, said = done(ShrinkOptions(run=run))
    kept = record(run)
    plan = Plan.from_json((run / "shrunk" / "plan.json").read_bytes())
    assert (code, len(plan.windows), plan.windows[0].id) == (0, 1, "w1")
    assert (kept["windows_before"], kept["live"]) == (23, [1, 1])
    assert isinstance(kept["tries"], int)
    assert kept["tries"] <= 15
    assert len(rig.runs) == 1
    assert (rig.runs[0].defect, rig.runs[0].seed) == ("replay-skips", 3)
    words = shlex.split(said[-1])
    assert words[:2] == ["gauntlet", "run"]
    assert words[words.index("--experiment") + 1] == str(run / "shrunk" / "plan.json")
    assert words[words.index("--defect") + 1] == "replay-skips"
    assert any("23 windows became 1 in" in line for line in said)
    assert any(line.startswith("reproduced in virtual time with ") for line in said)
    assert "reproduced live 1 of 1 times" in said


def test_a_window_too_short_to_fail_live_gets_its_time_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = failed(tmp_path / "run", storm(cuts=5))
    Rig(monkeypatch, lambda plan: {"honesty"} if plan.windows[0].end_ms - plan.windows[0].start_ms > 600 else set())
    code, _ = done(ShrinkOptions(run=run))
    plan = Plan.from_json((run / "shrunk" / "plan.json").read_bytes())
    assert (code, len(plan.windows)) == (0, 1)
    assert plan.windows[0].end_ms - plan.windows[0].start_ms == 1_500
    assert record(run)["live"] == [1, 1]


def test_what_never_fails_live_is_said_and_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = failed(tmp_path / "run", storm(cuts=5))
    Rig(monkeypatch, lambda _: set())
    code, said = done(ShrinkOptions(run=run, confirm=2))
    assert code == 3
    assert "reproduced live 0 of 2 times" in said


def test_kinds_that_virtual_time_cannot_play_go_when_a_live_run_does_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = {"at_s": 17.5, "for_s": 1, "fault": {"kind": "sleep"}}
    run = failed(tmp_path / "run", storm(asleep, cuts=5))
    Rig(monkeypatch, lambda _: {"honesty"})
    _, said = done(ShrinkOptions(run=run))
    plan = Plan.from_json((run / "shrunk" / "plan.json").read_bytes())
    assert any("virtual time cannot play sleep" in line for line in said)
    assert "sleep" not in {window.kind for window in plan.windows}


def test_and_they_stay_when_only_a_run_with_them_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = {"at_s": 17.5, "for_s": 1, "fault": {"kind": "sleep"}}
    run = failed(tmp_path / "run", storm(asleep, cuts=5))
    Rig(monkeypatch, lambda plan: {"honesty"} if any(one.kind == "sleep" for one in plan.windows) else set())
    code, said = done(ShrinkOptions(run=run))
    assert code == 0
    assert record(run)["unplayed"] == ["sleep"]
    assert any("kept unproved" in line for line in said)


def test_a_failure_that_virtual_time_does_not_show_is_shrunk_live_only_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = failed(tmp_path / "run", storm(cuts=4), ids=("leak",), defect="")
    rig = Rig(monkeypatch, lambda plan: {"leak"} if any(one.id in {"w5", "w1"} for one in plan.windows[-1:]) else set())
    code, said = done(ShrinkOptions(run=run))
    assert (code, rig.runs) == (3, [])
    assert "try --by live" in said[-1]
    assert not (run / "shrunk").exists()


def test_live_tries_are_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = failed(tmp_path / "run", storm(cuts=4), ids=("leak",), target="ws://127.0.0.1:1/ws", defect="")
    cause = storm(cuts=4).windows[4]
    rig = Rig(monkeypatch, lambda plan: {"leak"} if cause.kind in {one.kind for one in plan.windows} else set())
    with pytest.raises(ConfigError, match="was not against the embedded backend"):
        done(ShrinkOptions(run=run))
    code, said = done(ShrinkOptions(run=run, target=Target(url="ws://127.0.0.1:1/ws", token_env="MINE")))
    assert (code, len(record(run)["windows"])) == (0, 1)  # type: ignore[arg-type]
    assert {(one.target, one.token_env) for one in rig.runs} == {("ws://127.0.0.1:1/ws", "MINE")}
    assert said[-1].endswith("--target ws://127.0.0.1:1/ws --token-env MINE")


def test_what_several_nodes_did_is_shrunk_live_on_as_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = failed(tmp_path / "run", storm(cuts=4), ids=("honesty",), defect="epoch-ignored", backend={"nodes": 2})
    rig = Rig(monkeypatch, lambda plan: {"honesty"} if plan.windows else set())
    code, said = done(ShrinkOptions(run=run))
    assert (code, len(record(run)["windows"])) == (0, 1)  # type: ignore[arg-type]
    assert {one.nodes for one in rig.runs} == {2}
    assert "--nodes 2 --defect epoch-ignored" in said[-1]


def test_an_earlier_shrink_is_not_written_over(tmp_path: Path) -> None:
    run = failed(tmp_path / "run", storm(cuts=2))
    (run / "shrunk").mkdir()
    with pytest.raises(RigError, match="is there already"):
        done(ShrinkOptions(run=run))


def test_the_ways_of_trying() -> None:
    assert [by_of(way) for way in shrinking.WAYS] == ["simulation", "live"]
    with pytest.raises(ConfigError, match="one of simulation, live"):
        by_of("hope")
