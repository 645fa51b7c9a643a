"""Which fault an outage belongs to, and who is late: a table around every bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadtests.history import Window
from loadtests.retry import Policy
from reports.clients import KEPT_TRIES, Outage
from reports.recovery import MOST_STEPS, Recovery, curve, curves, recoveries

BUDGET, LAST = 100, 10_000
W1 = Window("w1", "down", "treated", "down", 1_000, 2_000, {}, disconnects=True, swallows=True)
W2 = replace(W1, id="w2", start_ns=2_050, end_ns=2_200)
OPEN = replace(W1, id="open", start_ns=5_000, end_ns=None)
CUT = Outage(0, "treated", 0, 1_500, 0, 1006, end_ns=LAST)
#: asked for from the heal on
ASKED = {"attempts": 1, "tries_ns": [(2_000, 0)]}


@pytest.mark.parametrize(
    ("changes", "window", "since", "took", "censored", "late"),
    [
        ({"ready_ns": 2_050}, "w1", 2_000, 50, False, False),
        ({"ready_ns": 2_100}, "w1", 2_000, 100, False, False),
        ({"ready_ns": 2_250, **ASKED}, "w1", 2_000, 250, False, False),  # for w2 keeps it out meanwhile
        ({"ready_ns": 2_251, **ASKED}, "w1", 2_000, 251, False, True),
        ({"ready_ns": 1_700}, "w1", 2_000, 0, False, False),
        (ASKED, "w1", 2_000, None, False, True),
        ({}, "w1", 2_000, None, False, False),
        ({"end_ns": 2_099}, "w1", 2_000, None, True, False),
        ({"end_ns": 2_249, **ASKED}, "w1", 2_000, None, True, False),
        ({"end_ns": 2_250, **ASKED}, "w1", 2_000, None, False, True),
        ({"dismissed": True, **ASKED}, "w1", 2_000, None, False, False),
        ({"close_ns": 999, "ready_ns": 1_099}, "", 999, 100, False, False),
        ({"close_ns": 500, "ready_ns": 601, "attempts": 1, "tries_ns": [(500, 0)]}, "", 500, 101, False, True),
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
    changes: dict[str, Any], window: str, since: int, took: int | None, censored: bool, late: bool
) -> None:
    (one,) = recoveries([replace(CUT, **changes)], [W1, W2, OPEN], BUDGET, LAST)
    assert (one.window, one.since_ns, one.took_ns, one.censored, one.late) == (window, since, took, censored, late)


def test_who_never_tried_to_come_back_is_not_the_backend_s_to_answer_for() -> None:
    tried = replace(CUT, attempts=1, tries_ns=[(2_000, 0)])
    found = recoveries([CUT, tried, replace(CUT, ready_ns=1_600)], [W1], BUDGET, LAST)
    assert [(one.never_tried, one.late, one.decided) for one in found] == [
        (True, False, False), (False, True, True), (False, False, True),
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "never_tried"), [("down", True), ("sleep", False), ("switch", False)])
def test_no_fault_on_the_way_keeps_a_client_from_trying(kind: str, never_tried: bool) -> None:
    """Though none that lasts as long as the run says anything of the backend; what the client itself is made to do does keep it."""
    whole_run = replace(OPEN, kind=kind, start_ns=500)
    (one,) = recoveries([CUT], [whole_run], BUDGET, LAST)
    assert (one.never_tried, one.late, one.decided) == (never_tried, False, False)


@pytest.mark.parametrize(("end_ns", "censored"), [(2_099, True), (2_100, False)])
def test_who_was_sent_away_need_not_try_again(end_ns: int, censored: bool) -> None:
    (one,) = recoveries([replace(CUT, dismissed=True, end_ns=end_ns)], [W1], BUDGET, LAST)
    assert (one.never_tried, one.late, one.censored) == (False, False, censored)


@pytest.mark.parametrize(("ready_ns", "late"), [(2_100, False), (2_101, True)])
def test_who_is_back_has_no_end_to_be_cut_by(ready_ns: int, late: bool) -> None:
    """An outage that is over keeps no end: 0 stands for none."""
    (one,) = recoveries(
        [replace(CUT, ready_ns=ready_ns, end_ns=0, attempts=1, tries_ns=[(2_000, 0)])], [W1], BUDGET, LAST
    )
    assert (one.censored, one.late) == (False, late)


# -- whose time it is: the wait is the user's, and the backend's only from where it is asked --------------------------

Tries = list[tuple[int, int]]


def tried(tries: Tries, ready_ns: int | None, end_ns: int = LAST, **changes: Any) -> Outage:
    """An attempt is (begun, failed); failed 0: it was served, or hangs."""
    facts = {"attempts": len(tries), "tries_ns": tries, "ready_ns": ready_ns, "end_ns": 0 if ready_ns else end_ns}
    return replace(CUT, **(facts | changes))


@pytest.mark.parametrize(
    ("tries", "ready_ns", "end_ns", "late"),
    [
        # asleep in its backoff for longer than the budget, and served as soon as it asks
        ([(1_600, 1_601), (2_150, 0)], 2_155, 0, False),
        ([(2_150, 0)], 2_250, 0, False),
        ([(2_150, 0)], 2_251, 0, True),
        # refused during the fault and after it
        ([(1_600, 1_601), (2_010, 2_011), (2_060, 2_061), (2_120, 0)], 2_125, 0, True),
        ([(1_600, 1_601), (2_010, 2_011), (2_060, 2_061)], None, 2_115, True),
        ([(1_600, 1_601), (2_150, 2_151)], None, 2_249, False),
        ([(1_600, 1_601), (2_150, 2_151)], None, 2_250, True),
        # hanging since before the heal
        ([(1_900, 0)], None, 2_099, False),
        ([(1_900, 0)], None, 2_100, True),
        ([(1_900, 0)], 2_101, 0, True),
        ([(1_900, 2_090), (2_095, 0)], None, 2_105, True),
        ([(1_900, 2_090), (2_095, 0)], None, 2_104, False),
        # the hang is the backend's, the sleep after it is not
        ([(1_900, 2_050), (2_180, 0)], 2_185, 0, False),
        ([(1_900, 2_050), (2_180, 0)], 2_231, 0, True),
        # what failed before the heal was the fault's
        ([(1_900, 1_990), (2_180, 0)], 2_190, 0, False),
    ],
)
def test_the_backend_s_time_begins_with_the_first_attempt_after_the_heal(
    tries: Tries, ready_ns: int | None, end_ns: int, late: bool
) -> None:
    (one,) = recoveries([tried(tries, ready_ns, end_ns)], [W1], BUDGET, LAST, WAITS)
    assert (one.window, one.since_ns, one.late) == ("w1", 2_000, late)
    assert one.took_ns == (None if ready_ns is None else ready_ns - 2_000), "what the user felt"


@pytest.mark.parametrize(
    ("begun_ns", "ready_ns", "never_tried", "late"),
    [(2_100, 2_200, False, False), (2_101, 2_201, True, False), (2_101, 2_202, False, True)],
)
def test_a_return_that_both_delayed_is_told_of_the_backend_alone(
    begun_ns: int, ready_ns: int, never_tried: bool, late: bool
) -> None:
    (one,) = recoveries([tried([(begun_ns, 0)], ready_ns)], [W1], BUDGET, LAST)
    assert (one.never_tried, one.late) == (never_tried, late)


@pytest.mark.parametrize(
    ("tries", "attempts"),
    [
        ([(2_000, 2_001)], 1),  # at the heal itself
        ([(1_900, 0)], 1),  # hanging since before it
        ([(1_500, 1_500)] * KEPT_TRIES, KEPT_TRIES + 1),  # oftener than is kept
    ],
)
def test_who_asked_and_was_kept_out_by_another_fault_has_tried(tries: Tries, attempts: int) -> None:
    """For 99 ticks nothing was in the way, of 249."""
    (one,) = recoveries([tried(tries, None, 2_249, attempts=attempts)], [W1, W2], BUDGET, LAST)
    assert (one.never_tried, one.late, one.censored) == (False, False, True)


@pytest.mark.parametrize(("end_ns", "never_tried"), [(2_159, False), (2_160, True)])
def test_who_has_no_policy_may_not_wait_at_all(end_ns: int, never_tried: bool) -> None:
    (one,) = recoveries([replace(CUT, close_ns=2_060, end_ns=end_ns)], [W1], BUDGET, LAST)
    assert (one.since_ns, one.never_tried) == (2_060, never_tried)


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "late"),
    [
        # over before the outage, within the fault that cut, until the attempt and beyond it, before and after the end
        (100, 400, True), (1_200, 1_300, True), (1_200, 2_090, True), (1_200, 2_091, False), (2_189, 2_300, False),
        (2_190, 2_300, True),
    ],
)  # fmt: skip
def test_only_what_a_fault_takes_of_the_asking_is_not_the_backend_s(start_ns: int, end_ns: int, late: bool) -> None:
    """Asked for 100 ticks, the whole budget."""
    other = replace(W1, id="other", start_ns=start_ns, end_ns=end_ns)
    (one,) = recoveries([tried([(1_600, 1_601), (2_090, 0)], None, 2_190)], [other, W1], BUDGET, LAST)
    assert (one.late, one.never_tried) == (late, False)


@pytest.mark.parametrize(("ready_ns", "never_tried"), [(2_300, False), (2_301, True)])
def test_where_one_fault_begins_as_another_heals_nobody_need_ask_between(ready_ns: int, never_tried: bool) -> None:
    (one,) = recoveries([tried([(ready_ns, 0)], ready_ns)], [W1, replace(W2, start_ns=2_000)], BUDGET, LAST)
    assert (one.since_ns, one.never_tried, one.late) == (2_000, never_tried, False)


WAITS = Policy(base_ms=1_000, cap_ms=30_000, jitter="none")
AGAIN = [replace(W1, id=f"w{i}", start_ns=1_000 + i * 1_040, end_ns=2_000 + i * 1_040) for i in range(4)]


@pytest.mark.parametrize(
    ("tries", "ready_ns", "late"),
    [
        # (1 040 - 1 000) of forty free ticks a fault: refused in each of them
        ([(2_000, 2_001), (3_040, 3_041), (4_080, 4_081), (5_120, 0)], 5_125, True),
        ([(2_000, 2_001), (3_040, 3_041), (5_120, 0)], 5_125, False),
        ([(2_000, 2_001), (2_500, 2_501), (5_120, 0)], 5_160, False),
        ([(2_000, 2_001), (2_500, 2_501), (5_120, 0)], 5_181, True),
        ([(2_500, 2_501), (5_120, 0)], 5_220, False),
        ([(2_500, 2_501), (5_120, 0)], 5_221, True),
    ],
)
def test_what_other_faults_take_meanwhile_is_not_the_backend_s_and_what_lies_between_adds_up(
    tries: Tries, ready_ns: int, late: bool
) -> None:
    (one,) = recoveries([tried(tries, ready_ns)], AGAIN, BUDGET, LAST, WAITS)
    assert (one.window, one.since_ns, one.late) == ("w0", 2_000, late)


@pytest.mark.parametrize("changes", [{"disconnects": False, "swallows": False}, {"cohort": "control"}])
def test_a_fault_that_cannot_keep_it_out_gives_the_backend_no_time(changes: dict[str, Any]) -> None:
    other = replace(AGAIN[1], **changes)
    (one,) = recoveries([tried([(2_000, 2_001), (3_000, 0)], 3_001)], [W1, other], BUDGET, LAST)
    assert one.late


@pytest.mark.parametrize("flag", ["disconnects", "swallows", "may_disconnect"])
def test_a_fault_that_may_keep_it_out_does(flag: str) -> None:
    none = {"disconnects": False, "swallows": False, "may_disconnect": False}
    other = replace(AGAIN[1], **(none | {flag: True}))
    (one,) = recoveries([tried([(2_000, 2_001), (3_040, 0)], 3_041)], [W1, other], BUDGET, LAST)
    assert not one.late


def test_who_tries_more_often_than_is_kept_asks_all_the_time() -> None:
    tries = [(1_500 + i, 1_500 + i) for i in range(KEPT_TRIES)]
    for ready_ns, late in ((2_100, False), (2_101, True)):
        (one,) = recoveries([tried(tries, ready_ns, attempts=KEPT_TRIES + 1)], [W1], BUDGET, LAST)
        assert (one.late, one.never_tried) == (late, False)


MS = 1_000_000
HOLE = replace(W1, start_ns=0, end_ns=2_000 * MS)
SLEPT = replace(CUT, close_ns=1_000 * MS)


@pytest.mark.parametrize(
    ("failures", "back_ms", "never_tried"),
    [
        # after one failure the policy waits for 1 s, after three for 4 s, and the budget is 100 ms
        (1, 2_100, False), (1, 2_101, True), (1, None, True), (3, 5_100, False), (3, 5_101, True), (9, 32_100, False), (9, 32_101, True),
        (10, 90_000, False), (10, None, False),
    ],
)  # fmt: skip
def test_who_waits_as_the_policy_foresees_is_nobody_s_fault(
    failures: int, back_ms: int | None, never_tried: bool
) -> None:
    """And after its last attempt the policy foresees none."""
    tries = [(1_000 * MS, 1_000 * MS)] * failures
    last: Tries = [] if back_ms is None else [(back_ms * MS, 0)]
    ready_ns = None if back_ms is None else back_ms * MS
    policy = Policy(base_ms=1_000, cap_ms=31_000, attempts=9, jitter="none")
    outage = tried([*tries, *last], ready_ns, 100_000 * MS, close_ns=1_000 * MS)
    (one,) = recoveries([outage], [HOLE], 100 * MS, LAST, policy)
    assert (one.never_tried, one.late) == (never_tried, False)
    assert one.censored is (ready_ns is None and not never_tried)


ASLEEP = replace(OPEN, kind="sleep", start_ns=500)
ONCE = Policy(attempts=1, cap_ms=0, jitter="none")


@pytest.mark.parametrize(
    ("tries", "window", "policy"),
    [
        ([], ASLEEP, None),  # the client itself was kept from it
        ([(1_600, 1_601)] * 2, W1, ONCE),  # it has given up
        ([(1_600, 1_601)], W1, WAITS),  # it waits beyond the end
    ],
)
def test_of_whoever_need_not_ask_no_nanosecond_is_idle(tries: Tries, window: Window, policy: Policy | None) -> None:
    (one,) = recoveries([tried(tries, None)], [window], 1, LAST, policy)
    assert (one.never_tried, one.late) == (False, False)


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
    assert found.seen_s == max((at for at, _ in took if at > 0), default=0.0)


def test_who_is_back_within_a_millisecond_of_another_is_back_with_it() -> None:
    assert curve([(1.0004, True), (0.9996, True), (1.0006, True)]).steps == ((1.0, 0.333333), (1.001, 0.0))


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
    assert found.steps == ((0.0, 0.666667), (6.0, 0.333333))
