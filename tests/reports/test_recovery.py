"""Which fault an outage belongs to, and who is late: a table around every bound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.history import Window
from reports.clients import Outage
from reports.recovery import recoveries

BUDGET, LAST = 100, 10_000
W1 = Window("w1", "down", "treated", "down", 1_000, 2_000, {}, disconnects=True, swallows=True)
W2 = replace(W1, id="w2", start_ns=2_050, end_ns=2_200)
OPEN = replace(W1, id="open", start_ns=5_000, end_ns=None)
CUT = Outage(0, "treated", 0, 1_500, 0, 1006, end_ns=LAST)


@pytest.mark.parametrize(
    ("changes", "window", "since", "took", "censored", "late"),
    [
        ({"ready_ns": 2_050}, "w1", 2_000, 50, False, False),
        ({"ready_ns": 2_100}, "w1", 2_000, 100, False, False),
        ({"ready_ns": 2_101}, "w1", 2_000, 101, False, True),
        ({"ready_ns": 1_700}, "w1", 2_000, 0, False, False),
        ({}, "w1", 2_000, None, False, True),
        ({"end_ns": 2_099}, "w1", 2_000, None, True, False),
        ({"end_ns": 2_100}, "w1", 2_000, None, False, True),
        ({"dismissed": True}, "w1", 2_000, None, False, False),
        ({"close_ns": 999, "ready_ns": 1_099}, "", 999, 100, False, False),
        ({"close_ns": 999, "ready_ns": 1_100}, "", 999, 101, False, True),
        ({"close_ns": 1_000, "ready_ns": 2_010}, "w1", 2_000, 10, False, False),
        ({"close_ns": 2_049, "ready_ns": 2_060}, "w1", 2_049, 11, False, False),
        ({"close_ns": 2_060, "ready_ns": 2_210}, "w2", 2_200, 10, False, False),
        ({"close_ns": 2_300, "ready_ns": 2_310}, "w2", 2_300, 10, False, False),
        ({"close_ns": 2_301, "ready_ns": 2_310}, "", 2_301, 9, False, False),
        ({"close_ns": 6_000}, "open", LAST, None, True, False),
        ({"cohort": "control", "ready_ns": 1_600}, "", 1_500, 100, False, False),
    ],
)
def test_an_outage_is_placed_and_timed(
    changes: dict[str, int], window: str, since: int, took: int | None, censored: bool, late: bool
) -> None:
    (one,) = recoveries([replace(CUT, **changes)], [W1, W2, OPEN], BUDGET, LAST)
    assert (one.window, one.since_ns, one.took_ns, one.censored, one.late) == (window, since, took, censored, late)


def test_who_never_tried_to_come_back_is_not_the_backend_s_to_answer_for() -> None:
    never, tried, timely = recoveries([CUT, replace(CUT, attempts=1), replace(CUT, ready_ns=1_600)], [W1], BUDGET, LAST)
    assert (never.never_tried, tried.never_tried, timely.never_tried) == (True, False, False)


@pytest.mark.parametrize(("ready_ns", "late"), [(2_100, False), (2_101, True)])
def test_who_is_back_has_no_end_to_be_cut_by(ready_ns: int, late: bool) -> None:
    """An outage that is over keeps no end: 0 stands for none."""
    (one,) = recoveries([replace(CUT, ready_ns=ready_ns, end_ns=0)], [W1], BUDGET, LAST)
    assert (one.censored, one.late) == (False, late)
