"""Plain Locust as a user starts it: a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

LOCUSTFILE = Path(__file__).parents[2] / "loadtests" / "locustfile.py"
WITHIN_S = 60


def locust(cwd: Path, *arguments: str, file: Path = LOCUSTFILE, **variables: str) -> subprocess.CompletedProcess[str]:
    """From start to end; what it said."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GAUNTLET_", "LOCUST_"))}
    command = [sys.executable, "-P", "-m", "locust", "-f", str(file), *arguments]
    return subprocess.run(
        command, cwd=cwd, env={**env, **variables}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip


def quick_scenario(folder: Path) -> str:
    """A pace at which a second has some turns."""
    body = {
        "scenario": 1, "name": "quick", "contract": "reference", "users": 4, "pace_ms": 400, "prompts": ["one", "two", "three"],
        "phases": [{"name": "steady", "s": 2}],
    }  # fmt: skip
    path = folder / "quick.yaml"
    path.write_text(yaml.safe_dump(body))
    return str(path)


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run
