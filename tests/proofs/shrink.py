"""``make prove PART=shrink``: swarms of twenty to thirty windows that fail for one planted cause, shrunk and confirmed live.

Five causes: the run itself must find exactly the ids of the defect's row, its plan must become two windows or fewer, and the
small plan must find the same ids live; the re-runs are counted, fifteen at most in the median.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from loadtests.backend.defects import DEFECTS
from tests.live.gauntlet import gauntlet
from tests.proofs.ledger import Case, commit, prove, publish

EXPERIMENT = Path(__file__).with_suffix(".yaml")
#: cause -> seed of its swarm
CAUSES = {
    "replay-skips": 4, "replay-repeats": 5, "zombie-after-cut": 6, "claims-over-gap": 8, "stream-reset-ignored": 9,
}  # fmt: skip
FEWEST, MOST = 20, 30
MOST_LEFT, MOST_RE_RUNS = 2, 15
RUN_LIMIT_S, SHRINK_LIMIT_S = 400.0, 1_500.0
#: a host that is busy with other work may keep a swarm from meeting what its seed meets elsewhere
NEXT_SEED, SEEDS = 100, 3


def _shrunk(cause: str, first: int) -> dict[str, Any]:
    """One cause, from the failing run to the small plan's live run; what went wrong is kept."""
    ids = sorted(DEFECTS[cause].ids["reference"])
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-proof-"))
    failing: dict[str, Any] = {}
    for seed in range(first, first + SEEDS * NEXT_SEED, NEXT_SEED):
        shutil.rmtree(folder / "run", ignore_errors=True)
        ended = gauntlet(
            "run", "smoke", "--experiment", EXPERIMENT, "--seed", str(seed), "--defect", cause, cwd=folder, timeout_s=RUN_LIMIT_S,
        )  # fmt: skip
        failing = {"seed": seed, "exit": ended.code, "found": sorted(ended.ids) if ended.code == 99 else []}
        if failing["found"] == ids:
            break
    else:
        return {**failing, "ids": ids, "ok": False, "stderr": ended.err[-500:], "kept": str(folder)}
    shrunk = gauntlet("chaos", "shrink", folder / "run", cwd=folder, timeout_s=SHRINK_LIMIT_S)
    try:
        record = json.loads((folder / "run" / "shrunk" / "shrink.json").read_text())
    except OSError:
        return {**failing, "ids": ids, "ok": False, "said": shrunk.out[-800:] + shrunk.err[-500:], "kept": str(folder)}
    before, left = record["windows_before"], len(record["windows"])
    ok = shrunk.code == 0 and record["ids"] == ids and FEWEST <= before <= MOST and left <= MOST_LEFT
    if ok:
        shutil.rmtree(folder)
    kept = {} if ok else {"kept": str(folder), "said": shrunk.out[-800:]}
    return {
        **failing, **kept, "ids": ids, "windows": before, "left": left, "re_runs": record["tries"], "simulated": record["simulated"],
        "live": record["live"], "kinds": [window["kind"] for window in record["windows"]], "ok": ok,
    }  # fmt: skip


def main() -> int:
    at, jobs = commit(), int(os.environ.get("JOBS", "1"))
    cases: list[Case] = [
        (cause, lambda cause=cause, seed=seed: _shrunk(cause, seed))  # type: ignore[misc]  # a default binds it
        for cause, seed in CAUSES.items()
    ]
    results = prove("shrink", cases, jobs)
    wrong = sorted(name for name, result in results.items() if not result["ok"])
    counts = [result["re_runs"] for result in results.values() if "re_runs" in result]
    median = statistics.median(counts) if counts else None
    publish("shrink", at, {"causes": results, "median_re_runs": median, "wrong": wrong})
    return 1 if wrong or median is None or median > MOST_RE_RUNS else 0


if __name__ == "__main__":
    sys.exit(main())
