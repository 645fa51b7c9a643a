"""What each fault did: proof that it bit, whom it cut, how they came back, what their turns lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from loadtests.history import Window
from loadtests.rundir import RunData
from reports.bites import Bite, places
from reports.endings import GOOD, LEFT_OUT
from reports.judgement import FaultResult
from reports.recovery import Recovery, curves
from reports.resumption import resumptions

__all__ = ["fault_results"]

#: it was answered, if only as promised, or the run's end cut it; what is in doubt may be lost
NOT_LOST = (*GOOD, *(name for name in LEFT_OUT if name != "in-doubt"))


def fault_results(
    data: RunData, windows: Iterable[Window], found: Mapping[str, Bite], turns: pd.DataFrame, recovered: Sequence[Recovery],
    outages: pd.DataFrame, connections: pd.DataFrame,
) -> tuple[FaultResult, ...]:  # fmt: skip
    """One result a window; ``found``: whether each bit."""
    out, where = [], places(data)
    back, resumed = curves(recovered), resumptions(data.rows, turns, recovered, data.start_ns)
    for window in windows:
        bite = found[window.id]
        went_on, began = resumed.get(window.id, (None, None))
        mine = outages[outages["fault"] == window.id]
        hit = turns[(turns["fault"] == window.id) & (turns["place"] == "during")]
        start_s = data.seconds(window.start_ns)
        end_s = data.seconds(window.end_ns) if window.end_ns is not None else None
        before = turns[(turns["cohort"] == window.cohort) & (turns["fault"] == "") & (turns["end_s"] <= start_s)]
        curve = back.get(window.id)
        out.append(
            FaultResult(
                id=window.id, kind=window.kind, cohort=window.cohort, phase=window.phase, start_s=round(start_s, 3),
                end_s=round(end_s, 3) if end_s is not None else None, asked=window.asked,
                measured=dict(bite.measured), effect=bite.effect, by=bite.by, place=where.get(window.id, ""),
                sessions=int(connections[connections["cohort"] == window.cohort]["session"].nunique()),
                disconnected=int(mine["session"].nunique()), reconnects_peak_per_s=_peak(mine["ready_s"].dropna().to_numpy()),
                recovery_s=curve.p50_s if curve else None,
                recovery_max_s=curve.steps[-1][0] if curve and curve.steps else None,
                unrecovered=int((mine["recovery_s"].isna() & ~mine["censored"].astype(bool)).sum()),
                turns=len(hit), turns_lost=int((~hit["outcome"].isin(NOT_LOST)).sum()), slowdown=_slowdown(hit, before),
                back=curve, went_on=went_on, began=began,
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
