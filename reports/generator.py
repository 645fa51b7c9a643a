"""Was the load generator itself fit? Its loop, its CPU, how late it sent, and whether all that it wrote is there."""

from __future__ import annotations

import numpy as np
import pandas as pd

from loadtests.rundir import RunData
from reports.judgement import GeneratorHealth

__all__ = ["generator_health"]

LEAST_HEALTH_SAMPLES = 3
#: fewer turns than this have no 99th percentile
LEAST_SENDS = 100


def generator_health(
    data: RunData, health: pd.DataFrame, turns: pd.DataFrame, connections: pd.DataFrame
) -> GeneratorHealth:  # fmt: skip
    """Health by the scenario's limits; what was not recorded is not fit."""
    lag, cpu = _p95(health, "loop_lag_p99_ms"), _p95(health, "cpu")
    visitors = [
        kind.name for kind in data.scenario.mix if kind.stay_s is not None
    ]  # a turn may be meant while they say goodbye
    steal, late = _p95(health, "steal"), _send_late_ms(turns[~turns["kind"].isin(visitors)], connections)
    limits, reasons = data.scenario.generator, []
    if len(health) < LEAST_HEALTH_SAMPLES:
        reasons.append("its health was not recorded")
    if lag is not None and lag > limits.loop_lag_p99_ms:
        reasons.append(f"its loop was {lag:.0f} ms late (limit {limits.loop_lag_p99_ms:.0f})")
    if cpu is not None and cpu > limits.cpu_p95:
        reasons.append(f"it used {cpu:.0%} of a core (limit {limits.cpu_p95:.0%})")
    most_late_ms = max(limits.send_late_p99_ms, limits.loop_lag_p99_ms)
    if late is not None and late > most_late_ms:
        reasons.append(f"it sent {late:.0f} ms late (limit {most_late_ms:.0f})")
    if steal is not None and steal > limits.steal_p95:
        reasons.append(f"its host gave {steal:.0%} of the time to others (limit {limits.steal_p95:.0%})")
    lost = 0
    bounds = [*data.first_row, len(data.rows)]
    for worker, first, last in zip(data.workers, bounds, bounds[1:], strict=False):
        account = data.accounts.get(worker)
        lost += max(0, int(account["rows"]) - (last - first)) if account else 0
    pause = health["gc_max_ms"].astype(float).max() if len(health) else None
    return GeneratorHealth(
        fit=not reasons, loop_lag_p99_ms=_rounded(lag, 1), cpu_p95=_rounded(cpu, 3), rows_lost=lost, reasons=tuple(reasons),
        send_late_p99_ms=_rounded(late, 1), gc_max_ms=_rounded(pause, 1), steal_p95=_rounded(steal, 4),
        floor_p99_ms=(data.manifest.get("floor") or {}).get("p99_ms"),
    )  # fmt: skip


def _p95(health: pd.DataFrame, column: str) -> float | None:
    """Of the load process that has most of it: among many that are well, one that is not would be lost."""
    known = health[["worker", column]].dropna(subset=column)
    worst = known[column].astype(float).groupby(known["worker"].fillna("")).quantile(0.95).max()
    return float(worst) if len(known) else None


def _rounded(value: float | None, places: int) -> float | None:
    return round(float(value), places) if value is not None and np.isfinite(value) else None


def _send_late_ms(turns: pd.DataFrame, connections: pd.DataFrame) -> float | None:
    """From when a turn was meant to when it was sent, where nothing but the generator can have held it up: the session was
    connected then, its turns before had all ended, and no fault was on it.
    """
    ordered = turns.sort_values(["session", "sent_s"])
    busy_until_s = ordered.groupby("session")["end_s"].shift().groupby(ordered["session"]).cummax()
    free = ordered[~(busy_until_s > ordered["intended_s"]) & ordered["place"].isin(["before", "after"])]
    served = connections[["session", "ready_s", "close_s"]].dropna(subset="ready_s").sort_values("ready_s")
    if len(free) < LEAST_SENDS or served.empty:
        return None
    # Of each turn the connection that was ready last before it was meant; it must not have been closed by then.
    joined = pd.merge_asof(
        free.sort_values("intended_s"), served, left_on="intended_s", right_on="ready_s", by="session"
    )
    ready = joined[joined["ready_s"].notna() & ~(joined["close_s"] <= joined["intended_s"])]
    late_ms = (ready["sent_s"] - ready["intended_s"]).to_numpy(dtype=float) * 1000
    return float(np.quantile(late_ms, 0.99, method="inverted_cdf")) if len(late_ms) >= LEAST_SENDS else None
