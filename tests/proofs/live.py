"""``make prove PART=live``: every planted defect that shows without a fault, by whole runs over real sockets, five seeds each.

Each must end in exit 99 with exactly the ids of its row; the clean twin of each seed in exit 0 without any.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from loadtests.backend.defects import DEFECTS
from tests.proofs.ledger import Case, commit, prove, publish

GAUNTLET = Path(sys.executable).parent / "gauntlet"
SCENARIO = Path(__file__).with_name("live.yaml")
SEEDS = (21, 22, 23, 24, 25)
RUN_LIMIT_S = 300
SHOWN = tuple(name for name, row in DEFECTS.items() if row.needs in {"", "cancel", "second message", "expectation"})


def _run(seed: int, defect: str = "") -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-proof-"))
    command = [str(GAUNTLET), "run", str(SCENARIO), "--seed", str(seed), "--out", str(folder / "run")]
    command += ["--defect", defect] if defect else []
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=RUN_LIMIT_S, check=False)
    try:
        verdict = json.loads((folder / "run" / "verdict.json").read_text())
    except OSError:
        return {"ok": False, "exit": done.returncode, "stderr": done.stderr[-500:]}
    ids = sorted(check["id"] for check in verdict["checks"] if check["verdict"] == "invalid")
    failed = sorted(f"{gate['metric']} {gate['rule']}" for gate in verdict["gates"] if gate["verdict"] == "fail")
    wanted = sorted(DEFECTS[defect].ids["reference"]) if defect else []
    ok = ids == wanted and done.returncode == (99 if defect else 0) and (bool(ids or failed) or not defect)
    if ok:
        shutil.rmtree(folder)
    return {"ok": ok, "exit": done.returncode, "ids": ids, "gates": failed, **({} if ok else {"kept": str(folder)})}


def main() -> int:
    at, jobs = commit(), int(os.environ.get("JOBS", "2"))
    cases: list[Case] = [(f"clean-{seed}", lambda seed=seed: _run(seed)) for seed in SEEDS]
    cases += [(f"{name}-{seed}", lambda name=name, seed=seed: _run(seed, name)) for seed in SEEDS for name in SHOWN]
    results = prove("live", cases, jobs)
    wrong = sorted(name for name, result in results.items() if not result["ok"])
    table = {
        name: {
            "ids": sorted(DEFECTS[name].ids["reference"]),
            "found": sum(results[f"{name}-{seed}"]["ok"] for seed in SEEDS),
            "of": len(SEEDS),
        }
        for name in SHOWN
    }
    clean = sum(results[f"clean-{seed}"]["ok"] for seed in SEEDS)
    publish("live", at, {"seeds": list(SEEDS), "defects": table, "clean_go": clean, "wrong": wrong})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
