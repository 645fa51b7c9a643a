"""However a run ends: nothing of it stays, and what it recorded can be judged, but never as GO."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

import psutil
import pytest

from loadtests.manifest import run_id
from tests.live.gauntlet import CHAOS, Ended, gauntlet, gone, processes_of, scenario, started, together, until

pytestmark = pytest.mark.live

SOON_S = 2.0
#: long enough for any of them to be the end of it
LONG = {**CHAOS, "down": 6.0, "recovery": 20.0}


def begun(run: Path) -> bool:
    """The load is on."""
    return any(file.stat().st_size > 96 * 500 for file in (run / "rows").glob("*.bin"))


def preflighting(run: Path) -> bool:
    return (run / "assignment.json").exists() and len(processes_of(run)) >= 2


def under_fault(run: Path) -> bool:
    journal = run / "history.jsonl"
    return journal.exists() and '"applied"' in journal.read_text()


MOMENTS: dict[str, Callable[[Path], bool]] = {"preflight": preflighting, "load": begun, "fault": under_fault}


def of_run(run: Path, word: str) -> list[psutil.Process]:
    """The processes of a run whose command line has a word in it."""
    found = []
    for pid in processes_of(run):
        process = psutil.Process(pid)
        if any(word in part for part in process.cmdline()):
            found.append(process)
    return found


def ended_by(folder: Path, when: Callable[[Path], bool], end: Callable[[subprocess.Popen[str], Path], None]) -> Ended:
    """Start a long run, wait for the moment, end it some way."""
    run = folder / "run"
    with started("run", scenario(folder / "long.yaml", LONG), "--out", run, cwd=folder) as process:
        until(lambda: when(run) or process.poll() is not None, 60, "the moment")
        assert process.poll() is None, process.communicate()
        end(process, run)
        out, err = process.communicate(timeout=90)
    return Ended(process.returncode, out, err, run)


def kill_conductor(process: subprocess.Popen[str], run: Path) -> None:
    assert of_run(run, "loadtests.backend")
    began = monotonic()
    process.kill()
    process.wait()
    gone(run, SOON_S)
    assert monotonic() - began < SOON_S


def interrupt(process: subprocess.Popen[str], _: Path) -> None:
    process.send_signal(signal.SIGINT)


def kill_load(_: subprocess.Popen[str], run: Path) -> None:
    for process in of_run(run, "locust"):
        process.kill()


def kill_backend(_: subprocess.Popen[str], run: Path) -> None:
    for process in of_run(run, "loadtests.backend"):
        process.kill()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ended]:
    jobs = {name: (when, kill_conductor) for name, when in MOMENTS.items()}
    jobs |= {
        "interrupted": (under_fault, interrupt),
        "no load": (begun, kill_load),
        "no backend": (begun, kill_backend),
    }
    return together({
        name: lambda name=name, job=job: ended_by(tmp_path_factory.mktemp(name.replace(" ", "-")), *job)  # type: ignore[misc]  # bound at once
        for name, job in jobs.items()
    })  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_conductor_leaves_nothing_and_a_directory_that_cannot_say(
    runs: Mapping[str, Ended], moment: str
) -> None:  # fmt: skip
    killed = runs[moment]
    assert killed.code == -signal.SIGKILL
    guard = json.loads((killed.run / "guard.json").read_bytes())
    assert (guard["reason"], guard["left"]) == ("conductor-death", [])
    judged = gauntlet("report", killed.run, cwd=killed.run.parent)
    assert judged.code == 3, judged
    assert "CANNOT SAY" in judged.out
    verdict = json.loads((killed.run / "verdict.json").read_bytes())
    assert verdict["verdict"] == "cannot-say"
    assert "its manifest has no end" in killed.checks["self"]["reason"]


def test_an_interrupted_run_still_reports_and_heals(runs: Mapping[str, Ended]) -> None:
    ended = runs["interrupted"]
    assert ended.code == 130, ended
    assert (ended.run / "report.html").exists()
    assert ended.verdict["cleanup"] == "nothing left behind"
    assert ended.checks["self"]["verdict"] == "valid", ended.checks["self"]
    assert ended.ids == set(), ended
    assert not processes_of(ended.run)


@pytest.mark.parametrize(
    ("name", "reason"), [("no load", "Locust ended too early"), ("no backend", "the embedded backend died")]
)
def test_a_run_that_lost_a_part_of_the_rig_cannot_say_and_names_it(
    runs: Mapping[str, Ended], name: str, reason: str
) -> None:  # fmt: skip
    ended = runs[name]
    assert (ended.code, ended.verdict["verdict"]) == (3, "cannot-say"), ended
    assert reason in ended.checks["self"]["reason"]
    assert reason in ended.verdict["sentence"]
    assert not processes_of(ended.run)
    assert (ended.run / "junit.xml").stat().st_size


def test_two_runs_into_folders_of_one_name_have_two_tags(tmp_path: Path) -> None:
    """Else the guard of the one would end the processes of the other."""
    assert run_id(tmp_path / "a" / "run") != run_id(tmp_path / "b" / "run")
    assert run_id(tmp_path / "a" / "run") == run_id(tmp_path / "b" / ".." / "a" / "run")
