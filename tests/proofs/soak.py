"""``make prove PART=soak``: twenty minutes of faults, more than 900 windows an hour, and nothing may stay or grow.

After it no toxic, proxy or process may be left; the load, the backend and the conductor may hold no more sockets and threads in
the last quiet phase than in the first, and none of the processes that are Gauntlet may grow by more than ``MOST_MB_PER_H`` over the
last half. What the embedded backend grows by, which keeps what it has sent, and Toxiproxy, whose heap is another's, is told.
``SOAK_S`` shortens it; the figures say how long it was, and below ten minutes growth is told and not judged.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from loadtests.journal import read_journal
from tests.live.gauntlet import processes_of, started
from tests.proofs.ledger import commit, prove, publish
from tests.proofs.samples import Sample, Samples, slope_mb_per_h

SOAK_S = float(os.environ.get("SOAK_S", "1200"))
SEED = 41
USERS = 40
#: a window every 3.0 to 3.4 s is more than a thousand an hour; each is long enough for the pings that prove it
EVERY_S, FOR_S = [3.0, 3.4], [1.4, 1.8]
LEAST_PER_H = 900
QUIET_S, RECOVERY_S, LAST_S = 12.0, 30.0, 12.0
MOST_MB_PER_H = 24.0
#: whose growth is judged
OURS = ("conductor", "guard", "load")
#: what is still warming up has no slope that means anything
LEAST_FOR_SLOPE_S = 600.0
#: of a process: a canary or a user may just be coming back
MOST_MORE = 3
FAULTS: list[dict[str, Any]] = [
    {"kind": "latency", "latency_ms": [20, 120], "direction": "both"},
    {"kind": "jitter", "jitter_ms": [20, 100], "direction": "down"},
    {"kind": "bandwidth", "kb_per_s": [16, 64], "direction": "down"},
    {"kind": "slicer", "direction": "down"},
    {"kind": "jam", "direction": "down"},
    {"kind": "jam", "direction": "up"},
    {"kind": "drop"},
    {"kind": "reset"},
    {"kind": "down"},
    {"kind": "flap", "down_ms": 200, "up_ms": 300},
    {"kind": "limit-data", "bytes": [700, 5000]},
]


def _experiment(path: Path) -> Path:
    times = int((SOAK_S - 5) / max(EVERY_S))
    row = {"at_s": [0, 1], "for_s": FOR_S, "every_s": EVERY_S, "times": times, "any_of": FAULTS}
    phases = [
        {"name": "steady", "s": QUIET_S}, {"name": "soak", "s": SOAK_S, "faults": [row]},
        {"name": "recovery", "s": RECOVERY_S}, {"name": "cool-down", "s": LAST_S},
    ]  # fmt: skip
    body = {
        "experiment": 1, "name": "soak", "title": "Faults without end", "hypothesis": "Nothing stays and nothing grows.",
        "expects": {"reconnects": "some"}, "users": USERS, "full": phases, "short": phases,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    return path


def _figures(samples: Samples) -> dict[str, dict[str, Any]]:
    """Of each role: growth over the last half of the soak, and sockets and threads at the end more than at the beginning."""
    end_s = QUIET_S + SOAK_S
    firsts = samples.between(QUIET_S / 3, QUIET_S)
    halves = samples.between(QUIET_S + SOAK_S / 2, end_s)
    lasts = samples.between(end_s + RECOVERY_S, end_s + RECOVERY_S + LAST_S * 0.6)
    found: dict[str, dict[str, Any]] = {}
    # Toxiproxy is replaced when it is wedged; what has not lived through all of it cannot have grown over it.
    for role, pid in sorted(firsts.keys() & halves.keys() & lasts.keys()):
        half, first, last = halves[role, pid], firsts[role, pid], lasts[role, pid]
        found[role if role not in found else f"{role}-{pid}"] = {
            "rss_mb": round(half[-1][1], 1), "mb_per_h": round(slope_mb_per_h(half), 2),
            "sockets": _more(first, last, 2), "threads": _more(first, last, 3),
        }  # fmt: skip
    return found


def _more(first: list[Sample], last: list[Sample], column: int) -> int:
    return int(min(row[column] for row in last) - max(row[column] for row in first))


def _soak() -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-soak-"))
    run, samples = folder / "run", Samples()
    options = ("--experiment", _experiment(folder / "soak.yaml"), "--seed", str(SEED), "--out", run)
    with started("run", "smoke", *options, cwd=folder) as process:
        samples.follow(process, run)
        code = process.returncode
    records = list(read_journal(run / "history.jsonl"))
    steps = [record["step"] for record in records if record["type"] == "window"]
    effects = [record["effect"] for record in records if record["type"] == "effect"]
    cleaned = next((record for record in records if record["type"] == "cleanup"), {"ok": False, "left": ["no record"]})
    windows = steps.count("applying")
    figures = _figures(samples)
    result = {
        "exit": code, "windows": windows, "windows_per_h": round(windows / SOAK_S * 3600), "healed": steps.count("healed"),
        "confirmed": effects.count("confirmed"), "absent": effects.count("absent"),
        "not_probed": effects.count("not-probed"), "wedges": sum(record["type"] == "wedge" for record in records),
        "left": cleaned["left"], "processes": len(processes_of(run)), "held": figures, "folder": str(folder),
    }  # fmt: skip
    leaks = any(one["sockets"] > MOST_MORE or one["threads"] > MOST_MORE for one in figures.values())
    grows = SOAK_S >= LEAST_FOR_SLOPE_S and any(
        one["mb_per_h"] > MOST_MB_PER_H for role, one in figures.items() if role in OURS
    )
    missing = {"toxiproxy", "backend", "load", "conductor"} - figures.keys()
    ok = (
        code == 0 and result["windows_per_h"] >= LEAST_PER_H and result["healed"] == windows and cleaned["ok"]
        and not (result["processes"] or leaks or grows or missing)
    )  # fmt: skip
    return {**result, "ok": ok}


def main() -> int:
    at = commit()
    (result,) = prove("soak", [(f"soak-{SOAK_S:.0f}", _soak)], 1).values()
    figures = {key: value for key, value in result.items() if key not in {"ok", "folder", "seconds"}}
    publish("soak", at, {"soak_s": SOAK_S, "users": USERS, "seed": SEED, **figures, "good": result["ok"]})
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
