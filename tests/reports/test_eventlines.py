"""The table of demanded events: seen, missing, out of order, and what the budget on each says."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from loadtests.rundir import RunData, read_run, windows_of
from reports.eventlines import event_lines
from reports.frames import phases_of, turns_frame
from reports.judgement import EventLine, GateResult
from tests.reports.rundirs import Plan, write_run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    path: Path = write_run(tmp_path_factory.mktemp("events") / "run", Plan(users=4, phases=(("steady", 3.0),)))
    return read_run(path)


@pytest.fixture(scope="module")
def turns(data: RunData) -> pd.DataFrame:
    return turns_frame(data, windows_of(data), phases_of(data))


def gate(metric: str, verdict: str, rule: str = "p(95)<1000", observed: float | None = 1.0) -> GateResult:
    return GateResult(
        metric=metric, rule=rule, unit="ms", observed=observed, samples=9, bad=0, interval=None, verdict=verdict,  # type: ignore[arg-type]
        severity="fail", reason="",
    )  # fmt: skip


def by_role(lines: tuple[EventLine, ...]) -> dict[str, EventLine]:
    return {line.role: line for line in lines}


def test_every_demanded_event_has_its_line(data: RunData, turns: pd.DataFrame) -> None:
    lines = event_lines(data, turns, {}, [])
    assert [line.name for line in lines] == [rule.name for rule in data.contract.demanded]
    assert {(line.seen, line.missing, line.misplaced, line.verdict) for line in lines} == {(len(turns), 0, 0, "seen")}
    assert (lines[0].p50_ms, lines[-1].p50_ms) == (pytest.approx(10.0), pytest.approx(50.0))


def test_missing_in_a_turn_that_ended_well_is_broken_and_in_another_is_not(data: RunData, turns: pd.DataFrame) -> None:
    name = f"event:{data.contract.name_of('thinking')}"
    lacking = turns.assign(**{name: turns[name].where(turns.index > 2)})
    assert by_role(event_lines(data, lacking, {}, []))["thinking"].verdict == "broken"
    failed = lacking.assign(outcome=lacking["outcome"].where(lacking.index > 2, "failed"))
    line = by_role(event_lines(data, failed, {}, []))["thinking"]
    assert (line.verdict, line.missing, line.seen) == ("seen", 0, len(turns) - 3)


def test_out_of_order_counts_beside_its_own_name(data: RunData, turns: pd.DataFrame) -> None:
    index = data.contract.by_name[data.contract.name_of("tool-open")].index
    lines = by_role(event_lines(data, turns, {index: 7_000}, []))
    assert (lines["tool-open"].misplaced, lines["tool-open"].verdict) == (7_000, "broken")
    assert lines["done"].misplaced == 0


@pytest.mark.parametrize(
    ("verdicts", "shown"),
    [
        (["pass"], "pass"),
        (["pass", "unknown"], "unknown"),
        (["unknown", "fail", "pass"], "fail"),
        (["not-checked"], "seen"),
    ],
)
def test_the_worst_gate_on_an_event_is_shown(
    data: RunData, turns: pd.DataFrame, verdicts: list[str], shown: str
) -> None:
    metric = f"event.{data.contract.name_of('done')}{{phase:steady}}"
    line = by_role(event_lines(data, turns, {}, [gate(metric, verdict) for verdict in verdicts]))["done"]
    assert line.verdict == shown
    assert (line.budget_ms, line.budget_percent) == ((None, None) if shown == "seen" else (1000.0, 95.0))


def test_a_gate_without_a_percentile_has_a_budget_all_the_same(data: RunData, turns: pd.DataFrame) -> None:
    line = by_role(event_lines(data, turns, {}, [gate(f"event.{data.contract.name_of('done')}", "pass", "med<2s")]))[
        "done"
    ]
    assert (line.budget_ms, line.budget_percent) == (2000.0, None)


def test_beside_its_budget_stands_what_the_gate_judged(data: RunData, turns: pd.DataFrame) -> None:
    """Turns under a fault are slow, and the gate looks at those that are clear of all."""
    metric = f"event.{data.contract.name_of('done')}{{fault:none}}"
    slow = turns.assign(**{f"event:{data.contract.name_of('done')}": 9_000.0})
    line = by_role(event_lines(data, slow, {}, [gate(metric, "pass", observed=51.0)]))["done"]
    assert (line.p95_ms, line.judged_ms, line.judged, line.budget_ms) == (9_000.0, 51.0, "{fault:none}", 1000.0)
    assert by_role(event_lines(data, slow, {}, [gate(metric, "fail", observed=None)]))["done"].judged_ms is None
    assert (by_role(event_lines(data, slow, {}, []))["done"].judged_ms, line.verdict) == (None, "pass")
