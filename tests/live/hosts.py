"""A run on several hosts as users make it: a master and its worker hosts, each the same command but for one option."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.ports import free_port
from tests.live.gauntlet import Ended, started

__all__ = ["FAULTS", "TOKEN", "Party", "party"]

TOKEN = {"GAUNTLET_HOSTS_TOKEN": "not-to-be-found-anywhere-7f3a"}

#: the phases of a scenario: one fault that slows, one that holds, each with time to be seen and to be over
FAULTS: dict[str, float | tuple[float, dict[str, Any]]] = {
    "warm-up": 2.0, "steady": 4.0, "slow": (2.0, {"kind": "latency", "latency_ms": 100}), "recovery-slow": 4.0,
    "lost": (2.0, {"kind": "drop"}), "recovery": 6.0,
}  # fmt: skip


@dataclass(slots=True)
class Party:
    """All of them, running."""

    folder: Path
    master: subprocess.Popen[str]
    workers: list[subprocess.Popen[str]]

    def ended(self, timeout_s: float = 150.0) -> tuple[Ended, list[Ended]]:
        """How the master ended, and how its workers did."""
        out, err = self.master.communicate(timeout=timeout_s)
        said = [worker.communicate(timeout=timeout_s) for worker in self.workers]
        parts = [
            Ended(one.returncode, *words, self.folder / f"part-{number}")
            for number, (one, words) in enumerate(zip(self.workers, said, strict=True), 1)
        ]
        return Ended(self.master.returncode, out, err, self.folder / "run"), parts


@contextmanager
def party(
    folder: Path, *options: str | Path, workers: Sequence[Sequence[str]] = ((), ()), env: Mapping[str, str] = TOKEN,
    chaos: bool = False,
) -> Iterator[Party]:  # fmt: skip
    """``options``: of all; ``workers``: what each has beside them. No faults unless ``chaos``."""
    at = f"127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        words = ("run", *options, *(() if chaos else ("--no-chaos",)))
        count = str(len(workers))
        master = stack.enter_context(
            started(
                *words, "--master", "--workers", count, "--bind", at, "--out", folder / "run", env=TOKEN, cwd=folder
            )
        )
        parts = [
            stack.enter_context(
                started(*words, *own, "--worker", at, "--out", folder / f"part-{number}", env=env, cwd=folder)
            )
            for number, own in enumerate(workers, 1)
        ]
        yield Party(folder, master, parts)
