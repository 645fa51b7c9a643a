"""One run's frame: its folder, its phases, its signals; whole runs are in ``tests/live``."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from loadtests import contract, scenario
from loadtests.conductor import run as package_run
from loadtests.conductor.options import RunOptions, prepare
from loadtests.conductor.run import EXIT_CODES, _Conductor, _Interrupted, _make_run_dir, _signals, run
from loadtests.errors import RigError


def test_verdicts_have_the_exit_codes_of_the_design() -> None:
    assert EXIT_CODES == {"go": 0, "no-go": 99, "cannot-say": 3}
    assert package_run is run


def test_a_dry_run_only_talks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    assert run(RunOptions(scenario="smoke", dry_run=True), said.append, lambda *_: None) == 0
    assert said[0].startswith("scenario  smoke")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_holds_exactly_what_runs(tmp_path: Path) -> None:
    options = RunOptions(scenario="smoke", users=8, duration_s=9.0, out=tmp_path / "out")
    prepared = prepare(options)
    folder = _make_run_dir(options, prepared)
    assert scenario.load(str(folder / "scenario.yaml"))[0] == prepared.scenario
    assert contract.load(folder / "contract.yaml").digest == prepared.contract.digest
    assert (folder / "plan.json").read_text() == prepared.plan.to_json()
    assert (folder / "rows").is_dir()


def test_a_run_never_writes_over_another(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("")
    options = RunOptions(scenario="smoke", out=tmp_path)
    with pytest.raises(RigError, match="is not empty"):
        _make_run_dir(options, prepare(options))


@pytest.mark.parametrize(
    ("at_s", "phase"),
    [
        (0, "warm-up"),
        (3.9, "warm-up"),
        (4, "steady"),
        (28, "down"),
        (44.9, "cool-down"),
        (45, "draining"),
        (99, "draining"),
    ],
)
def test_the_phase_shown_is_the_one_that_is_on(tmp_path: Path, at_s: float, phase: str) -> None:
    options = RunOptions(scenario="smoke", out=tmp_path / "out")
    prepared = prepare(options)
    conductor = _Conductor(prepared, _make_run_dir(options, prepared), None, print, lambda *_: None)
    name, shown_s, total_s = conductor._where(at_s)
    assert (name, shown_s <= total_s, total_s) == (phase, True, 45)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_once_and_handlers_are_put_back(number: signal.Signals) -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    with pytest.raises(_Interrupted), _signals():
        os.kill(os.getpid(), number)
    assert {one: signal.getsignal(one) for one in before} == before
