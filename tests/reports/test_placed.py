"""What a fault explains, as a table: too much, and a defect is missed; too little, and a healthy backend is blamed."""

from __future__ import annotations

import pytest

from loadtests.history import Window
from reports.placed import explains

DOWN = Window("w1", "down", "treated", "down", 0, 1, {}, disconnects=True, swallows=True)
JAM = Window("w1", "jam", "treated", "jam", 0, 1, {}, disconnects=False, swallows=True)
LATENCY = Window("w1", "latency", "treated", "latency", 0, 1, {}, disconnects=False, swallows=False)


@pytest.mark.parametrize(
    ("kind", "window", "place", "explained"),
    [
        ("abnormal-close", DOWN, "during", True),
        ("abnormal-close", DOWN, "grace", True),
        ("abnormal-close", JAM, "during", False),
        ("abnormal-close", LATENCY, "during", False),
        ("silent-cut", DOWN, "during", True),
        ("silent-cut", DOWN, "grace", False),
        ("silent-cut", LATENCY, "during", False),
        ("silent", JAM, "during", True),
        ("silent", JAM, "grace", False),
        ("silent", DOWN, "grace", False),
        ("silent", LATENCY, "during", False),
        ("never-ready", DOWN, "during", True),
        ("never-ready", DOWN, "grace", False),
        ("never-ready", LATENCY, "during", False),
        ("hole", DOWN, "during", False),
        ("foreign", DOWN, "during", False),
        ("closed-early", DOWN, "during", False),
    ],
)
def test_a_fault_explains_only_what_it_can_have_done(kind: str, window: Window, place: str, explained: bool) -> None:
    assert explains(window, place, kind) is explained
