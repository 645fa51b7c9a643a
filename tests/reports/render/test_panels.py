"""Each chart of the page has a sentence and a table; without data it says why it is not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.render.panels import funnel, panels
from tests.reports.judgements import EVENTS, EXAMPLES, back, cannot_say, empty, go

IDS = ["latency", "turns", "connections", "recovery", "lag", "cpu"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_same_panels_in_the_same_order(name: str) -> None:
    made = panels(EXAMPLES[name]())
    assert [panel.id for panel in made] == IDS
    assert all(panel.caption for panel in made)


def test_every_chart_has_its_table() -> None:
    for panel in panels(go()):
        assert panel.svg.startswith("<svg")
        assert panel.rows
        assert {len(row) for row in panel.rows} == {len(panel.columns)}


def test_without_data_a_sentence_stands_in_its_place() -> None:
    for panel in panels(empty()):
        assert (panel.svg, panel.rows) == ("", ())


def test_a_budget_far_above_the_data_is_told_and_not_drawn() -> None:
    events = tuple(replace(event, budget_ms=90_000.0, budget_percent=95.0) for event in go().events)
    latency = panels(replace(go(), events=events))[0]
    assert "Budgets above the chart: agent_started p95 < 90\u202f000 ms" in latency.caption
    assert "Dashed across" not in latency.caption


def test_a_budget_within_reach_is_drawn() -> None:
    latency = panels(go())[0]
    assert "budget agent_completed p95 &lt; 2\u202f500 ms" in latency.svg


@pytest.mark.parametrize("name", ["go", "no-go"])
def test_the_funnel_tells_where_turns_were_lost_and_how(name: str) -> None:
    panel = funnel(EXAMPLES[name]())
    assert panel.svg.startswith("<svg")
    assert {len(row) for row in panel.rows} == {len(panel.columns)}
    assert [row[0] for row in panel.rows] == ["sent", *EVENTS[:4], "partial_result", EVENTS[4]]
    assert panel.rows[0][2] == "100\u202f%"
    assert any("cut" in row[7] for row in panel.rows)


def test_a_step_that_need_not_be_is_not_missed() -> None:
    judgement = go()
    steps = tuple(replace(step, demanded=step.role != "thinking", skipped=7) for step in judgement.analytics.funnel)
    panel = funnel(replace(judgement, analytics=replace(judgement.analytics, funnel=steps)))
    assert [row[5] for row in panel.rows[1:3]] == ["7", "7 (allowed)"]


def test_without_turns_there_is_no_funnel_but_a_sentence() -> None:
    assert (funnel(empty()).svg, funnel(empty()).caption) == ("", "No turn was sent: there is no way to follow.")


def test_the_recovery_of_each_fault_is_a_curve_and_a_row_with_those_who_never_came_back() -> None:
    (panel,) = (one for one in panels(cannot_say()) if one.id == "recovery")
    assert panel.svg.startswith("<svg")
    (row,) = panel.rows
    assert row[:5] == ("w2 mass-disconnect", "30", "0.6", "not reached by 4 of 30", "4")
    assert "Kaplan and Meier" in panel.caption


def test_without_a_cut_there_is_no_recovery_to_draw() -> None:
    judgement = replace(go(), faults=go().faults[:1])
    (panel,) = (one for one in panels(judgement) if one.id == "recovery")
    assert (panel.svg, panel.rows) == ("", ())
    assert "No fault cut anybody" in panel.caption


def test_of_many_faults_the_slowest_are_drawn_and_all_are_told() -> None:
    fault = go().faults[1]
    many = tuple(
        replace(fault, id=f"w{n}", recovery_max_s=float(n), back=back(30, 1 if n == 3 else 0)) for n in range(12)
    )
    (panel,) = (one for one in panels(replace(go(), faults=many)) if one.id == "recovery")
    assert len(panel.rows) == 12
    assert "Drawn are the 7 slowest of 12" in panel.caption
    assert [f"w{n} down" in panel.svg for n in (0, 3, 5, 6, 11)] == [False, True, False, True, True]
