"""``make prove PART=experiments``: the short form of every experiment, live, on the sound backend and on the defects made for it.

On the sound backend each must be GO, its hypothesis held, and every fault confirmed; on a defect, NO-GO with exactly the ids of
its row. Mistakes of a client are played in virtual time: NO-GO where the contract declares the client's policy, else CANNOT
SAY. What is played with what stands in ``experiments.yaml``; ``ARGS='--look CASE…'`` plays some without publishing.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import yaml

from chaos import experiment
from loadtests.backend.defects import PLANTABLE
from loadtests.conductor import selftest
from loadtests.contract import load
from loadtests.journal import read_journal
from loadtests.retry import declared
from loadtests.simulation import plan_of, play
from loadtests.simulation.mistakes import MISTAKES
from reports.verdict import merge
from tests.live.gauntlet import gauntlet
from tests.proofs.expiry import product
from tests.proofs.ledger import Case, commit, prove, publish

SOUND_SEEDS, DEFECT_SEEDS = (31, 32), (31, 32)
#: what the seed draws differs each time
SWARM_SEEDS = (31, 32, 33, 34, 35)
SIMULATED_SEEDS, MOST_TRIES = 5, 20
RUN_LIMIT_S = 300.0
MOST_WEDGES = 2
#: its commands are the product's own, and so is how its tokens expire
EXPIRY = "token-expiry"


class DefectRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ref: str
    experiment: str
    defect: str


class MistakeRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ref: str
    mistake: str
    declared: bool


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    unplayed: dict[str, str]
    scenarios: dict[str, str]
    defects: list[DefectRow]
    mistakes: list[MistakeRow]


def table() -> Table:
    return msgspec.convert(yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text()), Table)


def _sound(name: str, seed: int) -> dict[str, Any]:
    result, verdict = _run(name, seed)
    faults = [_fault(one) for one in verdict.get("faults", ())]
    bitten = all(one["effect"] == "confirmed" for one in faults)
    held = (verdict.get("experiment") or {}).get("state")
    recovered = [one for one in faults if one["disconnected"]]
    ok = result["exit"] == 0 and not result["ids"] and held == "held" and bitten
    return _kept(result, ok) | {
        "hypothesis": held, "why": (verdict.get("experiment") or {}).get("why"), "faults": faults,
        "reconnects": sum(one["disconnected"] for one in faults),
        "recovery_p50_s": _most(one["back_p50_s"] for one in recovered),
        "recovery_p95_s": _most(one["back_p95_s"] for one in recovered),
        "herd_peak_per_s": _most(one["peak_per_s"] for one in recovered),
    }  # fmt: skip


def _defect(row: DefectRow, seed: int) -> dict[str, Any]:
    result, _ = _run(row.experiment, seed, "--defect", row.defect)
    must = PLANTABLE[row.defect].ids["reference"]
    ids = set(result["ids"])
    ok = result["exit"] == 99 and must <= ids and not ids - must - selftest.possible(row.defect)
    return {**_kept(result, ok), "must": sorted(must)}


def _run(name: str, seed: int, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Played again where Toxiproxy hung: then the rig itself broke connections, and the window is unknown by rule."""
    for wedges in range(MOST_WEDGES + 1):
        result, verdict = _played_once(name, seed, *options)
        if wedges == MOST_WEDGES or not _wedged(Path(result["folder"])):
            break
        shutil.rmtree(result["folder"])
    return {**result, "wedges": wedges}, verdict


def _wedged(folder: Path) -> bool:
    journal = folder / "run" / "history.jsonl"
    return journal.exists() and any(record.get("type") == "wedge" for record in read_journal(journal))


def _played_once(name: str, seed: int, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-experiment-"))
    words = ("--experiment", _file(name), "--form", "short", "--seed", str(seed), *options)
    scenario = _file(table().scenarios.get(name, "smoke"))
    with product(folder) if name == EXPIRY else nullcontext(((), {})) as (more, env):
        ended = gauntlet("run", scenario, *words, *more, cwd=folder, env=env, timeout_s=RUN_LIMIT_S)
    try:
        verdict = ended.verdict
    except OSError:
        return {"exit": ended.code, "ids": [], "stderr": ended.err[-500:], "folder": str(folder)}, {}
    fit = verdict["generator"]["fit"]
    return {
        "exit": ended.code, "ids": sorted(ended.ids), "gates": ended.broken_rules, "fit": fit, "sentence": verdict["sentence"][:200],
        "folder": str(folder),
    }, verdict  # fmt: skip


def _file(name: str) -> str:
    """One that stands beside this module, or a built-in one."""
    beside = Path(__file__).with_name(f"{name}.yaml")
    return str(beside) if beside.exists() else name


def _kept(result: dict[str, Any], ok: bool) -> dict[str, Any]:
    """The folder stays where something went wrong."""
    folder = result.pop("folder")
    if ok:
        shutil.rmtree(folder)
        return {**result, "ok": True}
    return {**result, "ok": False, "kept": folder}


def _fault(one: Mapping[str, Any]) -> dict[str, Any]:
    back = one["back"] or {}
    measured = {key: one["measured"].get(key) for key in ("what", "value", "unit")}
    return {
        "id": one["id"], "kind": one["kind"], "effect": one["effect"], "asked": one["asked"], "measured": measured,
        "by": one["by"], "sessions": one["sessions"], "disconnected": one["disconnected"],
        "back_p50_s": back.get("p50_s"), "back_p95_s": back.get("p95_s"), "not_back": back.get("missing"),
        "peak_per_s": one["reconnects_peak_per_s"],
    }  # fmt: skip


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _mistake(row: MistakeRow) -> dict[str, Any]:
    """So many seeds in which the client had an occasion for its mistake."""
    must = MISTAKES[row.mistake].ids["reference"] - ({"self"} if row.declared else set())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "declaring.yaml"
        path.write_text("contract: 1\nname: declaring\nextends: reference\nclient: {}\n")
        contract = load(str(path)) if row.declared else load("reference")
    seen: list[tuple[str, list[str]]] = []
    for seed in range(1, MOST_TRIES + 1):
        plan = plan_of(seed, contract, selftest.scene_of(row.mistake), row.mistake)
        plan = replace(plan, policy=declared(contract.file.client, plan.policy))
        played = play(plan, contract, load("reference"))
        if played.planted and len(seen) < SIMULATED_SEEDS:
            checks = selftest.judged(played, contract)
            ids = {check.id for check in checks if check.verdict == "invalid"} - selftest.possible(row.mistake)
            seen.append((merge(checks, [], declares_client=row.declared), sorted(ids)))
    wanted = ("no-go" if row.declared else "cannot-say", sorted(must))
    right = sum(one == wanted for one in seen)
    return {
        "ok": right == SIMULATED_SEEDS,
        "right": right,
        "must": wanted,
        "wrong": [one for one in seen if one != wanted],
    }


def _played(known: Table) -> dict[str, tuple[int, ...]]:
    """The experiments that the sound backend must stand, and the seeds of each."""
    played = [name for name in experiment.names() if name not in known.unplayed]
    return {name: SWARM_SEEDS if name == "swarm" else SOUND_SEEDS for name in played}


def cases() -> list[Case]:
    known = table()
    listed: list[Case] = [
        (f"{name}-{seed}", partial(_sound, name, seed)) for name, seeds in _played(known).items() for seed in seeds
    ]
    listed += [(f"{row.ref}-{seed}", partial(_defect, row, seed)) for row in known.defects for seed in DEFECT_SEEDS]
    return listed + [(row.ref, partial(_mistake, row)) for row in known.mistakes]


def _look(names: list[str]) -> int:
    """For whoever mends something: single cases of a tree that may be dirty."""
    good = True
    for name, body in cases():
        if name in names:
            found = body()
            good = good and found["ok"]
            print(name, found, flush=True)
    return 0 if good else 1


def main() -> int:
    if sys.argv[1:2] == ["--look"]:
        return _look(sys.argv[2:])
    at, jobs, known = commit(), int(os.environ.get("JOBS", "1")), table()
    results = prove("experiments", cases(), jobs)
    wrong = sorted(name for name, result in results.items() if not result["ok"])
    sound = {name: [results[f"{name}-{seed}"] for seed in seeds] for name, seeds in _played(known).items()}
    publish(
        "experiments",
        at,
        {
            "sound": {name: {"go": sum(run["ok"] for run in runs), "of": len(runs), "runs": runs} for name, runs in sound.items()},
            "defects": {
                row.ref: {
                    "defect": row.defect, "experiment": row.experiment, "ids": sorted(PLANTABLE[row.defect].ids["reference"]),
                    "found": sum(results[f"{row.ref}-{seed}"]["ok"] for seed in DEFECT_SEEDS), "of": len(DEFECT_SEEDS),
                }
                for row in known.defects
            },
            "mistakes": {
                row.ref: {"mistake": row.mistake, "found": results[row.ref]["right"], "of": SIMULATED_SEEDS}
                for row in known.mistakes
            },
            "unplayed": known.unplayed, "wrong": wrong, "cases": Counter(result.get("at", at) for result in results.values()),
        },
    )  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
