"""Judging writes beside what is there, never over it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.conductor.report import judge_again
from loadtests.errors import GauntletError
from tests.loadtests.cli.commands import recorded

WHOLE = ("start", "think", "open", "close", "done")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("judged") / "run", WHOLE, ("think", "start", "open", "close", "done"))


def test_the_first_verdict_stays_and_others_stand_beside_it(run: Path, tmp_path: Path) -> None:
    verdict = judge_again(run, None, None)
    first = (run / "verdict.json").read_bytes()
    assert json.loads(first)["verdict"] == verdict != "go"
    written = {path.name for path in run.iterdir()}
    assert {"verdict.json", "report.html", "summary.md", "junit.xml", "turns.parquet", "events.parquet"} <= written
    other = tmp_path / "lenient.yaml"
    other.write_text(
        "contract: 1\nname: lenient\nextends: reference\norder: {states: {asked: {agent_thinking: running}}}\n"
    )
    judge_again(run, str(other), None)
    judge_again(run, None, None)
    verdicts = [json.loads((run / "judged" / number / "verdict.json").read_bytes()) for number in ("1", "2")]
    orders = [next(check["verdict"] for check in verdict["checks"] if check["id"] == "order") for verdict in verdicts]
    assert orders == ["valid", "invalid"]
    assert (run / "verdict.json").read_bytes() == first
    assert {path.name for path in run.iterdir()} == written | {"judged"}
    assert not list(run.rglob("*.partial"))


def test_a_run_that_cannot_be_written_to_is_told(run: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(GauntletError, match="file"):
        judge_again(run, None, None, out=blocked)
