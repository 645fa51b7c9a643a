"""The contract's demanded events over all turns: how often they came, how late, what their budgets say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from loadtests.metrics import limit_ms
from loadtests.rundir import RunData
from reports.gates import percentile
from reports.judgement import EventLine, GateResult
from reports.placed import Placed

__all__ = ["event_lines"]

#: of the gates on an event, the one that is shown
WORST_FIRST = ("fail", "unknown", "pass")


def event_lines(
    data: RunData, turns: pd.DataFrame, out_of_order: Sequence[Placed], gates: Sequence[GateResult]
) -> tuple[EventLine, ...]:
    """One line a demanded event, in the contract's order."""
    out = []
    ok = turns[turns["outcome"] == "ok"]
    misplaced = Counter(int(data.rows["event"][one.finding.row]) for one in out_of_order)
    for rule in data.contract.demanded:
        values = turns[f"event:{rule.name}"].dropna()
        quantiles = [percentile(values.to_numpy(), q) for q in (0.5, 0.95, 0.99)]
        mine = [gate for gate in gates if gate.metric.partition("{")[0] == f"event.{rule.name}"]
        worst = next((gate for verdict in WORST_FIRST for gate in mine if gate.verdict == verdict), None)
        percent = worst.rule.strip()[2:].partition(")")[0] if worst and worst.rule.strip().startswith("p(") else ""
        missing = int(ok[f"event:{rule.name}"].isna().sum())
        broken = missing or misplaced[rule.index]
        out.append(
            EventLine(
                name=rule.name, role=rule.role, seen=len(values), missing=missing, misplaced=misplaced[rule.index],
                p50_ms=quantiles[0], p95_ms=quantiles[1], p99_ms=quantiles[2], budget_ms=limit_ms(worst.rule) if worst else None,
                budget_percent=float(percent) if percent else None,
                verdict="broken" if broken else worst.verdict if worst else "seen",
            )
        )  # fmt: skip
    return tuple(out)
