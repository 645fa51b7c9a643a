"""The run directory holds exactly what runs, is nobody else's, and leaves with a run that never began."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests import contract, scenario
from loadtests.conductor import folder
from loadtests.conductor.options import RunOptions, prepare
from loadtests.errors import ConfigError, RigError


def test_the_folder_holds_exactly_what_runs(tmp_path: Path) -> None:
    options = RunOptions(scenario="smoke", users=8, duration_s=9.0, out=tmp_path / "out")
    prepared = prepare(options)
    run_dir = folder.make(prepared)
    assert scenario.load(str(run_dir / "scenario.yaml"))[0] == prepared.scenario
    assert contract.load(run_dir / "contract.yaml").digest == prepared.contract.digest
    assert (run_dir / "plan.json").read_text() == prepared.plan.to_json()
    assert (run_dir / "rows").is_dir()


def test_a_run_never_writes_over_another(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("")
    options = RunOptions(scenario="smoke", out=tmp_path)
    with pytest.raises(RigError, match="is not empty"):
        folder.make(prepare(options))


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        options = RunOptions(scenario="smoke", out=out)
        with pytest.raises(ConfigError, match="expected a folder that is empty or new"):
            folder.make(prepare(options))


def test_a_folder_with_more_than_set_up_in_it_stays_whole(tmp_path: Path) -> None:
    options = RunOptions(scenario="smoke", out=tmp_path / "out")
    run_dir = folder.make(prepare(options))
    (run_dir / "rows" / "worker-0.bin").write_bytes(b"")
    before = sorted(run_dir.rglob("*"))
    assert not folder.discard(run_dir, itself=True)
    assert sorted(run_dir.rglob("*")) == before


@pytest.mark.parametrize("itself", [True, False])
def test_what_was_put_there_goes_and_the_folder_itself_only_if_it_is_ours(tmp_path: Path, itself: bool) -> None:
    run_dir = folder.make(prepare(RunOptions(scenario="smoke", out=tmp_path / "out")))
    (run_dir / "manifest.json").write_text("{}")
    assert folder.discard(run_dir, itself=itself)
    assert (run_dir.exists(), list(tmp_path.rglob("*"))) == (not itself, [] if itself else [run_dir])
