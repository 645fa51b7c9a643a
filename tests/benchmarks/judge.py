"""``make bench PART=judge``: what judging costs, and how it grows: 10^5, 10^6 and 10^7 events.

``checkers``: all checkers over rows on disk, as ``reports.assessment`` does it; ``report``: a whole run directory, with frames,
gates and analytics. Each in a process of its own, so that its peak memory is its own; rows on disk are mapped, so of the
checkers' memory the part that is no mapped file is given too. Written to ``results/judge.json``.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import numpy as np  # noqa: E402  # the path above leads there

from loadtests.contract import load  # noqa: E402
from loadtests.history import DTYPE, RowKind  # noqa: E402
from reports.assessment import judge_history  # noqa: E402
from tests.benchmarks import synthetic  # noqa: E402
from tests.proofs.ledger import commit  # noqa: E402
from tests.reports.rundirs import Plan, write_run  # noqa: E402

SIZES = {"checkers": (10**5, 10**6, 10**7), "report": (10**5, 10**6)}
CONTRACT = "reference"
#: what a million events may cost
MOST_S, MOST_MB = 10.0, 500.0
LIMIT_S = 900


def write(folder: Path, events: int) -> int:
    """A run directory of a played run, with rows of any number instead of its own; returns how many events they hold."""
    contract = load(CONTRACT)
    write_run(folder, Plan(users=2, phases=(("steady", 1.0),)))
    rows, found = 0, 0
    with (folder / "rows" / "worker-0.bin").open("wb") as file:
        for block in synthetic.blocks(contract, events):
            file.write(block.tobytes())
            rows += len(block)
            found += int(np.count_nonzero(block["kind"] == RowKind.EVENT))
    lines = "".join(json.dumps(text) + "\n" for text in synthetic.STRINGS[1:])
    (folder / "rows" / "worker-0.strings").write_text(lines)
    account = folder / "rows" / "worker-0.json"
    facts = {"rows": rows, "frames_received": found, "strings": len(synthetic.STRINGS) - 1}
    account.write_text(json.dumps({**json.loads(account.read_text()), **facts}))
    return found


def memory_mb() -> tuple[float, float]:
    """Peak of all memory, and what of it is no mapped file now."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmHWM", "RssAnon"))  # type: ignore[return-value]


def checkers(folder: Path, events: int) -> dict[str, Any]:
    contract = load(CONTRACT)
    rows = np.memmap(folder / "rows" / "worker-0.bin", DTYPE, mode="r")
    began, cpu = time.perf_counter(), time.process_time()
    fault = synthetic.window(contract, events)
    checks = judge_history(contract, synthetic.USERS, (fault,), rows, synthetic.STRINGS, start_ns=synthetic.START_NS)
    return figures(began, cpu, sum(check.verdict == "valid" for check in checks))


def report(folder: Path, _: int) -> dict[str, Any]:
    judge = import_module("reports.judge").judge  # here, because pandas would count as the checkers' memory
    began, cpu = time.perf_counter(), time.process_time()
    judged = judge(folder)
    return figures(began, cpu, sum(check.verdict == "valid" for check in judged.checks))


def figures(began: float, cpu: float, valid: int) -> dict[str, Any]:
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - began
    peak_mb, own_mb = memory_mb()
    return {
        "cpu_s": round(cpu_s, 2), "wall_s": round(wall_s, 2), "peak_mb": round(peak_mb), "own_mb": round(own_mb), "valid": valid,
    }  # fmt: skip


def measure(part: str, folder: Path, events: int) -> dict[str, Any]:
    command = [sys.executable, "-P", str(HERE / "judge.py"), part, str(folder), str(events)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        sys.exit(f"{part} {events}: {done.stderr[-800:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{part:<9} {events:>10,} events {found}", flush=True)
    return found


def main() -> int:
    if len(sys.argv) == 4:  # one measurement, in a process of its own
        one = {"checkers": checkers, "report": report}[sys.argv[1]]
        print(json.dumps(one(Path(sys.argv[2]), int(sys.argv[3]))))
        return 0
    at = commit()
    record: dict[str, Any] = {"checkers": {}, "report": {}}
    for events in sorted({size for sizes in SIZES.values() for size in sizes}):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            found = write(run, events)
            for part, sizes in SIZES.items():
                if events in sizes:
                    record[part][str(events)] = {"events": found, **measure(part, run, events)}
    host = {"cores": os.cpu_count(), "python": platform.python_version(), "load": round(os.getloadavg()[0], 2)}
    file = HERE / "results" / "judge.json"
    file.write_text(json.dumps({"commit": at, "host": host, **record}, indent=1, sort_keys=True) + "\n")
    print(f"figures: {file.relative_to(HERE.parents[1])}")
    million = record["report"][str(10**6)]
    if million["wall_s"] > MOST_S or million["peak_mb"] > MOST_MB:
        print(
            f"tripwire: a million events in {million['wall_s']} s and {million['peak_mb']} MB, {MOST_S:g} s and {MOST_MB:g} MB may be"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
