"""The generator's own fitness: measured by the loop's lag, written as whole lines that several processes may share."""

from __future__ import annotations

import gc
from pathlib import Path
from time import monotonic

import gevent
import pytest

from loadtests import health
from loadtests.health import Health
from loadtests.journal import read_journal
from tests.loadtests.servers import until


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "REPORT_S", 0.1)
    monkeypatch.setattr(health, "PROBE_S", 0.002)


def test_it_reports_again_and_again_until_it_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "health.jsonl"
    runs = [gevent.spawn(Health(path, f"worker-{i}").run) for i in range(2)]
    until(lambda: len(read_journal(path)) >= 4)
    gevent.killall(runs)
    records = read_journal(path)
    assert {record["worker"] for record in records} == {"worker-0", "worker-1"}
    for record in records:
        assert 0 <= record["loop_lag_p99_ms"] <= record["loop_lag_max_ms"]
        assert record["cpu"] >= 0
        assert record["rss_mb"] > 10
        assert record["descriptors"] > 3
        assert 0 <= record["gc_max_ms"] <= record["gc_ms"]
        assert 0 <= record["steal"] <= 1


def test_a_loop_that_is_held_up_shows_as_lag(tmp_path: Path) -> None:
    path = tmp_path / "health.jsonl"
    run = gevent.spawn(Health(path, "worker-0").run)
    gevent.sleep(0)
    busy_until = monotonic() + 0.06
    while monotonic() < busy_until:
        pass
    until(lambda: read_journal(path))
    gevent.kill(run)
    assert max(record["loop_lag_max_ms"] for record in read_journal(path)) > 40


def test_a_pause_of_the_collector_is_measured_and_nobody_listens_any_more_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "health.jsonl"
    listeners = len(gc.callbacks)
    run = gevent.spawn(Health(path, "worker-0").run)
    gevent.sleep(0)
    litter = [[number] for number in range(300_000)]
    gc.collect()
    until(lambda: read_journal(path))
    gevent.kill(run)
    del litter
    assert max(record["gc_max_ms"] for record in read_journal(path)) > 0.1
    assert len(gc.callbacks) == listeners


@pytest.mark.parametrize(
    ("text", "ticks"),
    [("cpu 1 2 3 4 5 6 7 80 9 9\ncpu0 1", (80, 108)), ("cpu 1 2", (0, 3)), ("cpu x", (0, 0)), (None, (0, 0))],
)
def test_time_that_the_host_gave_to_others_is_read(
    tmp_path: Path, text: str | None, ticks: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "stat").write_text(text)
    monkeypatch.setattr(health, "STAT", tmp_path / "stat")
    assert health._ticks() == ticks
