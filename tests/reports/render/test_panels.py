"""Each chart of the page has a sentence and a table; without data it says why it is not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.render.panels import panels
from tests.reports.judgements import EXAMPLES, empty, go

IDS = ["latency", "funnel", "turns", "connections", "lag", "cpu"]


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


def test_the_table_behind_the_funnel_tells_shares_of_all() -> None:
    funnel = panels(replace(go(), funnel=(("sent", 200), ("done", 150))))[1]
    assert funnel.rows == (("sent", "200", "100\u202f%"), ("done", "150", "75\u202f%"))
