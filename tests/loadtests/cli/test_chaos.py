"""``gauntlet chaos``: the faults, a plan that is the same bytes for the same seed, and cleaning up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.faults import FAULTS
from tests.loadtests.cli.commands import called, refused


def test_every_fault_is_listed_with_what_it_can_be_asked_for() -> None:
    code, said = called("chaos", "list")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()] == list(FAULTS)
    assert "latency_ms" in next(line for line in said.splitlines() if line.startswith("latency"))


def test_a_plan_is_a_function_of_scenario_and_seed() -> None:
    first, again, other = (called("chaos", "plan", "smoke", "--seed", seed)[1] for seed in ("7", "7", "8"))
    assert first == again
    assert {window["kind"] for window in json.loads(first)["windows"]} == {"latency", "down"}
    assert json.loads(other)["seed"] == 8


def test_an_unknown_scenario_is_told() -> None:
    assert "did you mean 'smoke'?" in refused("chaos", "plan", "smok")


def test_a_folder_that_is_no_run_is_not_cleaned(tmp_path: Path) -> None:
    assert "is no run directory" in refused("chaos", "cleanup", tmp_path)


@pytest.mark.live
def test_where_nothing_is_left_there_is_nothing_to_clean(tmp_path: Path) -> None:
    run = tmp_path / "2026-01-01T000000Z-smoke-0000"
    run.mkdir()
    (run / "plan.json").write_text("{}")
    code, said = called("chaos", "cleanup", run)
    assert (code, said.split(",")[0]) == (0, "0 processes ended")
