"""One run's frame: its folder, its phases, its signals; whole runs are in ``tests/live``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from loadtests import contract, scenario
from loadtests.conductor import run as package_run
from loadtests.conductor.dryrun import doubts
from loadtests.conductor.options import RunOptions, prepare
from loadtests.conductor.run import EXIT_CODES, _Conductor, _discard, _Interrupted, _make_run_dir, _signals, run
from loadtests.errors import ConfigError, PreflightError, RigError

#: the package hides its module behind the function of the same name
module = sys.modules["loadtests.conductor.run"]


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


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        options = RunOptions(scenario="smoke", out=out)
        with pytest.raises(ConfigError, match="expected a folder that is empty or new"):
            _make_run_dir(options, prepare(options))


def test_gates_that_cannot_be_decided_are_told_before_the_run_directory_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(*_: object) -> Path:
        raise RigError(f"{len(said)} lines so far")

    said: list[str] = []
    monkeypatch.setattr(module, "_make_run_dir", made)
    options = RunOptions(scenario="smoke", users=5, duration_s=5.0, chaos=False, out=tmp_path / "out")
    with pytest.raises(RigError, match=f"^{len(list(doubts(prepare(options))))} lines"):
        run(options, said.append, lambda *_: None)
    assert "gate turn.success{phase:steady} rate>0.95 cannot be decided by about" in "\n".join(said)
    assert "not checked" not in "\n".join(said)


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_never_began_leaves_nothing_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    def conduct(self: _Conductor) -> str:
        self._journal.append("clock")
        raise PreflightError("connect", "nobody is there")

    monkeypatch.setattr(_Conductor, "conduct", conduct)
    out = tmp_path / "out"
    if there:
        out.mkdir()
    said: list[str] = []
    with pytest.raises(PreflightError):
        run(RunOptions(scenario="smoke", chaos=False, out=out), said.append, lambda *_: None)
    assert (out.exists(), list(tmp_path.rglob("*"))) == (there, [out] if there else [])
    assert said[-1] == f"nothing ran: the run directory is {'empty again' if there else 'removed'}"


def test_a_folder_with_more_than_set_up_in_it_stays_whole(tmp_path: Path) -> None:
    options = RunOptions(scenario="smoke", out=tmp_path / "out")
    folder = _make_run_dir(options, prepare(options))
    (folder / "rows" / "worker-0.bin").write_bytes(b"")
    before = sorted(folder.rglob("*"))
    assert not _discard(folder, itself=True)
    assert sorted(folder.rglob("*")) == before


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
