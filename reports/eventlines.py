"""The contract's demanded events over all turns: how often they came, how late, what their budgets say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from loadtests.metrics import limit_ms
from loadtests.rundir import RunData
from reports.gates import percentile
from reports.judgement import EventLine, GateResult

__all__ = ["event_lines"]

#: of the gates on an event, the one that is shown
WORST_FIRST = ("fail", "unknown", "pass")


def event_lines(
    data: RunData, turns: pd.DataFrame, out_of_order: Mapping[int, int], gates: Sequence[GateResult]
) -> tuple[EventLine, ...]:
    """One line a demanded event, in the contract's order. ``out_of_order``: findings by event."""
    out = []
    ok = turns[turns["outcome"] == "ok"]
    for rule in data.contract.demanded:
        values = turns[f"event:{rule.name}"].dropna()
        quantiles = [percentile(values.to_numpy(), q) for q in (0.5, 0.95, 0.99)]
        mine = [gate for gate in gates if gate.metric.partition("{")[0] == f"event.{rule.name}"]
        worst = next((gate for verdict in WORST_FIRST for gate in mine if gate.verdict == verdict), None)
        percent = worst.rule.strip()[2:].partition(")")[0] if worst and worst.rule.strip().startswith("p(") else ""
        misplaced = out_of_order.get(rule.index, 0)
        missing = int(ok[f"event:{rule.name}"].isna().sum())
        broken = missing or misplaced
        out.append(
            EventLine(
                name=rule.name, role=rule.role, seen=len(values), missing=missing, misplaced=misplaced,
                p50_ms=quantiles[0], p95_ms=quantiles[1], p99_ms=quantiles[2], budget_ms=limit_ms(worst.rule) if worst else None,
                budget_percent=float(percent) if percent else None,
                judged_ms=worst.observed if worst else None, judged=worst.metric.removeprefix(f"event.{rule.name}") if worst else "",
                verdict="broken" if broken else worst.verdict if worst else "seen",
            )
        )  # fmt: skip
    return tuple(out)
