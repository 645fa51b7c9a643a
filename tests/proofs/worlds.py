"""``make prove PART=worlds``: two other protocols against real servers of their own, clean and with each planted fault.

The clean server must be GO without a finding, each fault NO-GO with exactly its ids.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.live import test_agui, test_graphql
from tests.live.otherruns import CLEAN, judged
from tests.proofs.ledger import Case, commit, prove, publish

WORLDS = {"graphql": test_graphql, "agui": test_agui}


def _play(name: str, fault: str) -> dict[str, Any]:
    world = WORLDS[name]
    ended = judged(
        f"{name}_server",
        world.CONTRACT,
        () if fault == CLEAN else (fault,),
        lambda one: Path(tempfile.mkdtemp(prefix=one)),
    )[fault]
    wanted: set[str] = set() if fault == CLEAN else world.FAULTS[fault]
    ok = ended.ids == wanted and ended.code == (0 if fault == CLEAN else 99)
    return {"ok": ok, "exit": ended.code, "ids": sorted(ended.ids), "must": sorted(wanted)}


def main() -> int:
    at, jobs = commit(), int(os.environ.get("JOBS", "1"))
    cases: list[Case] = [
        (f"{name}-{fault}", lambda name=name, fault=fault: _play(name, fault))
        for name, world in WORLDS.items()
        for fault in (CLEAN, *world.FAULTS)
    ]
    results = prove("worlds", cases, jobs)
    wrong = sorted(name for name, result in results.items() if not result["ok"])
    publish("worlds", at, {"runs": results, "wrong": wrong})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
