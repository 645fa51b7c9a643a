"""``make prove PART=foreign``: a server by another hand, held against its own truth file.

Four shapes without faults must be GO. Under the whole smoke run, and under the experiments ``flap`` and ``proxy-down-herd``,
with tokens, every finding must be true, and every event that the server wrote and no row shows, in a turn that the run's end did
not cut, must be a finding.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.live.foreign_server import foreign_server
from tests.live.gauntlet import gauntlet
from tests.live.truth import compare
from tests.proofs.ledger import Case, commit, prove, publish

SHAPES = ("flat", "data", "payload", "wrapped")
SEEDS = (21, 22, 23, 24, 25)
EXPERIMENTS = ("flap", "proxy-down-herd")


def _quiet(shape: str) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-foreign-"))
    with foreign_server("-shape", shape, truth=folder / "truth.jsonl") as server:
        short = ("--no-chaos", "--users", "30", "--duration", "15s")
        ended = gauntlet("run", "smoke", *short, "--target", server.url, cwd=folder)
        found = compare(ended.run, server.emitted())
    ok = ended.code == 0 and not found.findings and not found.unfound
    return {"ok": ok, "exit": ended.code, "findings": found.findings, "unfound": len(found.unfound)}


def _cut(seed: int, experiment: str = "") -> dict[str, Any]:
    """Pauses of 80 ms between events, so that the cuts meet turns in flight."""
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-foreign-"))
    with foreign_server("-gap", "80ms", truth=folder / "truth.jsonl") as server:
        chosen = ("--experiment", experiment, "--form", "short") if experiment else ()
        options = ("--target", server.url, "--token-env", "CHAT_TOKEN", "--seed", str(seed), *chosen)
        ended = gauntlet("run", "smoke", *options, env={"CHAT_TOKEN": "{user}.x.y"}, cwd=folder)
        found = compare(ended.run, server.emitted())
    ok = not found.untrue and not found.unfound and ended.code == (99 if found.findings else 0)
    return {
        "ok": ok, "exit": ended.code, "findings": found.findings, "losers": found.losers, "untrue": found.untrue[:3],
        "unfound": found.unfound[:3], "ids": sorted(ended.ids), "folder": str(folder) if not ok else "",
    }  # fmt: skip


def _summed(cuts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {
        "findings": sum(cut["findings"] for cut in cuts), "turns_that_lost": sum(cut["losers"] for cut in cuts),
        "untrue": sum(len(cut["untrue"]) for cut in cuts), "unfound": sum(len(cut["unfound"]) for cut in cuts),
    }  # fmt: skip


def main() -> int:
    at, jobs = commit(), int(os.environ.get("JOBS", "2"))
    cases: list[Case] = [(f"shape-{shape}", partial(_quiet, shape)) for shape in SHAPES]
    cases += [(f"cut-{seed}", partial(_cut, seed)) for seed in SEEDS]
    cases += [(f"{name}-{seed}", partial(_cut, seed, name)) for name in EXPERIMENTS for seed in SEEDS]
    results = prove("foreign", cases, jobs)
    cuts = [results[f"cut-{seed}"] for seed in SEEDS]
    under = {name: [results[f"{name}-{seed}"] for seed in SEEDS] for name in EXPERIMENTS}
    wrong = sorted(name for name, result in results.items() if not result["ok"])
    publish(
        "foreign",
        at,
        {
            "shapes_go": sum(results[f"shape-{shape}"]["ok"] for shape in SHAPES), "seeds": list(SEEDS), "wrong": wrong,
            **_summed(cuts), "experiments": {name: _summed(some) for name, some in under.items()},
        },
    )  # fmt: skip
    # Runs in which nothing got lost would prove nothing about losses.
    return 1 if wrong or not all(_summed(some)["turns_that_lost"] for some in (cuts, *under.values())) else 0


if __name__ == "__main__":
    sys.exit(main())
