"""Was the generator fit: its limits, what was not recorded, and rows that are not there."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from loadtests.rundir import RunData, read_run, windows_of
from reports.frames import connections_frame, health_frame, phases_of, turns_frame
from reports.generator import LEAST_SENDS, _send_late_ms, generator_health
from reports.judgement import GeneratorHealth
from tests.reports.rundirs import Plan, write_run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    path: Path = write_run(tmp_path_factory.mktemp("health") / "run", Plan(users=20, phases=(("steady", 4.0),)))
    return read_run(path)


def judged(data: RunData, late_s: float = 0.0, **changes: Any) -> GeneratorHealth:
    """``late_s``: so much later than they were every turn is sent and ends."""
    changed = replace(data, health=[{**line, **changes} for line in data.health])
    windows, phases = windows_of(data), phases_of(data)
    turns = turns_frame(data, windows, phases)
    turns["sent_s"] += late_s
    return generator_health(changed, health_frame(changed), turns, connections_frame(data, windows, phases))


def test_a_calm_generator_is_fit(data: RunData) -> None:
    health = judged(data)
    assert (health.fit, health.reasons, health.rows_lost) == (True, (), 0)
    assert (health.loop_lag_p99_ms, health.cpu_p95) == (1.0, 0.2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"loop_lag_p99_ms": 50.0}, ""), ({"loop_lag_p99_ms": 51.0}, "loop was 51 ms late (limit 50)"),
     ({"cpu": 0.9}, ""), ({"cpu": 0.91}, "used 91% of a core (limit 90%)"),
     ({"steal": 0.1}, ""), ({"steal": 0.11}, "gave 11% of the time to others (limit 10%)"),
     ({"late_s": 0.0999}, ""), ({"late_s": 0.1011}, "it sent 101 ms late (limit 100)")],
)  # fmt: skip
def test_over_its_limits_it_is_not(data: RunData, changes: dict[str, float], reason: str) -> None:
    health = judged(data, **changes)
    assert health.fit is not bool(reason)
    assert reason in "; ".join(health.reasons)


def test_one_load_process_among_many_that_is_not_fit_is_enough(data: RunData) -> None:
    many = [{**line, "worker": f"worker-{i}"} for i in range(1, 40) for line in data.health]
    late = [{**line, "loop_lag_p99_ms": 80.0} for line in data.health]
    assert judged(replace(data, health=[*many, *late])).reasons == ("its loop was 80 ms late (limit 50)",)


@pytest.mark.parametrize(("lines", "fit"), [(0, False), (2, False), (3, True)])
def test_what_was_not_recorded_is_not_fit(data: RunData, lines: int, fit: bool) -> None:
    assert judged(replace(data, health=data.health[:lines])).fit is fit


def test_rows_that_are_not_there_are_counted(data: RunData) -> None:
    account = {**(data.accounts["worker-0"] or {}), "rows": len(data.rows) + 7}
    assert judged(replace(data, accounts={"worker-0": account})).rows_lost == 7
    assert judged(replace(data, accounts={"worker-0": None})).rows_lost == 0


@pytest.mark.parametrize(
    ("sent_s", "ready_s", "close_s", "busy_until_s", "place", "counts"),
    [
        (1.5, 0.5, nan, 0.9, "before", True),
        (1.5, 0.5, nan, 1.0, "after", True),
        (1.5, 0.5, 2.0, 0.9, "before", True),
        (1.5, 1.2, nan, 0.9, "before", False),
        (1.5, 0.5, 0.99, 0.9, "before", False),
        (1.5, nan, nan, 0.9, "before", False),
        (1.5, 0.5, nan, 1.1, "before", False),
        (1.5, 0.5, nan, 0.9, "during", False),
        (1.5, 0.5, nan, 0.9, "grace", False),
    ],
)
def test_only_where_nothing_else_can_have_held_it_up_is_a_late_send_the_generator_s(
    sent_s: float, ready_s: float, close_s: float, busy_until_s: float, place: str, counts: bool
) -> None:
    sessions = range(LEAST_SENDS)
    before = pd.DataFrame(
        {"session": sessions, "intended_s": 0.5, "sent_s": 0.5, "end_s": busy_until_s, "place": "during"}
    )
    turns = pd.DataFrame({"session": sessions, "intended_s": 1.0, "sent_s": sent_s, "end_s": 3.0, "place": place})
    connections = pd.DataFrame({"session": sessions, "ready_s": ready_s, "close_s": close_s})
    found = _send_late_ms(pd.concat([before, turns]), connections)
    assert found == (pytest.approx(500) if counts else None)


def test_too_few_sends_have_no_99th_percentile() -> None:
    turns = pd.DataFrame(
        {"session": range(LEAST_SENDS - 1), "intended_s": 1.0, "sent_s": 9.0, "end_s": 9.5, "place": "before"}
    )
    connections = pd.DataFrame({"session": range(LEAST_SENDS - 1), "ready_s": 0.0, "close_s": nan})
    assert _send_late_ms(turns, connections) is None
