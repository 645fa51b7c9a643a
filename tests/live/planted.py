"""Whole runs of one scenario, with a planted defect or without any, held against the table of defects."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtests.backend.defects import DEFECTS
from tests.live.gauntlet import gauntlet

__all__ = ["planted", "promises_for", "table"]

RUN_LIMIT_S = 300.0
#: within the pause between two turns of a user
PING_MS = 400


def planted(scenario: str | Path, seed: int, defect: str = "", *, twin_of: str = "") -> dict[str, Any]:
    """One run: NO-GO with exactly the ids of the defect's row, or GO without any; what went wrong is kept.

    ``twin_of``: a run without the defect, under the contract that it would have been played under.
    """
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-proof-"))
    options = ("--defect", defect) if defect else ()
    name = defect or twin_of
    if name and (promises := promises_for(name)):
        contract = folder / "promising.yaml"
        contract.write_text(f"contract: 1\nname: promising\nextends: reference\n{promises}\n")
        options += ("--contract", str(contract))
    ended = gauntlet("run", scenario, "--seed", str(seed), *options, cwd=folder, timeout_s=RUN_LIMIT_S)
    try:
        verdict, ids = ended.verdict, sorted(ended.ids)
    except OSError:
        return {"ok": False, "exit": ended.code, "stderr": ended.err[-500:], "kept": str(folder)}
    failed = ended.broken_rules
    result = {"exit": ended.code, "ids": ids, "gates": failed, "sentence": verdict["sentence"][:200]}
    if defect:
        ok = ended.code == 99 and ids == sorted(DEFECTS[defect].ids["reference"]) and bool(ids or failed)
    else:
        ok = ended.code == 0 and not ids and not failed
    if ok:
        shutil.rmtree(folder)
    else:
        result["kept"] = str(folder)
    return {**result, "ok": ok}


def promises_for(name: str) -> str:
    """What the contract must say for the defect of that name to show in a run of seconds."""
    row = DEFECTS[name]
    if row.concurrent:
        return f"turn: {{concurrent: {row.concurrent}}}"
    return (
        f"control: {{keepalive: {{send: {{type: ping}}, every_ms: {PING_MS}, expect: pong}}}}"
        if row.needs == "quiet session"
        else ""
    )


def table(names: Sequence[str], seeds: Sequence[int], results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """For each defect its ids, and in how many seeds it was found; results go by ``name-seed``."""
    return {
        name: {
            "ids": sorted(DEFECTS[name].ids["reference"]),
            "found": sum(results[f"{name}-{seed}"]["ok"] for seed in seeds),
            "of": len(seeds),
        }
        for name in names
    }
