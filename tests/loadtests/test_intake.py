"""What has the right shape is taken as it is; what has not is left out and named, and nothing raises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import intake
from loadtests.history import DTYPE, UNKNOWN_TURN

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["type", "id", "step", "at_ns", "kind", "asked", "effect", "measured", "ok", "left", "rows", "frames_received", "errors",
     "provisional", "seed", "windows", "workers", "clock", "exit", "worker", "cpu", "loop_lag_p99_ms", "start_ns"]
)  # fmt: skip
OBJECTS = st.dictionaries(KEYS, JSON | st.sampled_from(["window", "effect", "cleanup"]), max_size=8)


@given(OBJECTS)
def test_any_object_is_taken_whole_or_named(data: dict[str, Any]) -> None:
    problems: list[str] = []
    assert intake.manifest_of(data, problems) in (data, {})
    assert intake.account_of(data, "worker-0.json", problems) in (data, None)
    assert isinstance(intake.start_of(data, problems), int)
    assert intake.journal_of([data], problems) in ([data], [])
    assert intake.health_of([data], problems) in ([data], [])
    assert all(problems)


@pytest.mark.parametrize(
    ("record", "whole"),
    [
        ({"type": "window", "id": "w1", "step": "applying", "at_ns": 5}, True),
        ({"type": "window", "id": "w1", "step": "applying"}, False),
        ({"type": "window", "id": "w1", "step": "applying", "at_ns": -1}, False),
        ({"type": "effect", "id": "w1", "effect": "confirmed"}, True),
        ({"type": "effect", "id": "w1", "effect": "perhaps"}, False),
        ({"type": "cleanup", "ok": True, "left": []}, True),
        ({"type": "cleanup", "ok": True, "left": "x"}, False),
        ({"type": "note", "anything": object}, True),
        ({"type": ["window"]}, True),
    ],
)
def test_a_record_of_the_journal_is_held_to_its_type(record: dict[str, Any], whole: bool) -> None:
    problems: list[str] = []
    assert intake.journal_of([record], problems) == ([record] if whole else [])
    assert bool(problems) == (not whole)


def test_what_is_absent_is_no_problem_here() -> None:
    problems: list[str] = []
    assert intake.account_of(None, "worker-0.json", problems) is None
    assert intake.start_of(None, problems) == 0
    assert not problems


@pytest.mark.parametrize(
    ("column", "value", "sane"),
    [("kind", 0, False), ("kind", 16, True), ("kind", 17, False), ("cohort", 2, True), ("cohort", 3, False), ("event", 5, True),
     ("event", 6, False), ("turn", UNKNOWN_TURN, True), ("turn", UNKNOWN_TURN - 1, False), ("received", -1, False),
     ("received", 1 << 62, False), ("session", 1 << 24, False)],
)  # fmt: skip
def test_a_row_that_no_recorder_writes_is_left_out_and_named(column: str, value: int, sane: bool) -> None:
    rows = np.zeros(3, DTYPE)
    rows["kind"] = 1
    rows[column][1] = value
    problems: list[str] = []
    assert len(intake.sane_rows(rows, 5, "worker-0.bin", problems)) == (3 if sane else 2)
    assert bool(problems) == (not sane)
