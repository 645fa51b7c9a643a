"""What a run found, found again by running it live under other plans."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.conductor.options import RunOptions
from loadtests.conductor.rehearsal import HARNESS
from loadtests.conductor.run import EMBEDDED, INTERRUPTED, Progress, Say, run
from loadtests.errors import ConfigError
from loadtests.manifest import read_manifest

if TYPE_CHECKING:
    from chaos.plan import Plan

__all__ = ["Failure", "Live", "Target", "command_of", "failure_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to run again, as ``gauntlet run`` is told; without a URL against the embedded backend."""

    url: str = ""
    allowed: tuple[str, ...] = ()
    token_env: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What a run found, and what it ran."""

    folder: Path
    ids: frozenset[str]
    plan: Plan
    seed: int
    defect: str
    processes: int
    #: it was against the embedded backend
    embedded: bool
    #: of the embedded backend
    nodes: int = 1


def failure_of(run_dir: Path) -> Failure:
    """What is to be reproduced.

    Raises:
        ConfigError: no run directory, or one in which nothing failed under a plan.
    """
    from chaos.plan import Plan

    manifest = read_manifest(run_dir)
    try:
        plan = Plan.from_json((run_dir / "plan.json").read_bytes(), str(run_dir / "plan.json"))
        ids = _found(run_dir)
        processes, seed = int(manifest.get("workers", 1)), int(manifest.get("seed", plan.seed))
        nodes = int(manifest.get("backend", {}).get("nodes", 1))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        hint = "a folder with plan.json and verdict.json; gauntlet report RUN writes the latter"
        raise ConfigError(str(run_dir), "", "is no judged run directory", hint) from None
    if not ids:
        raise ConfigError(str(run_dir), "verdict.json", "no checker found anything", "a run with findings to reproduce")
    if not plan.windows:
        raise ConfigError(str(run_dir), "plan.json", "there are no fault windows", "a run with faults")
    return Failure(
        folder=run_dir, ids=ids, plan=plan, seed=seed, defect=str(manifest.get("defect") or ""), processes=processes,
        embedded=str(manifest.get("target", "")).startswith(EMBEDDED), nodes=nodes,
    )  # fmt: skip


def _found(run_dir: Path) -> frozenset[str]:
    """The ids that a run's verdict holds against its backend.

    Raises:
        OSError: the run was not judged.
    """
    verdict = json.loads((run_dir / "verdict.json").read_bytes())
    return frozenset(check["id"] for check in verdict["checks"] if check["verdict"] == "invalid") - {HARNESS}


class Live:
    """Plans as whole runs, one after the other, in folders below ``out``."""

    def __init__(self, failure: Failure, target: Target, out: Path, say: Say, progress: Progress) -> None:
        self._failure, self._target, self.out, self._say, self._progress = failure, target, out, say, progress
        self._count = 0

    def run_options(self, plan: Path, out: Path | None = None) -> RunOptions:
        failure, target = self._failure, self._target
        nodes = failure.nodes if failure.nodes > 1 and not target.url else None  # a target has those that it has
        return RunOptions(
            scenario=str(failure.folder / "scenario.yaml"), contract=str(failure.folder / "contract.yaml"), experiment=str(plan),
            seed=failure.seed, processes=failure.processes, defect=failure.defect, target=target.url,
            allow_target=target.allowed, token_env=target.token_env, nodes=nodes, out=out,
        )  # fmt: skip

    def fails(self, plan: Plan) -> bool:
        """Whether a run under this plan finds the same.

        Raises:
            KeyboardInterrupt: it was interrupted, and has healed and reported.
        """
        self._count += 1
        file = self.out / f"live-{self._count}.json"
        file.write_text(plan.to_json())
        folder = self.out / f"live-{self._count}"
        with contextlib.redirect_stdout(io.StringIO()):
            code = run(self.run_options(file, folder), _silent, self._progress)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        try:
            found = _found(folder)
        except OSError:
            return False
        self._say(f"  live run {self._count}: {', '.join(sorted(found)) or 'nothing found'} ({folder})")
        return found == self._failure.ids


def _silent(_text: str) -> None:
    """A run within a search tells nothing of its own."""


def command_of(options: RunOptions) -> str:
    """What replays the plan."""
    words = ["gauntlet", "run", options.scenario, "--contract", options.contract, "--experiment", options.experiment]
    words += ["--seed", str(options.seed)]
    words += ["--processes", str(options.processes)] if options.processes != 1 else []
    words += ["--nodes", str(options.nodes)] if options.nodes is not None else []
    words += ["--defect", options.defect] if options.defect else []
    words += ["--target", options.target] if options.target else []
    for host in options.allow_target:
        words += ["--allow-target", host]
    words += ["--token-env", options.token_env] if options.token_env else []
    return shlex.join(words)
