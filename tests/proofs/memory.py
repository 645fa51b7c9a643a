"""``make prove PART=memory``: half an hour of ordinary load, and no process of the run may grow once it is warm.

Over the last twenty minutes of thirty a line through the resident memory of each process may rise by less than
``MOST_MB_PER_10_MIN``. ``MEMORY_S`` shortens it; what is shorter than the warm-up and as much again is told and not judged.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.live.gauntlet import scenario, started
from tests.proofs.ledger import commit, prove, publish
from tests.proofs.samples import Samples, slope_mb_per_h

MEMORY_S = float(os.environ.get("MEMORY_S", "1800"))
WARM_S = 600.0
SEED, USERS, PACE_MS = 51, 100, 2000
MOST_MB_PER_10_MIN = 1.0
PARTS = ("backend", "conductor", "guard", "load")


def _run() -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-memory-"))
    file = scenario(
        folder / "long.yaml", {"warm-up": 5.0, "steady": MEMORY_S, "cool-down": 5.0}, users=USERS, pace_ms=PACE_MS
    )
    run, samples = folder / "run", Samples()
    with started("run", file, "--no-chaos", "--seed", str(SEED), "--out", run, cwd=folder) as process:
        samples.follow(process, run)
        code = process.returncode
    held = {
        role: {"rss_mb": round(rows[-1][1], 1), "mb_per_10_min": round(slope_mb_per_h(rows) / 6, 2)}
        for (role, _), rows in sorted(samples.between(min(WARM_S, MEMORY_S / 3), MEMORY_S).items())
    }
    judged = MEMORY_S >= 2 * WARM_S
    grows = [role for role, one in held.items() if judged and one["mb_per_10_min"] >= MOST_MB_PER_10_MIN]
    ok = code == 0 and not grows and held.keys() >= set(PARTS)
    if ok:
        shutil.rmtree(folder)
    return {"exit": code, "held": held, "grows": grows, "ok": ok, **({} if ok else {"kept": str(folder)})}


def main() -> int:
    at = commit()
    (result,) = prove("memory", [(f"memory-{MEMORY_S:.0f}", _run)], 1).values()
    figures = {key: result[key] for key in ("exit", "held", "grows")}
    publish(
        "memory",
        at,
        {"run_s": MEMORY_S, "warm_s": WARM_S, "users": USERS, "pace_ms": PACE_MS, **figures, "good": result["ok"]},
    )
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
