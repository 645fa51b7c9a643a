"""What a fault explains, as a table: too much, and a defect is missed; too little, and a healthy backend is blamed. And what is
kept of very many findings.
"""

from __future__ import annotations

import pytest

import reports.sieve
from loadtests.findings import BY_NAME, Finding
from loadtests.history import Window
from reports.sieve import Sieve, explains
from tests.reports.stories import MS, REFERENCE, START_NS, S, window

DOWN = Window("w1", "down", "treated", "down", 0, 1, {}, disconnects=True, swallows=True)
JAM = Window("w1", "jam", "treated", "jam", 0, 1, {}, disconnects=False, swallows=True)
SLEEP = Window("w1", "sleep", "treated", "sleep", 0, 1, {}, disconnects=False, swallows=True, may_disconnect=True)
LATENCY = Window("w1", "latency", "treated", "latency", 0, 1, {}, disconnects=False, swallows=False)


@pytest.mark.parametrize(
    ("kind", "window", "place", "explained"),
    [
        ("abnormal-close", DOWN, "during", True),
        ("abnormal-close", DOWN, "grace", True),
        ("abnormal-close", JAM, "during", False),
        ("abnormal-close", LATENCY, "during", False),
        ("abnormal-close", SLEEP, "during", True),
        ("abnormal-close", SLEEP, "grace", True),
        ("silent-cut", SLEEP, "during", True),
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
        ("unanswered", JAM, "during", True),
        ("unanswered", JAM, "grace", False),
        ("unanswered", LATENCY, "during", False),
        ("cancel-ignored", JAM, "during", True),
        ("cancel-ignored", JAM, "grace", False),
        ("cancel-ignored", LATENCY, "during", True),
        ("never-ended", JAM, "during", False),
        ("hole", DOWN, "during", False),
        ("foreign", DOWN, "during", False),
        ("closed-early", DOWN, "during", False),
    ],
)
def test_a_fault_explains_only_what_it_can_have_done(kind: str, window: Window, place: str, explained: bool) -> None:
    assert explains(window, place, kind) is explained


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_explained_and_unexplained_are_counted_all_and_kept_each_for_itself(
    monkeypatch: pytest.MonkeyPatch, order: tuple[bool, bool]
) -> None:
    monkeypatch.setattr(reports.sieve, "KEPT_FINDINGS", 3)
    sieve = Sieve(REFERENCE, [window(0, 1_000)])
    for explained in order:
        for row in range(7):
            cohort = "treated" if explained else "control"
            sieve.add(Finding(BY_NAME["abnormal-close"], 0, 0, row, 0), cohort, START_NS + S // 2)
    assert (sieve.counts, sieve.excuses) == ({"abnormal-close": 7}, {"abnormal-close": 7})
    assert [one.finding.row for one in sieve.placed] == [finding.row for finding in sieve.excused] == [0, 1, 2]
    assert sieve.places == {"abnormal-close": {("control", "")}}


def test_a_span_goes_before_the_moment_of_a_row() -> None:
    sieve = Sieve(REFERENCE, [window(0, 1_000)])
    late_ns = START_NS + 99 * S
    sieve.add(Finding(BY_NAME["silent-cut"], 0, 1, 0, late_ns), "treated", late_ns, (START_NS - 1, START_NS))
    sieve.add(Finding(BY_NAME["silent-cut"], 0, 2, 0, late_ns), "treated", late_ns)
    assert (sieve.excuses, [one.finding.turn for one in sieve.placed]) == ({"silent-cut": 1}, [2])


GRACE_MS, HANDSHAKE_MS = REFERENCE.file.turn.recovery_ms, REFERENCE.file.handshake.timeout_ms


@pytest.mark.parametrize(
    ("kind", "seen_ms", "explained"),
    [
        # it hung from its dial on, and any of that may have been the fault's
        ("never-ready", 20_000 + HANDSHAKE_MS, True), ("never-ready", 20_001 + HANDSHAKE_MS, False), ("never-ready", 9_999, False),
        # it was on its way for a second at most
        ("silent", 9_000, True), ("silent", 8_999, False), ("silent", 20_000, True), ("silent", 20_001, False),
        # what is of one moment
        ("abnormal-close", 9_999, False), ("abnormal-close", 10_000, True), ("abnormal-close", 20_000 + GRACE_MS, True),
        ("abnormal-close", 20_001 + GRACE_MS, False),
    ],
)  # fmt: skip
def test_a_finding_stands_where_its_deed_can_have_been(kind: str, seen_ms: float, explained: bool) -> None:
    sieve = Sieve(REFERENCE, [window(10_000, 20_000)])
    sieve.add(Finding(BY_NAME[kind], 0, 0, 0, 0), "treated", START_NS + round(seen_ms * MS))
    assert (sieve.excuses[kind], sieve.counts[kind]) == (int(explained), int(not explained))
    assert sieve.counts + sieve.excuses == {kind: 1}
