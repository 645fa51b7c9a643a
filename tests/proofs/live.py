"""``make prove PART=live``: every planted defect that shows without a fault, by whole runs over real sockets, five seeds each.

Each must end in exit 99 with exactly the ids of its row; the clean twin of each seed in exit 0 without any.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from loadtests.backend.defects import DEFECTS
from tests.live.planted import planted, table
from tests.proofs.ledger import Case, commit, prove, publish

SCENARIO = Path(__file__).with_name("live.yaml")
SEEDS = (21, 22, 23, 24, 25)
SHOWN = tuple(
    name
    for name, row in DEFECTS.items()
    if row.needs in {"", "cancel", "second message", "expectation", "quiet session"}
)


def main() -> int:
    at, jobs = commit(), int(os.environ.get("JOBS", "2"))
    cases: list[Case] = [(f"clean-{seed}", lambda seed=seed: planted(SCENARIO, seed)) for seed in SEEDS]
    cases += [
        (f"{name}-{seed}", lambda name=name, seed=seed: planted(SCENARIO, seed, name))
        for seed in SEEDS
        for name in SHOWN
    ]
    results = prove("live", cases, jobs)
    wrong = sorted(name for name, result in results.items() if not result["ok"])
    clean = sum(results[f"clean-{seed}"]["ok"] for seed in SEEDS)
    publish(
        "live", at, {"seeds": list(SEEDS), "defects": table(SHOWN, SEEDS, results), "clean_go": clean, "wrong": wrong}
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
