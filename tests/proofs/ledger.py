"""Results of a long proof, kept case by case, so that it resumes where it stopped; figures go into a tracked JSON file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
Case = tuple[str, Callable[[], dict[str, Any]]]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def commit() -> str:
    """The commit that is proved; a dirty tree is refused, because its figures could not be traced."""
    if _git("status", "--porcelain", "--untracked-files=no"):
        sys.exit("the tree is dirty: commit first, the figures name a commit")
    return _git("rev-parse", "--short=12", "HEAD")


def prove(part: str, cases: Sequence[Case], jobs: int) -> dict[str, dict[str, Any]]:
    """Run what has not been run at this commit; returns all results by name, each with the commit that it is of.

    With ``ALSO_AT`` in the environment, a commit, what was right at that one is not run again: after a change that cannot have
    touched it.
    """
    at, also = commit(), os.environ.get("ALSO_AT", "")
    folder = ROOT / ".cache" / "proofs" / at / part
    folder.mkdir(parents=True, exist_ok=True)

    def one(name: str, body: Callable[[], dict[str, Any]]) -> tuple[str, dict[str, Any]]:
        file = folder / f"{name}.json"
        if file.exists():
            return name, json.loads(file.read_text())
        earlier = folder.parents[1] / also / part / file.name
        if also and earlier.exists():
            known = json.loads(earlier.read_text())
            if known["ok"]:
                return name, {"at": also, **known}
        began = time.monotonic()
        try:
            result = {**body(), "seconds": round(time.monotonic() - began, 1), "at": at}
        except Exception as error:  # noqa: BLE001  # one case must not take the others with it; the next time it is played again
            return name, {"ok": False, "raised": f"{type(error).__name__}: {error}"[:500]}
        file.write_text(json.dumps(result, sort_keys=True))
        return name, result

    results: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(one, name, body) for name, body in cases]):
            name, result = done.result()
            results[name] = result
            print(
                f"{len(results):>3}/{len(cases)}  {name:<28} {'ok' if result['ok'] else 'WRONG'}  {result}", flush=True
            )
    return results


def publish(part: str, at: str, figures: dict[str, Any]) -> Path:
    """Write the part's figures with the commit that was proved, and the host."""
    RESULTS.mkdir(exist_ok=True)
    host = {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}
    file = RESULTS / f"{part}.json"
    record = {"commit": at, "date": datetime.now(UTC).strftime("%Y-%m-%d"), "host": host, **figures}
    file.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    print(f"figures: {file.relative_to(ROOT)}")
    return file
