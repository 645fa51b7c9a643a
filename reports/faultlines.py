"""What each fault did: proof that it bit, whom it cut, how they came back, what their turns lost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from loadtests.history import Window
from loadtests.rundir import RunData
from reports.endings import GOOD, LEFT_OUT
from reports.judgement import FaultResult

__all__ = ["fault_results", "unproven"]

#: it was answered, if only as promised, or the run's end cut it; what is in doubt may be lost
NOT_LOST = (*GOOD, *(name for name in LEFT_OUT if name != "in-doubt"))


def _effects(data: RunData) -> dict[str, dict[str, Any]]:
    return {str(record.get("id")): record for record in data.journal if record.get("type") == "effect"}


def unproven(data: RunData, windows: Iterable[Window]) -> str:
    """Which faults nobody has seen bite; empty: all were seen."""
    effects = _effects(data)
    weak = [f"{w.id} ({w.kind}): {effects.get(w.id, {}).get('effect', 'not-probed')}" for w in windows]
    weak = [text for text in weak if not text.endswith("confirmed")]
    return f"fault without proven effect: {', '.join(weak)}" if weak else ""


def fault_results(
    data: RunData, windows: Iterable[Window], turns: pd.DataFrame, outages: pd.DataFrame, connections: pd.DataFrame
) -> tuple[FaultResult, ...]:
    """One result a window."""
    effects, out = _effects(data), []
    for window in windows:
        effect = effects.get(window.id, {})
        mine = outages[outages["fault"] == window.id]
        hit = turns[(turns["fault"] == window.id) & (turns["place"] == "during")]
        start_s = data.seconds(window.start_ns)
        end_s = data.seconds(window.end_ns) if window.end_ns is not None else None
        before = turns[(turns["cohort"] == window.cohort) & (turns["fault"] == "") & (turns["end_s"] <= start_s)]
        recovered = mine["recovery_s"].dropna()
        out.append(
            FaultResult(
                id=window.id, kind=window.kind, cohort=window.cohort, phase=window.phase, start_s=round(start_s, 3),
                end_s=round(end_s, 3) if end_s is not None else None, asked=window.asked,
                measured=dict(effect.get("measured") or {}), effect=effect.get("effect", "not-probed"), by=str(effect.get("by", "")),
                sessions=int(connections[connections["cohort"] == window.cohort]["session"].nunique()),
                disconnected=int(mine["session"].nunique()), reconnects_peak_per_s=_peak(mine["ready_s"].dropna().to_numpy()),
                recovery_s=round(float(recovered.median()), 3) if len(recovered) else None,
                recovery_max_s=round(float(recovered.max()), 3) if len(recovered) else None,
                unrecovered=int((mine["recovery_s"].isna() & ~mine["censored"].astype(bool)).sum()),
                turns=len(hit), turns_lost=int((~hit["outcome"].isin(NOT_LOST)).sum()), slowdown=_slowdown(hit, before),
            )
        )  # fmt: skip
    return tuple(out)


def _peak(at_s: np.ndarray[Any, Any]) -> int:
    """Most in any second, sliding."""
    at_s = np.sort(at_s)
    return int((np.searchsorted(at_s, at_s + 1.0) - np.arange(len(at_s))).max(initial=0))


def _slowdown(hit: pd.DataFrame, before: pd.DataFrame) -> float | None:
    a, b = hit["total_ms"].dropna(), before["total_ms"].dropna()
    return round(float(a.quantile(0.95) / b.quantile(0.95)), 2) if len(a) and len(b) else None
