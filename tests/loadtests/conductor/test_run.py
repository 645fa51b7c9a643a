"""One run's frame: what is told before it, its phases, how it never began; whole runs are in ``tests/live``."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.lease import Lease
from loadtests.conductor import folder
from loadtests.conductor import run as package_run
from loadtests.conductor.dryrun import doubts
from loadtests.conductor.options import RunOptions, prepare
from loadtests.conductor.run import EXIT_CODES, Conductor, run
from loadtests.errors import ConfigError, PreflightError, RigError


def test_verdicts_have_the_exit_codes_of_the_design() -> None:
    assert EXIT_CODES == {"go": 0, "no-go": 99, "cannot-say": 3}
    assert package_run is run


def test_a_dry_run_only_talks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    assert run(RunOptions(scenario="smoke", dry_run=True), said.append, lambda *_: None) == 0
    assert said[0].startswith("scenario  smoke")
    assert list(tmp_path.iterdir()) == []


def test_gates_that_cannot_be_decided_are_told_before_the_run_directory_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(*_: object) -> Path:
        raise RigError(f"{len(said)} lines so far")

    said: list[str] = []
    monkeypatch.setattr(folder, "make", made)
    options = RunOptions(scenario="smoke", users=5, duration_s=5.0, chaos=False, out=tmp_path / "out")
    with pytest.raises(RigError, match=f"^{len(list(doubts(prepare(options))))} lines"):
        run(options, said.append, lambda *_: None)
    assert "gate turn.success{phase:steady} rate>0.95 cannot be decided by about" in "\n".join(said)
    assert "not checked" not in "\n".join(said)


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_never_began_leaves_nothing_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    def conduct(self: Conductor) -> str:
        self._journal.append("clock")
        raise PreflightError("connect", "nobody is there")

    monkeypatch.setattr(Conductor, "conduct", conduct)
    out = tmp_path / "out"
    if there:
        out.mkdir()
    said: list[str] = []
    with pytest.raises(PreflightError):
        run(RunOptions(scenario="smoke", chaos=False, out=out), said.append, lambda *_: None)
    assert (out.exists(), list(tmp_path.rglob("*"))) == (there, [out] if there else [])
    assert said[-1] == f"nothing ran: the run directory is {'empty again' if there else 'removed'}"


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
    conductor = Conductor(prepared, folder.make(prepared), None, print, lambda *_: None)
    name, shown_s, total_s = conductor._where(at_s)
    assert (name, shown_s <= total_s, total_s) == (phase, True, 45)


@pytest.mark.parametrize("chaos", [False, True])
def test_two_runs_on_one_target_are_one_too_many_with_faults_or_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chaos: bool
) -> None:
    """Refused before anybody connects: there is no listener, and that is not what is said."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    options = RunOptions(scenario="smoke", target="ws://127.0.0.1:9/ws", chaos=chaos, out=tmp_path / "out")
    with Lease.take("localhost", 9, "the-other", print), pytest.raises(RigError, match=r"run the-other \(process"):
        run(options, lambda _: None, lambda *_: None)
    assert not (tmp_path / "out").exists()
    with pytest.raises(PreflightError):
        run(options, lambda _: None, lambda *_: None)


def test_a_command_whose_program_is_missing_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    """The built-in experiment leaves its programs to the product."""
    options = RunOptions(scenario="smoke", experiment="token-expiry", form="short", out=tmp_path / "out")
    with pytest.raises(
        ConfigError, match=r"windows\.w1: no program expire-tokens, tokens-expired, renew-tokens on this machine"
    ):
        run(options, lambda _: None, lambda *_: None)
    assert list(tmp_path.iterdir()) == []
