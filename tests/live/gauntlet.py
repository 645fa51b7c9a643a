"""The command as users run it: a process of its own, its exit code, what it printed, and the run directory it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import yaml

from chaos.guard import tagged
from loadtests.manifest import run_id

__all__ = [
    "CHAOS", "QUIET", "Ended", "backend", "gauntlet", "gone", "processes_of", "scenario", "started", "together", "until",
]  # fmt: skip

T = TypeVar("T")
COMMAND = (sys.executable, "-P", "-c", "from loadtests.cli import main; main()")
MOST_S = 150.0

QUIET: dict[str, float] = {"warm-up": 1.0, "steady": 6.0, "cool-down": 1.0}
#: the faults of a scenario that is long enough for every law to have its say, and no longer
CHAOS: dict[str, float] = {"warm-up": 2.0, "steady": 4.0, "down": 2.0, "recovery": 6.0}


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over."""

    code: int
    out: str
    err: str
    run: Path

    @property
    def verdict(self) -> dict[str, Any]:
        return dict(json.loads((self.run / "verdict.json").read_bytes()))

    @property
    def checks(self) -> dict[str, dict[str, Any]]:
        return {check["id"]: check for check in self.verdict["checks"]}

    @property
    def ids(self) -> set[str]:
        """The checkers that found something."""
        return {id_ for id_, check in self.checks.items() if check["verdict"] == "invalid"}

    @property
    def failed_gates(self) -> set[str]:
        return {gate["metric"] for gate in self.verdict["gates"] if gate["verdict"] == "fail"}

    @property
    def broken_rules(self) -> list[str]:
        """Each gate that failed, with its rule."""
        gates = self.verdict["gates"]
        return sorted(f"{gate['metric']} {gate['rule']}" for gate in gates if gate["verdict"] == "fail")

    @property
    def rows_bytes(self) -> int:
        return sum(file.stat().st_size for file in (self.run / "rows").glob("*.bin"))

    def __str__(self) -> str:
        """What a failed assertion should show."""
        return f"exit {self.code}\n{self.out[-3000:]}\n{self.err[-3000:]}"


def environment(more: Mapping[str, str]) -> dict[str, str]:
    # The tag of an outer run would make its guard responsible for this one.
    return {**{k: v for k, v in os.environ.items() if k != "GAUNTLET_RUN"}, "COLUMNS": "150", **more}


@contextmanager
def started(
    *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path, within: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """The command, running; killed when the block is left. ``within``: words before it, of a program that becomes it."""
    with subprocess.Popen(
        [*within, *COMMAND, *map(str, arguments)], env=environment(env or {}), cwd=cwd, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def gauntlet(
    *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path, timeout_s: float = MOST_S
) -> Ended:  # fmt: skip
    """The command, from start to end; a run's own folder is ``cwd/run``."""
    words = [*arguments, *(["--out", cwd / "run"] if arguments[0] == "run" and "--out" not in arguments else [])]
    with started(*words, env=env, cwd=cwd) as process:
        out, err = process.communicate(timeout=timeout_s)
    return Ended(process.returncode, out, err, cwd / "run")


def together(jobs: Mapping[str, Callable[[], T]], at_once: int = 2) -> dict[str, T]:
    """Some runs side by side, never more than the cores bear."""
    with ThreadPoolExecutor(at_once) as pool:
        futures = {name: pool.submit(job) for name, job in jobs.items()}
        return {name: future.result() for name, future in futures.items()}


def scenario(path: Path, phases: Mapping[str, float | tuple[float, dict[str, Any]]] = QUIET, **changes: Any) -> Path:
    """A short scenario as a file. ``phases``: seconds, and a fault that fills them; one named ``down`` has that fault."""
    rows = [
        {"name": name, "s": what[0], "fault": what[1]} if isinstance(what, tuple)
        else {"name": name, "s": what, **({"fault": {"kind": "down"}} if name == "down" else {})}
        for name, what in phases.items()
    ]  # fmt: skip
    body = {
        "scenario": 1, "name": "short", "users": 30, "pace_ms": 1000, "prompts": ["What does it cost?"], "phases": rows,
        "generator": {"loop_lag_p99_ms": 500.0, "cpu_p95": 1.5}, **changes,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    return path


def until(condition: Callable[[], T], timeout_s: float = 30.0, what: str = "the condition") -> T:
    """Wait for a condition, with a deadline; returns what made it true."""
    pause, deadline = threading.Event(), monotonic() + timeout_s
    while not (found := condition()):
        assert monotonic() < deadline, f"{what} did not come true within {timeout_s:g} s"
        pause.wait(0.01)
    return found


def processes_of(run: Path) -> list[int]:
    """All living processes that carry the run's tag."""
    return tagged(run_id(run))


def gone(run: Path, timeout_s: float) -> None:
    """No process of the run is left, within a bound."""
    until(lambda: not processes_of(run), timeout_s, f"the end of all processes of {run}")


@contextmanager
def backend(*arguments: str | Path, within: Sequence[str] = ()) -> Iterator[str]:
    """The embedded backend as a stranger's: started by hand, known by its URL alone."""
    words: Sequence[str] = [
        *within,
        sys.executable,
        "-P",
        "-m",
        "loadtests.backend",
        "--lifeline",
        *map(str, arguments),
    ]
    with subprocess.Popen(words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[1]
        finally:
            process.kill()
