"""``manifest.json``: what ran, where, with what, and how it ended. Written at the start, completed at the end."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from loadtests.history import SCHEMA

__all__ = [
    "complete",
    "new_nonce",
    "new_run_dir",
    "read_manifest",
    "run_id",
    "scenario_digest",
    "stamp",
    "write_manifest",
]

PACKAGES = (
    "chat-gauntlet",
    "locust",
    "websockets",
    "gevent",
    "toxiproxy-python",
    "pandas",
    "numpy",
    "scipy",
    "msgspec",
)
FILE = "manifest.json"
SCENARIO = "scenario.yaml"


def new_nonce() -> str:
    """Marks every id that a run makes, so that it can be told from other runs' and found in any frame."""
    return "gx" + secrets.token_hex(4)


def stamp() -> str:
    """UTC time as a file name, sorting by age."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")


def new_run_dir(base: Path, scenario: str) -> Path:
    """``<UTC time>-<scenario>-<4 hex>``, made now."""
    path = base / f"{stamp()}-{scenario}-{secrets.token_hex(2)}"
    (path / "rows").mkdir(parents=True)
    return path


def run_id(run_dir: Path) -> str:
    """Tags the run's processes and proxies. Not the folder's name alone: two runs may both be ``--out …/run``, and the
    guard of one must not end the other's.
    """
    where = f"{platform.node()}:{run_dir.resolve()}"
    return f"{run_dir.resolve().name}-{hashlib.sha256(where.encode()).hexdigest()[:8]}"


def scenario_digest(run_dir: Path) -> str:
    """Of the file as it lies there: half of it can be a scenario too, one without some of its gates.

    Raises:
        OSError: it cannot be read.
    """
    return hashlib.sha256((run_dir / SCENARIO).read_bytes()).hexdigest()[:12]


def write_manifest(run_dir: Path, facts: Mapping[str, Any]) -> None:
    """The start of a run: everything but how it ended."""
    manifest = {
        "schema": SCHEMA,
        "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "clock": _anchor(),
        "host": {
            "machine": platform.machine(),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        },
        "versions": {name: _version(name) for name in PACKAGES},
        "exit": None,
        "scenario_digest": scenario_digest(run_dir) if (run_dir / SCENARIO).is_file() else None,
        **facts,
    }
    keys = ("scenario", "contract_digest", "plan_digest", "users", "pace_ms", "phases", "target")
    manifest["comparability_key"] = hashlib.sha256(
        json.dumps({**{key: manifest.get(key) for key in keys}, "host": manifest["host"]}, sort_keys=True).encode()
    ).hexdigest()[:12]
    _write(run_dir, manifest)


def complete(run_dir: Path, exit_reason: str, **facts: Any) -> None:
    """The end of a run."""
    manifest = read_manifest(run_dir)
    manifest.update(facts, exit=exit_reason, ended=datetime.now(UTC).isoformat(timespec="seconds"), clock_end=_anchor())
    _write(run_dir, manifest)


def read_manifest(run_dir: Path) -> dict[str, Any]:
    """The manifest, or an empty one if it is missing or broken: a judge must cope with a run cut at any moment."""
    try:
        manifest = json.loads((run_dir / FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _anchor() -> dict[str, int]:
    return {"monotonic_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _write(run_dir: Path, manifest: Mapping[str, Any]) -> None:
    partial = run_dir / f"{FILE}.partial"
    partial.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    partial.rename(run_dir / FILE)
