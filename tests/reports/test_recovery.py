"""Which fault an outage belongs to, and who is late: a table around every bound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.history import Window
from reports.clients import Outage
from reports.recovery import MOST_STEPS, Recovery, curve, curves, recoveries

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


def test_a_known_answer_the_leukaemia_remissions_of_kaplan_and_meier_s_textbooks() -> None:
    """Freireich and others, 1963: 21 patients under 6-MP; weeks of remission, to its end or to when they were last seen."""
    ended, still_in = [6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    found = curve([*((week, True) for week in ended), *((week, False) for week in still_in)])
    assert {at: round(left, 3) for at, left in found.steps} == {
        6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448,
    }  # fmt: skip
    assert (found.users, found.missing, found.p50_s, found.p95_s, found.seen_s) == (21, 12, 23.0, None, 35.0)


@pytest.mark.parametrize(
    ("took", "p50", "p95", "missing"),
    [
        ([], None, None, 0),
        ([(1.0, True)], 1.0, 1.0, 0),
        ([(i, True) for i in range(1, 21)], 10, 19, 0),
        ([(i, True) for i in range(1, 20)] + [(30, False)], 10, 19, 1),
        ([(i, True) for i in range(1, 19)] + [(30, False)] * 2, 10, None, 2),
        ([(0.5, False)] * 5 + [(i, True) for i in range(1, 21)], 10, 19, 5),
        ([(9, False)] * 3, None, None, 3),
        ([(-0.1, True)] * 4, 0.0, 0.0, 0),
    ],
)
def test_who_never_came_back_stays_in_the_curve(
    took: list[tuple[float, bool]], p50: float | None, p95: float | None, missing: int
) -> None:
    """Left out, the two of twenty that never came would have made p95 a matter of seconds."""
    found = curve(took)
    assert (found.p50_s, found.p95_s, found.missing, found.users) == (p50, p95, missing, len(took))


def test_a_drawing_is_given_no_more_steps_than_it_can_show_and_the_last_of_all() -> None:
    found = curve((i / 10, True) for i in range(1, 5_001))
    assert len(found.steps) <= MOST_STEPS
    assert found.steps[-1] == (500.0, 0.0)
    assert (found.p50_s, found.p95_s) == (250.0, 475.0)


def session(number: int, close_ns: int, ready_ns: int | None, since_ns: int, end_ns: int = 0) -> Recovery:
    out = replace(CUT, session=number, close_ns=close_ns * S, ready_ns=ready_ns and ready_ns * S, end_ns=end_ns * S)
    return Recovery(out, "w1", since_ns * S, 0, censored=False, late=False)


S = 1_000_000_000


def test_a_session_counts_once_from_its_first_loss_to_its_last_return() -> None:
    some = [
        session(0, 11, 12, 20), session(0, 13, 23, 20), session(0, 24, 26, 24),
        session(1, 11, 15, 20), session(2, 21, None, 21, end_ns=60), replace(session(3, 11, 99, 20), window=""),
    ]  # fmt: skip
    (found,) = curves(some).values()
    assert (found.users, found.missing, found.seen_s) == (3, 1, 39.0)
    assert [at for at, _ in found.steps] == [0.0, 6.0]
    assert [left for _, left in found.steps] == pytest.approx([2 / 3, 1 / 3], abs=1e-5)
