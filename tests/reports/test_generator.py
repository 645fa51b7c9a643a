"""Was the generator fit: its limits, what was not recorded, and rows that are not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.rundir import RunData, read_run
from reports.frames import health_frame
from reports.generator import generator_health
from reports.judgement import GeneratorHealth
from tests.reports.rundirs import Plan, write_run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    path: Path = write_run(tmp_path_factory.mktemp("health") / "run", Plan(users=2, phases=(("steady", 4.0),)))
    return read_run(path)


def judged(data: RunData, **changes: Any) -> GeneratorHealth:
    changed = replace(data, health=[{**line, **changes} for line in data.health])
    return generator_health(changed, health_frame(changed))


def test_a_calm_generator_is_fit(data: RunData) -> None:
    health = judged(data)
    assert (health.fit, health.reasons, health.rows_lost) == (True, (), 0)
    assert (health.loop_lag_p99_ms, health.cpu_p95) == (1.0, 0.2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"loop_lag_p99_ms": 50.0}, ""), ({"loop_lag_p99_ms": 51.0}, "loop was 51 ms late (limit 50)"),
     ({"cpu": 0.9}, ""), ({"cpu": 0.91}, "used 91% of a core (limit 90%)")],
)  # fmt: skip
def test_over_its_limits_it_is_not(data: RunData, changes: dict[str, float], reason: str) -> None:
    health = judged(data, **changes)
    assert health.fit is not bool(reason)
    assert reason in "; ".join(health.reasons)


@pytest.mark.parametrize(("lines", "fit"), [(0, False), (2, False), (3, True)])
def test_what_was_not_recorded_is_not_fit(data: RunData, lines: int, fit: bool) -> None:
    assert judged(replace(data, health=data.health[:lines])).fit is fit


def test_rows_that_are_not_there_are_counted(data: RunData) -> None:
    account = {**(data.accounts["worker-0"] or {}), "rows": len(data.rows) + 7}
    assert judged(replace(data, accounts={"worker-0": account})).rows_lost == 7
    assert judged(replace(data, accounts={"worker-0": None})).rows_lost == 0
