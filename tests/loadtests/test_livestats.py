"""Locust's own tables, fed in bulk, say what they would say if every event had been told by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

#: In a process of its own: importing Locust patches the sockets of whoever imports it.
SCRIPT = """
import json, random
from locust import stats as of_locust
import numpy as np
from loadtests.history import DTYPE, End, Flag, RowKind
from loadtests.livestats import TurnFailedError, feed
from locust.env import Environment

names = ["", "began", "", "ended"]
rng = random.Random(3)
rows, told = np.zeros(400, DTYPE), []
for i, row in enumerate(rows):
    ms = rng.choice([rng.uniform(0, 99), rng.uniform(100, 999), rng.uniform(1000, 30000)])
    row["kind"], row["event"], row["size"] = RowKind.EVENT, rng.choice([0, 1, 2, 3, 9]), rng.randrange(500)
    row["intended"], row["received"] = 5_000_000_000, 5_000_000_000 + int(ms * 1e6)
    if i % 7 == 0:
        row["intended"] = 0
    if i % 11 == 0:
        row["kind"], row["event"], row["code"] = RowKind.END, 0, rng.choice(list(End))
    if i % 13 == 0:
        row["kind"] = RowKind.SEND
    if i % 55 == 0:
        row["flags"] = Flag.OURS
    told.append((RowKind(int(row["kind"])),
                 int(row["event"]), int(row["code"]), int(row["intended"]), int(row["received"]), int(row["size"]),
                 int(row["flags"])))

# The one thing that is not as Locust has it: its buckets are up to a second wide.
of_locust.bucket_response_time = lambda ms: round(ms) if ms < 10_000 else round(ms / 100) * 100
bulk, single = Environment().stats, Environment().stats
half = len(rows) // 2
counted = feed(bulk, names, rows[:half].tobytes(), 1000.2) + feed(bulk, names, rows[half:].tobytes(), 1001.2)
for kind, event, code, intended, received, size, flags in told:
    ms = (received - intended) / 1e6
    if not intended:
        continue
    if kind is RowKind.EVENT and event < len(names) and names[event]:
        single.log_request("EVENT", names[event], ms, size)
    if kind is RowKind.END and not flags and code not in (End.CUT_BY_STOP, End.IN_DOUBT, End.THROTTLED):
        bad = code in (End.FAILED, End.TIMEOUT, End.ABANDONED)
        name = f"turn {End(code).name.lower()}" if bad else "turn"
        single.log_request("TURN", name, ms, size)
        if bad:
            single.log_error("TURN", name, TurnFailedError(End(code).name.lower()))

def shown(stats):
    return {
        f"{kind} {name}": [e.num_requests, e.num_failures,
         round(e.total_response_time, 3), round(e.min_response_time, 3), round(e.max_response_time, 3),
         e.total_content_length,
         dict(sorted((int(k), v) for k, v in e.response_times.items())),
         [e.get_response_time_percentile(p) for p in (.5, .9, .99)]]
        for (name, kind), e in sorted(stats.entries.items())
    } | {"total": stats.total.num_requests,
         "errors": sorted([one.name, str(one.error), one.occurrences] for one in stats.errors.values())}

print(json.dumps([counted, shown(bulk), shown(single),
                  dict(bulk.entries[("began", "EVENT")].num_reqs_per_sec), feed(bulk, names, b"", 0.0),
                  bulk.history.extend([{}] * 500) or feed(bulk, names, rows.tobytes(), 1100.0) and dict(bulk.total.num_reqs_per_sec),
                  list(bulk.entries[("turn", "TURN")].num_fail_per_sec), len(bulk.history)]))
"""


@pytest.fixture(scope="module")
def said() -> list[Any]:
    command = [sys.executable, "-P", "-c", SCRIPT]
    return list(json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout))


def test_bulk_is_single(said: list[Any]) -> None:
    counted, bulk, single, *_ = said
    assert bulk == single
    failed = {"TURN turn abandoned", "TURN turn failed", "TURN turn timeout"}
    assert set(bulk) == {"EVENT began", "EVENT ended", "TURN turn", "total", "errors", *failed}
    assert counted == bulk["total"] > 100


def test_samples_fall_into_the_second_in_which_they_were_fed(said: list[Any]) -> None:
    assert set(said[3]) == {"1000", "1001"}


def test_no_rows_are_no_statistics(said: list[Any]) -> None:
    assert said[4] == 0


def test_what_was_asked_in_each_second_is_not_kept_for_the_whole_run(said: list[Any]) -> None:
    assert (list(said[5]), said[6]) == (["1100"], [])
    assert 0 < said[7] < 100
