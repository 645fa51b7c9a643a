"""Was the load generator itself fit? Its loop, its CPU, and whether all that it wrote is there."""

from __future__ import annotations

import numpy as np
import pandas as pd

from loadtests.rundir import RunData
from reports.judgement import GeneratorHealth

__all__ = ["generator_health"]

LEAST_HEALTH_SAMPLES = 3


def generator_health(data: RunData, health: pd.DataFrame) -> GeneratorHealth:
    """Health by the scenario's limits; what was not recorded is not fit."""
    lag = float(np.percentile(health["loop_lag_p99_ms"], 95)) if len(health) else None
    cpu = float(np.percentile(health["cpu"], 95)) if len(health) else None
    limits, reasons = data.scenario.generator, []
    if len(health) < LEAST_HEALTH_SAMPLES:
        reasons.append("its health was not recorded")
    if lag is not None and lag > limits.loop_lag_p99_ms:
        reasons.append(f"its loop was {lag:.0f} ms late (limit {limits.loop_lag_p99_ms:.0f})")
    if cpu is not None and cpu > limits.cpu_p95:
        reasons.append(f"it used {cpu:.0%} of a core (limit {limits.cpu_p95:.0%})")
    lost = 0
    bounds = [*data.first_row, len(data.rows)]
    for worker, first, last in zip(data.workers, bounds, bounds[1:], strict=False):
        account = data.accounts.get(worker)
        lost += max(0, int(account["rows"]) - (last - first)) if account else 0
    rounded = (round(lag, 1) if lag is not None else None, round(cpu, 3) if cpu is not None else None)
    return GeneratorHealth(
        fit=not reasons, loop_lag_p99_ms=rounded[0], cpu_p95=rounded[1], rows_lost=lost, reasons=tuple(reasons)
    )
