"""A run's frames, small enough to draw."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from reports.render import series
from tests.reports.judgements import EVENTS, EXAMPLES, empty, go, hostile, no_go


@pytest.mark.parametrize("total_s", [1.0, 45.0, 75.0, 600.0, 7200.0, 86_400.0, 1e7])
def test_bins_are_never_too_many(total_s: float) -> None:
    assert total_s / series.bin_s(total_s) <= series.MOST_BINS


def test_a_smoke_run_has_bins_of_a_second() -> None:
    assert series.bin_s(series.end_s(go())) == 1


def test_the_axis_reaches_the_last_thing_known() -> None:
    judgement = go()
    assert series.end_s(judgement) >= 45.0
    assert (
        series.end_s(
            replace(judgement, phases=(), faults=(), turns=judgement.turns.iloc[:0], connections=pd.DataFrame())
        )
        == 1.0
    )


def test_an_events_percentile_is_pandas_own() -> None:
    judgement = go()
    drawn = series.events(judgement, 5)
    turns = judgement.turns
    expected = turns.loc[turns["intended_s"].between(10, 15, inclusive="left"), f"event:{EVENTS[0]}"].quantile(0.95)
    row = drawn[(drawn["at_s"] == 10) & (drawn["event"] == EVENTS[0])]
    assert row["ms"].item() == pytest.approx(expected)
    assert list(dict.fromkeys(drawn["event"])) == list(EVENTS)


def test_outcomes_add_up_to_the_turns() -> None:
    judgement = no_go()
    counts = series.outcomes(judgement, 2)
    assert counts["turns"].sum() == len(judgement.turns)
    assert counts.groupby("outcome")["turns"].sum().to_dict() == judgement.turns["outcome"].value_counts().to_dict()


def test_a_sessions_second_connection_is_ready_again_and_our_own_close_is_no_loss() -> None:
    counts = series.connections(go(), 1).groupby("what")["connections"].sum()
    assert counts.to_dict() == {"first ready": 60, "ready again": 30, "lost": 30}


def test_health_is_that_of_the_busiest_worker() -> None:
    frame = pd.DataFrame(
        {"at_s": [0.5, 0.6, 1.5], "worker": ["a", "b", "a"], "loop_lag_p99_ms": [1.0, 9.0, 2.0], "cpu": [0.5, 0.1, 0.2]}
    )
    seen = series.health(replace(go(), health=frame), 1)
    assert seen.to_dict("list") == {"at_s": [0.0, 1.0], "loop_lag_p99_ms": [9.0, 2.0], "cpu": [0.5, 0.2]}


def test_a_fault_never_healed_lasts_to_the_end() -> None:
    judgement = replace(go(), faults=(replace(go().faults[0], end_s=None),))
    assert series.windows(judgement, 45.0, 1000)["end_s"].tolist() == [45.0]


def test_a_label_without_room_is_cut_or_left_out() -> None:
    phases = (("a-very-long-name", 0.0, 6.0), ("short", 6.0, 6.5), ("rest", 6.5, 100.0))
    assert series.phases(replace(go(), phases=phases), 100.0, 1000)["label"].tolist() == ["a-very-lo…", "", "rest"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_example_breaks_it(name: str) -> None:
    judgement = EXAMPLES[name]()
    for make in (series.events, series.outcomes, series.connections, series.health):
        assert isinstance(make(judgement, 1), pd.DataFrame)


def test_of_nothing_there_is_nothing() -> None:
    for make in (series.events, series.outcomes, series.connections, series.health):
        assert make(empty(), 1).empty


def test_foreign_names_are_harmless() -> None:
    assert not [name for name in series.outcomes(hostile(), 1)["outcome"] if "\x1b" in name]
