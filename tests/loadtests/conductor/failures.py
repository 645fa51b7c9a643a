"""A judged run directory as a failing run leaves it, without the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from chaos.plan import PhaseSpec, Plan, make_plan
from loadtests import contract, scenario

__all__ = ["IDS", "failed", "storm"]

IDS = ("honesty",)


def storm(*more: dict[str, Any], cuts: int = 20, seed: int = 3) -> Plan:
    """Shapes first, then cuts, as swarms have them."""
    shapes = {"at_s": 1, "for_s": 2, "every_s": 4, "times": 3, "fault": {"kind": "latency", "latency_ms": 50}}
    kinds = [{"kind": "drop"}, {"kind": "down"}, {"kind": "reset"}, {"kind": "limit-data", "bytes": 900}]
    rows = [{"at_s": 1, "for_s": 1.5, "every_s": 3, "times": cuts, "any_of": kinds}, *more]
    specs = [
        PhaseSpec("steady", 6), PhaseSpec("shapes", 14, faults=[shapes]), PhaseSpec("storm", 3.0 * cuts + 6, faults=rows),
        PhaseSpec("cool-down", 10),
    ]  # fmt: skip
    return make_plan(specs, seed)


def failed(folder: Path, plan: Plan, ids: tuple[str, ...] = IDS, **facts: Any) -> Path:
    """The folder, with all that is read when a plan is shrunk."""
    own = msgspec.structs.replace(scenario.load("smoke")[0], users=10, pace_ms=2_500)
    checks = [{"id": id_, "verdict": "invalid"} for id_ in ids] + [{"id": "order", "verdict": "valid"}]
    manifest = {
        "seed": plan.seed,
        "workers": 1,
        "defect": "replay-skips",
        "target": "embedded backend (ws://x)",
        **facts,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(plan.to_json())
    (folder / "scenario.yaml").write_bytes(msgspec.yaml.encode(own))
    (folder / "contract.yaml").write_text(contract.load("reference").text)
    (folder / "verdict.json").write_text(json.dumps({"checks": checks}))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
