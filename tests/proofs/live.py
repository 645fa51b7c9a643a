"""``make prove PART=live``: every planted defect that shows without a fault, by whole runs over real sockets, five seeds each.

Each must end in exit 99 with exactly the ids of its row; the clean twin of each seed, and one under each contract that a defect
needs, in exit 0 without any.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from loadtests.backend.defects import DEFECTS
from tests.live.planted import planted, promises_for, table
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
    # One for each contract that promises more than the scenario's own.
    twins = {promises_for(name): name for name in SHOWN if promises_for(name)}
    cases: list[Case] = [(f"clean-{seed}", lambda seed=seed: planted(SCENARIO, seed)) for seed in SEEDS]
    cases += [(f"twin-{name}", lambda name=name: planted(SCENARIO, SEEDS[0], twin_of=name)) for name in twins.values()]
    cases += [
        (f"{name}-{seed}", lambda name=name, seed=seed: planted(SCENARIO, seed, name))
        for seed in SEEDS
        for name in SHOWN
    ]
    results = prove("live", cases, jobs)
    wrong = sorted(name for name, result in results.items() if not result["ok"])
    clean = [f"clean-{seed}" for seed in SEEDS] + [f"twin-{name}" for name in twins.values()]
    found = {"clean_go": sum(results[name]["ok"] for name in clean), "clean_of": len(clean)}
    publish("live", at, {"seeds": list(SEEDS), "defects": table(SHOWN, SEEDS, results), **found, "wrong": wrong})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
