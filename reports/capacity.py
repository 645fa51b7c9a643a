"""What each level of a search for capacity showed: how much was served, how long it took, and where the time went. Reads the
steps' run directories as a judge left them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from loadtests import contract
from loadtests.capacity import Outcome
from loadtests.contract.schema import Role
from reports.endings import GOOD, LEFT_OUT

__all__ = ["HOLD", "PARTS", "Rise", "Step", "outcome_of", "rises", "step_of"]

#: the phase of a step that is judged
HOLD = "hold"
#: where a turn's time goes, in its order: what it is called, from which role to which
PARTS: dict[str, tuple[Role | None, Role | None]] = {
    "connect": (None, None), "queue": (None, "started"), "think": ("started", "tool-open"), "tool": ("tool-open", "tool-close"),
    "tail": ("tool-close", "done"),
}  # fmt: skip
TAIL = 0.95
#: a part that is longer by less than this has not risen
LEAST_RISE, LEAST_RISE_MS = 1.2, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One run at one level. ``parts_ms``: 95th percentile of each of ``PARTS``; those that no turn shows are missing."""

    level: int
    run: str
    outcome: Outcome
    why: str
    turns: int
    served_per_s: float
    p50_ms: float | None
    p95_ms: float | None
    success: float | None
    cpu_p95: float | None
    parts_ms: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """A part of a turn that takes longer at one level than at another."""

    part: str
    was_ms: float
    is_ms: float


def outcome_of(verdict: dict[str, Any]) -> tuple[Outcome, str]:
    """What a step's verdict says of its level, and why.

    Broken is a level under which a checker found something or a gate failed, unless the generator was not fit, whose own doing
    that may be. Kept is one under which every gate on what was held passes; few users decide no budget on connecting, and that
    alone leaves a level known.
    """
    gates, generator = verdict.get("gates", ()), verdict.get("generator") or {}
    said = str(verdict.get("sentence", ""))
    if verdict.get("verdict") == "go":
        return "kept", ""
    backend = [check for check in verdict.get("checks", ()) if check.get("subject", "backend") == "backend"]
    if any(check.get("verdict") == "invalid" for check in backend) and verdict.get("verdict") == "no-go":
        return "broken", said  # a witness stays, whatever the generator was
    if not generator.get("fit", True):
        return "saturated", "; ".join(map(str, generator.get("reasons") or ())) or "the generator was the bottleneck"
    if verdict.get("verdict") == "no-go":
        return "broken", said
    if any(check.get("verdict") in {"invalid", "unknown"} for check in verdict.get("checks", ())):
        return "unknown", said
    held = [gate for gate in gates if f"phase:{HOLD}" in str(gate.get("metric"))]
    open_ = [gate for gate in held or gates if gate.get("verdict") == "unknown"]
    return ("unknown", said) if open_ or not held else ("kept", "")


def step_of(run_dir: Path, level: int, outcome: Outcome, why: str) -> Step:
    """What the turns of the judged phase showed, in a directory that has been judged."""
    turns = pd.read_parquet(run_dir / "turns.parquet")
    held = turns[turns["phase"] == HOLD] if (turns["phase"] == HOLD).any() else turns
    verdict = json.loads((run_dir / "verdict.json").read_bytes())
    decided = held[~held["outcome"].isin(LEFT_OUT)]
    good = decided[decided["outcome"].isin(GOOD)]
    span_s = float(held["intended_s"].max() - held["intended_s"].min()) if len(held) > 1 else 0.0
    total = good["total_ms"].dropna().to_numpy(dtype=float)
    return Step(
        level=level, run=run_dir.name, outcome=outcome, why=why, turns=len(held),
        served_per_s=round(len(good) / span_s, 2) if span_s else 0.0,
        p50_ms=_at(total, 0.5), p95_ms=_at(total, TAIL), success=round(len(good) / len(decided), 4) if len(decided) else None,
        cpu_p95=(verdict.get("generator") or {}).get("cpu_p95"), parts_ms=_parts(run_dir, good, verdict),
    )  # fmt: skip


def _parts(run_dir: Path, turns: pd.DataFrame, verdict: dict[str, Any]) -> dict[str, float]:
    compiled = contract.load(str(run_dir / "contract.yaml"))
    found: dict[str, float] = {}
    gates = [gate for gate in verdict.get("gates", ()) if str(gate.get("metric")).startswith("connect.ready")]
    connect = gates[0].get("observed") if gates else None
    if connect is not None:
        found["connect"] = float(connect)
    for part, (first, last) in PARTS.items():
        if last is None:
            continue
        begin = _first(turns, compiled.names(first)) if first is not None else pd.Series(0.0, index=turns.index)
        value = _at((_first(turns, compiled.names(last)) - begin).dropna().to_numpy(dtype=float), TAIL)
        if value is not None:
            found[part] = value
    return found


def rises(steps: Sequence[Step], knee: int) -> tuple[Rise, ...]:
    """What is longer at the knee than at the lowest level, the most first. ``knee``: the first level that broke, or the last one."""
    lowest = min(steps, key=lambda step: step.level, default=None)
    at = [step for step in steps if step.level == knee]
    if lowest is None or not at or lowest.level == knee:
        return ()
    found = []
    for part, was_ms in lowest.parts_ms.items():
        is_ms = max((step.parts_ms.get(part, was_ms) for step in at), default=was_ms)
        if is_ms > max(LEAST_RISE * was_ms, was_ms + LEAST_RISE_MS):
            found.append(Rise(part=part, was_ms=was_ms, is_ms=is_ms))
    return tuple(sorted(found, key=lambda one: one.was_ms - one.is_ms))


def _first(turns: pd.DataFrame, names: Sequence[str]) -> pd.Series[float]:
    columns = [f"event:{name}" for name in names if f"event:{name}" in turns]
    return turns[columns].min(axis=1) if columns else pd.Series(np.nan, index=turns.index)


def _at(values: np.ndarray[Any, Any], share: float) -> float | None:
    """An observed value; None: there is none."""
    return round(float(np.quantile(values, share, method="inverted_cdf")), 2) if len(values) else None
