"""``make bench PART=sessions``: ten thousand sessions at the same time, three turns each, our client on one core.

Once straight to the server, and once through Toxiproxy, half of them under a latency for a while. Nothing may be found, since
nothing is wrong. The server, and Toxiproxy, run on the other cores. Written to ``results/sessions.json``; ``SESSIONS`` makes it
fewer, and then nothing is written.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import numpy as np  # noqa: E402  # the path above leads there
import psutil  # noqa: E402

from chaos.guard import tagged  # noqa: E402
from loadtests.descriptors import check, raise_limit  # noqa: E402
from loadtests.errors import ConfigError  # noqa: E402
from loadtests.history import RowKind  # noqa: E402
from loadtests.manifest import run_id  # noqa: E402
from loadtests.rundir import read_run  # noqa: E402
from tests.benchmarks.truth import running, scenario, server  # noqa: E402
from tests.proofs.ledger import commit  # noqa: E402

ALL = 10_000
SESSIONS = int(os.environ.get("SESSIONS", str(ALL)))
TURNS, PACE_S = 3, 20.0
CONNECTS_PER_S = 1000
SHARE = 0.5
FAULT = {"kind": "latency", "latency_ms": 50}
WAYS = {
    "direct": [{"name": "steady", "s": TURNS * PACE_S}],
    "toxiproxy": [
        {"name": "steady", "s": PACE_S}, {"name": "slow", "s": PACE_S / 2, "fault": FAULT}, {"name": "recovery", "s": PACE_S * 1.5},
    ],
}  # fmt: skip


def one_way(way: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenario(
            folder, users=SESSIONS, pace_ms=int(PACE_S * 1000), phases=WAYS[way], limits={"connects_per_s": CONNECTS_PER_S},
            generator={"loop_lag_p99_ms": 200.0, "cpu_p95": 0.98, "send_late_p99_ms": 200.0}, treated_share=SHARE,
        )  # fmt: skip
        with server(folder) as (_, port), running(folder, port, chaos=way == "toxiproxy") as run:
            if way == "toxiproxy":
                threading.Thread(target=_elsewhere, args=(run,), daemon=True).start()
        verdict = json.loads((run / "verdict.json").read_bytes())
        data = read_run(run)
        dialled, ready = (
            np.sort(data.rows["received"][data.rows["kind"] == kind]) for kind in (RowKind.DIAL, RowKind.READY)
        )
        lags = [one["loop_lag_p99_ms"] for one in data.health]
        found = {
            "verdict": verdict["verdict"], "sentence": verdict["sentence"][:200],
            "findings": sum(one["violations"] for one in verdict["checks"]),
            "turns": verdict["books"]["sent"], "events": sum(one["seen"] for one in verdict["events"]),
            "connects_per_s": round(SESSIONS / ((ready[SESSIONS - 1] - dialled[0]) / 1e9)),
            "peak_rss_mb": round(max(one["rss_mb"] for one in data.health), 1),
            "cpu_p95": verdict["generator"]["cpu_p95"], "loop_lag_p99_ms": round(float(np.percentile(lags, 99)), 1),
            "effects": sorted({str(one["effect"]) for one in verdict["faults"]}),
        }  # fmt: skip
    print(f"{way}: {found}", flush=True)
    return found


def _elsewhere(run: Path) -> None:
    """Whatever Toxiproxy the run starts, away from our client's core."""
    deadline = time.monotonic() + 120
    moved: set[int] = set()
    while time.monotonic() < deadline and len(moved) < len(("control", "treated")):
        for pid in tagged(run_id(run)) if run.exists() else ():
            with contextlib.suppress(psutil.Error, OSError):
                if pid not in moved and "toxiproxy-server" in " ".join(psutil.Process(pid).cmdline()):
                    for task in Path(f"/proc/{pid}/task").iterdir():
                        os.sched_setaffinity(int(task.name), {0})
                    moved.add(pid)
        threading.Event().wait(0.1)


def main() -> int:
    at = commit()
    raise_limit()
    try:
        check(SESSIONS, 1, round(SESSIONS * SHARE), chaos=True)
    except ConfigError as error:
        sys.exit(f"sessions: {error}")
    record: dict[str, Any] = {way: one_way(way) for way in WAYS}
    wrong = [way for way, one in record.items() if one["verdict"] != "go" or one["findings"]]
    if SESSIONS == ALL:
        record |= {
            "commit": at, "sessions": SESSIONS, "turns_each": TURNS,
            "host": {"cores": os.cpu_count(), "python": platform.python_version()},
        }  # fmt: skip
        file = HERE / "results" / "sessions.json"
        file.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
        print(f"figures: {file.relative_to(HERE.parents[1])}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
