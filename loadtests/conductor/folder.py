"""The run directory as the conductor makes it: exactly what runs, and nothing left of a run that never began."""

from __future__ import annotations

from pathlib import Path

import msgspec

from loadtests import manifest
from loadtests.conductor.options import Prepared
from loadtests.errors import ConfigError, RigError

__all__ = ["discard", "make"]

#: all that is in the folder of a run before its load
SET_UP = frozenset({
    "assignment.json", "backend.log", "contract.yaml", "guard.json", "guard.lock", "history.jsonl", "manifest.json", "plan.json",
    "scenario.yaml",
})  # fmt: skip


def make(prepared: Prepared) -> Path:
    """The folder, with scenario, contract and plan in it.

    Raises:
        GauntletError: it cannot be made, or is somebody's already.
    """
    out = prepared.options.out
    if out is None:
        run_dir = manifest.new_run_dir(Path("runs"), prepared.scenario.name).resolve()
    else:
        run_dir = out.resolve()
        try:
            if run_dir.exists() and any(run_dir.iterdir()):
                raise RigError(f"--out {out}: the folder is not empty; a run never writes over another")
            (run_dir / "rows").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--out {out}", "", str(error.strerror), "a folder that is empty or new") from None
    (run_dir / "scenario.yaml").write_bytes(msgspec.yaml.encode(prepared.scenario))
    (run_dir / "contract.yaml").write_text(prepared.contract.text)
    (run_dir / "plan.json").write_text(prepared.plan.to_json())
    return run_dir


def discard(run_dir: Path, *, itself: bool) -> bool:
    """Remove the folder of a run that never began, or only what we put there; false: there is more in it, and it stays."""
    found = list(run_dir.rglob("*"))
    if any(path.is_file() and path.name not in SET_UP for path in found):
        return False
    for path in sorted(found, reverse=True):  # what is in a folder before the folder
        path.rmdir() if path.is_dir() else path.unlink()
    if itself:
        run_dir.rmdir()
    return True
