"""``make prove PART=simulation``: ten thousand clean storms, and the matrix of all defects over twenty seeds each.

The storms must give no alarm, be large enough, nearly all have a reconnect, leave no kind of fault idle, and take less than ten
minutes of one core; every defect must be found by exactly its checkers in twenty seeds that gave it an occasion, and its clean
twins must be clean.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from loadtests.conductor import selftest
from tests.proofs.ledger import Case, commit, prove, publish

RUNS = {"reference": 10_000, "netra": 2_000}
CHUNK = 500
SEEDS = 20
WITHIN_CPU_S = 600.0


def _storms(contract: str, first: int) -> dict[str, Any]:
    began = time.process_time()
    found = selftest.figures(contract, CHUNK, first)
    return {
        "ok": not found.false_alarms and not found.small, "runs": found.runs, "sessions": found.sessions, "turns": found.turns,
        "events": found.events, "reconnecting": found.reconnecting, "small": found.small, "faults": dict(found.faults),
        "effective": dict(found.effective), "cpu_s": round(time.process_time() - began, 2),
        "false_alarms": [selftest.command("", contract, seed) for seed in found.false_alarms],
    }  # fmt: skip


def _cell(contract: str, defect: str) -> dict[str, Any]:
    (cell,) = selftest.matrix([defect], [contract], SEEDS)
    return {
        "ok": cell.ok, "must": sorted(cell.expected), "runs": cell.runs, "seeds": cell.seeds, "detected": cell.detected,
        "wrong": dict(cell.wrong), "missed": dict(cell.missed), "false_alarms": cell.false_alarms,
        "replay": selftest.command(defect, contract, cell.witness) if cell.witness >= 0 else "",
    }  # fmt: skip


def summed(contract: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {
        name: sum(part[name] for part in parts)
        for name in ("runs", "sessions", "turns", "events", "reconnecting", "small", "cpu_s")
    }
    for name in ("faults", "effective"):
        total[name] = dict(sorted(sum((Counter(part[name]) for part in parts), Counter()).items()))
    total["cpu_s"] = round(total["cpu_s"], 1)
    total["false_alarms"] = [command for part in parts for command in part["false_alarms"]]
    counts = {name: total[name] for name in ("runs", "reconnecting", "small")}
    whole = selftest.Figures(contract, **counts, effective=Counter(total["effective"]))
    total["idle_faults"] = list(whole.idle_faults)
    total["ok"] = whole.ok and not total["false_alarms"]
    return total


def main() -> int:
    at, jobs = commit(), int(os.environ.get("JOBS", "2"))
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        cases: list[Case] = [
            (f"storms-{contract}-{first:05}", lambda c=contract, f=first: pool.submit(_storms, c, f).result())
            for contract, runs in RUNS.items()
            for first in range(1, runs + 1, CHUNK)
        ]
        cases += [
            (f"{defect}-{contract}", lambda c=contract, d=defect: pool.submit(_cell, c, d).result())
            for contract in selftest.CONTRACTS
            for defect in selftest.names()
        ]
        results = prove("simulation", cases, jobs)
    storms = {
        contract: summed(contract, [part for name, part in results.items() if name.startswith(f"storms-{contract}-")])
        for contract in RUNS
    }
    cells = {name: part for name, part in results.items() if not name.startswith("storms-")}
    wrong = sorted(name for name, part in cells.items() if not part["ok"])
    slow = storms["reference"]["cpu_s"] > WITHIN_CPU_S
    publish("simulation", at, {"storms": storms, "matrix": cells, "seeds": SEEDS, "wrong": wrong})
    return 1 if wrong or slow or not all(one["ok"] for one in storms.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
