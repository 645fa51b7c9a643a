"""``make prove PART=capacity``: the interval that ``gauntlet capacity`` finds holds the limit of a backend that has one, five seeds.

The backend runs so many turns at a time, and one more fails. Users of a closed scenario who never think keep one turn each under
way, so that as many users as turns are borne, and one more is not.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.live.gauntlet import backend, gauntlet
from tests.proofs.ledger import Case, commit, prove, publish

SCENARIO = Path(__file__).with_name("capacity.yaml")
#: seed -> how many turns at a time
LIMITS = {41: 9, 42: 14, 43: 16, 44: 23, 45: 31}
LIMIT_S = 900.0


def _search(seed: int, at_once: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-capacity-"))
    with backend("--at-once", str(at_once), "--seed", str(seed)) as url:
        words = (
            "--target",
            url,
            "--contract",
            "reference",
            "--seed",
            str(seed),
            "--hold",
            "6s",
            "--settle",
            "1s",
            "--cool-down",
            "0.5s",
        )
        ended = gauntlet("capacity", SCENARIO, *words, "--out", folder / "search", cwd=folder, timeout_s=LIMIT_S)
    try:
        found = json.loads((folder / "search" / "capacity.json").read_bytes())
    except OSError:
        return {"ok": False, "exit": ended.code, "stderr": ended.err[-500:], "kept": str(folder)}
    low, high = found["low"], found["high"]
    ok = ended.code == 0 and found["gave_in"] == "backend" and high is not None and low <= at_once < high
    shutil.rmtree(folder)
    return {
        "ok": ok,
        "limit": at_once,
        "low": low,
        "high": high,
        "runs": len(found["steps"]),
        "gave_in": found["gave_in"],
    }


def main() -> int:
    at, jobs = commit(), int(os.environ.get("JOBS", "1"))
    cases: list[Case] = [
        (str(seed), lambda seed=seed, at_once=at_once: _search(seed, at_once)) for seed, at_once in LIMITS.items()
    ]
    results = prove("capacity", cases, jobs)
    wrong = sorted(name for name, result in results.items() if not result["ok"])
    publish(
        "capacity", at, {"searches": [results[str(seed)] for seed in LIMITS], "seeds": list(LIMITS), "wrong": wrong}
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
