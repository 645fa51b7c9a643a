"""``gauntlet chaos``: faults and experiments, a plan that is the same bytes for the same seed, and cleaning up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos import experiment
from chaos.faults import FAULTS
from chaos.guard import Guard
from loadtests.manifest import run_id
from tests.loadtests.cli.commands import called, refused


def test_every_fault_and_every_experiment_is_listed_with_its_meaning() -> None:
    code, said = called("chaos", "list")
    faults, experiments = said.split("experiments, for")
    listed = [line.split()[0] for line in faults.splitlines() if line.startswith("  ")]
    assert (code, sorted(listed)) == (0, sorted(FAULTS))
    assert [line.split()[0] for line in experiments.splitlines()[1:]] == experiment.names()
    line = next(line for line in faults.splitlines() if line.startswith("  latency "))
    assert "every byte arrives later" in line
    assert "[latency_ms, jitter_ms, direction]" in line
    assert "faults by our own sessions, nobody else's" in said
    assert not [line for line in said.splitlines() if line.startswith("  ") and len(line.split()) < 3]


def test_a_plan_is_a_function_of_scenario_and_seed() -> None:
    first, again, other = (called("chaos", "plan", "smoke", "--seed", seed)[1] for seed in ("7", "7", "8"))
    assert first == again
    assert {window["kind"] for window in json.loads(first)["windows"]} == {"latency", "down"}
    assert json.loads(other)["seed"] == 8


def test_an_experiment_is_planned_in_either_form() -> None:
    full, short = (called("chaos", "plan", "flap", "--form", form)[1] for form in ("full", "short"))
    ends = [json.loads(text)["phases"][-1]["end_ms"] for text in (full, short)]
    assert ends[0] > ends[1] > 0
    assert called("chaos", "plan", "flap")[1] == full


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("smok",), "did you mean 'smoke'?"),
        (("flapp",), "did you mean 'flap'?"),
        (("flap", "--form", "shrt"), "one of full, short"),
        (("smoke", "--form", "short"), "smoke is no experiment"),
    ],
)
def test_what_cannot_be_planned_is_told(arguments: tuple[str, ...], words: str) -> None:
    assert words in refused("chaos", "plan", *arguments)


def test_a_folder_that_is_no_run_is_not_cleaned(tmp_path: Path) -> None:
    assert "is no run directory" in refused("chaos", "cleanup", tmp_path)


def test_a_folder_that_is_no_run_is_not_shrunk(tmp_path: Path) -> None:
    assert "is no judged run directory" in refused("chaos", "shrink", tmp_path)
    assert "one of simulation, live" in refused("chaos", "shrink", tmp_path, "--by", "magic")


@pytest.mark.live
def test_where_nothing_is_left_there_is_nothing_to_clean(tmp_path: Path) -> None:
    run = tmp_path / "2026-01-01T000000Z-smoke-0000"
    run.mkdir()
    (run / "plan.json").write_text("{}")
    code, said = called("chaos", "cleanup", run)
    assert (code, said.splitlines()) == (0, ["no processes ended", "nothing is left"])


@pytest.mark.live
def test_a_run_that_is_alive_is_cleaned_by_force_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaos.cleanup.PATIENCE_S", 0.1)
    (tmp_path / "plan.json").write_text("{}")
    guard = Guard.start(run_id(tmp_path), tmp_path)
    try:
        assert "is alive" in refused("chaos", "cleanup", tmp_path)
        code, said = called("chaos", "cleanup", tmp_path, "--force")
    finally:
        guard.close()
    assert (code, said.splitlines()) == (0, ["no processes ended", "nothing is left"])


@pytest.mark.parametrize("command", ["list", "plan", "shrink", "cleanup"])
def test_every_help_has_an_example(command: str) -> None:
    assert "Example:" in called("chaos", command, "--help")[1]
