"""``make prove PART=smoke``: the smoke run over all planted defects, over ten clean seeds, and killed at ten moments.

Each defect in three seeds must end in exit 99 with exactly the ids of its row; each clean seed in exit 0 without any; each
SIGKILL of the conductor must leave no process after two seconds, and a directory that is judged CANNOT SAY.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from chaos.guard import tagged
from loadtests.manifest import run_id
from tests.live.planted import planted, table
from tests.proofs.ledger import Case, commit, prove, publish

GAUNTLET = Path(sys.executable).parent / "gauntlet"
SEEDS = (11, 12, 13)
#: the first ones; ``live`` plays all that need no fault, ``simulation`` plays all
SHOWN = (
    "lost-event", "never-thinks", "swapped", "duplicate", "replay-repeats", "unpaired-tool", "wrong-execution", "late-event",
    "leaked-event", "leaked-content", "phantom-run", "never-ends", "ends-twice", "event-after-end", "unapproved-type",
    "legacy-type", "missing-field", "replay-skips", "claims-over-gap", "silent", "never-ready", "clean-close",
)  # fmt: skip
CLEAN_SEEDS = tuple(range(1, 11))
KILLS = 10
CLEAN_WITHIN_S = 2.0


def _kill(number: int) -> dict[str, Any]:
    """SIGKILL the conductor at a seeded moment of the run."""
    after_s = random.Random(number).uniform(0.3, 48.0)
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-proof-"))
    run = folder / "run"
    process = subprocess.Popen(
        [str(GAUNTLET), "run", "smoke", "--seed", str(number), "--out", str(run)],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    threading.Event().wait(after_s)
    tag = run_id(run)
    up = len(tagged(tag)) if process.poll() is None else -1
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    killed = time.monotonic()
    while (left := tagged(tag)) and time.monotonic() - killed < 10 * CLEAN_WITHIN_S:
        threading.Event().wait(0.02)
    clean_s = time.monotonic() - killed
    result = {"after_s": round(after_s, 1), "processes": up, "clean_s": round(clean_s, 2), "left": len(left)}
    if not (run / "contract.yaml").exists():  # so early that nothing had been written: there is nothing to judge
        return {**result, "ok": not left and clean_s <= CLEAN_WITHIN_S, "exit": None}
    judged = subprocess.run(
        [str(GAUNTLET), "report", str(run)], cwd=folder, capture_output=True, text=True, check=False
    )
    ok = not left and clean_s <= CLEAN_WITHIN_S and judged.returncode == 3
    if ok:
        shutil.rmtree(folder)
    return {**result, "exit": judged.returncode, "ok": ok}


def main() -> int:
    at = commit()
    jobs = int(os.environ.get("JOBS", "2"))
    cases: list[Case] = [(f"clean-{seed}", lambda seed=seed: planted("smoke", seed)) for seed in CLEAN_SEEDS]
    cases += [
        (f"{name}-{seed}", lambda name=name, seed=seed: planted("smoke", seed, name))
        for seed in SEEDS
        for name in SHOWN
    ]
    results = prove("smoke", cases, jobs)
    # One at a time, because here time is measured.
    kills = prove("smoke-kills", [(f"kill-{n}", lambda n=n: _kill(n)) for n in range(1, KILLS + 1)], 1)
    wrong = sorted(name for name, result in {**results, **kills}.items() if not result["ok"])
    publish(
        "smoke",
        at,
        {
            "seeds": list(SEEDS), "clean_seeds": list(CLEAN_SEEDS), "defects": table(SHOWN, SEEDS, results),
            "clean_go": sum(results[f"clean-{seed}"]["ok"] for seed in CLEAN_SEEDS), "wrong": wrong,
            "kills": {
                "runs": KILLS, "clean": sum(result["ok"] for result in kills.values()),
                "longest_s": max(result["clean_s"] for result in kills.values()),
            },
        },
    )  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
