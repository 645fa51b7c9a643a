"""Do turns go on as before: clear differences are found, chance is not, and few turns say nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from loadtests.history import End, Window
from reports.proportions import bounds
from reports.steadiness import DROPPED, SURE, Comparison, Steadiness
from tests.reports.stories import MS, START_NS, Story, window

GRACE_MS = 10_000.0
FAULT = window(20_000, 25_000)
#: clear of the grace
AFTER_MS = 25_000 + GRACE_MS + 1


def fed(
    turns: list[tuple[float, float, int]], windows: tuple[Window, ...] = (FAULT,), cohort: str = "treated"
) -> Steadiness:
    """Turns as (intended ms, milliseconds, end); the row is its place."""
    one = Steadiness(windows, round(GRACE_MS * MS))
    for row, (at_ms, took_ms, end) in enumerate(turns):
        intended_ns = START_NS + round(at_ms * MS)
        one.add(row, cohort, intended_ns, intended_ns + round(took_ms * MS), end)
    return one


def some(
    count: int, at_ms: float, took_ms: float = 1_000.0, end: int = End.OK, seed: int = 1
) -> list[tuple[float, float, int]]:
    dice = random.Random(seed)
    return [(at_ms + i, took_ms * dice.lognormvariate(0, 0.2), end) for i in range(count)]


BEFORE = some(80, 1_000)


@pytest.mark.parametrize("seed", range(20))
def test_turns_as_before_are_restored(seed: int) -> None:
    found = fed(some(80, 1_000, seed=seed) + some(30, AFTER_MS, seed=seed + 100)).restored()
    assert (found.broken, found.unknown, found.samples, found.before) == (False, "", 30, 80)


@pytest.mark.parametrize(
    "after",
    [some(30, AFTER_MS, 2_500), some(30, AFTER_MS, end=End.FAILED), some(30, AFTER_MS, end=End.TIMEOUT),
     some(30, AFTER_MS, 0.0, DROPPED), some(15, AFTER_MS) + some(20, AFTER_MS, 9_000)],
)  # fmt: skip
def test_slow_failed_or_dropped_turns_are_not(after: list[tuple[float, float, int]]) -> None:
    found = fed(BEFORE + after).restored()
    assert (found.broken, found.unknown) == (True, "")
    assert found.rows
    assert all(row >= len(BEFORE) for row in found.rows)


def test_the_slowest_stand_first() -> None:
    found = fed(
        [*BEFORE, *some(30, AFTER_MS, 4_000), (AFTER_MS, 60_000.0, End.OK), (AFTER_MS, 1.0, End.FAILED)]
    ).restored()
    assert found.rows[:2] == (111, 110)


@pytest.mark.parametrize("end", [End.REFUSED, End.DEGRADED])
def test_what_was_answered_otherwise_was_answered(end: End) -> None:
    assert not fed(BEFORE + some(30, AFTER_MS, end=end)).restored().broken


@pytest.mark.parametrize("end", [End.REJECTED, End.ABANDONED])
def test_who_is_turned_away_or_given_up_after_the_last_fault_is_not_served_as_before(end: End) -> None:
    found = fed(BEFORE + some(30, AFTER_MS, 1.0, end)).restored()
    assert (found.samples, found.bad, found.broken, found.unknown) == (30, 30, True, "")


Turns = list[tuple[float, float, int]]


def both(treated: Turns, control: Turns, windows: tuple[Window, ...] = (FAULT,)) -> Steadiness:
    """The rows of the control group come after the others'."""
    one = Steadiness(windows, round(GRACE_MS * MS))
    for row, (at_ms, took_ms, end) in enumerate([*treated, *control]):
        intended_ns = START_NS + round(at_ms * MS)
        cohort = "treated" if row < len(treated) else "control"
        one.add(row, cohort, intended_ns, intended_ns + round(took_ms * MS), end)
    return one


def throttled(count: int, at_ms: float) -> Turns:
    return some(count, at_ms, 1.0, End.THROTTLED)


QUOTA = "you measured the quota: {} of {} turns to compare were throttled"


@pytest.mark.parametrize(
    "control",
    [[], throttled(40, AFTER_MS), some(10, AFTER_MS), some(30, AFTER_MS) + throttled(10, AFTER_MS), some(40, AFTER_MS, end=End.FAILED),
     some(40, 1_000), some(40, 21_000)],
)  # fmt: skip
def test_a_quota_that_fills_up_during_a_run_blames_nobody(control: Turns) -> None:
    """Not where the control group, at the same time, is throttled too, or nobody can tell."""
    found = both(BEFORE + throttled(30, AFTER_MS), control).restored()
    assert (found.samples, found.bad, found.broken, found.unknown) == (30, 30, False, QUOTA.format(30, 30))


@pytest.mark.parametrize("control", [some(11, AFTER_MS), some(30, AFTER_MS) + throttled(3, AFTER_MS)])
def test_who_is_throttled_while_the_control_group_is_not_is_not_served_as_before(control: Turns) -> None:
    found = both(BEFORE + throttled(30, AFTER_MS), control).restored()
    assert (found.samples, found.bad, found.broken, found.unknown) == (30, 30, True, "")


@pytest.mark.parametrize(
    ("more", "broken", "says"),
    [
        (some(30, AFTER_MS), False, QUOTA.format(20, 50)),
        (some(150, AFTER_MS), False, ""),
        (some(30, AFTER_MS, 9_000), True, ""),
        (some(1, AFTER_MS, 9_000), False, QUOTA.format(20, 21)),
    ],
)
def test_only_where_throttled_turns_make_the_difference_is_it_the_quota(more: Turns, broken: bool, says: str) -> None:
    found = fed(BEFORE + throttled(20, AFTER_MS) + more).restored()
    assert (found.broken, found.unknown) == (broken, says)
    if broken:  # by the others alone
        assert (found.samples, found.bad) == (30, 30)
        assert min(found.rows) >= 100


def test_where_few_throttled_turns_leave_it_open_that_is_the_quota_too() -> None:
    found = fed(BEFORE + some(27, AFTER_MS) + throttled(8, AFTER_MS)).restored()
    assert (found.broken, found.unknown) == (False, QUOTA.format(8, 35))


def test_what_is_open_for_another_reason_says_that() -> None:
    turns = BEFORE + some(24, AFTER_MS) + some(6, AFTER_MS, 9_000) + throttled(2, AFTER_MS)
    assert "too few turns to tell chance from change" in fed(turns).restored().unknown
    assert "there was no steady state" in fed(BEFORE + throttled(40, 1_000) + some(30, AFTER_MS)).restored().unknown


@pytest.mark.parametrize("after", [some(40, AFTER_MS), throttled(40, AFTER_MS)])
def test_a_control_group_that_is_throttled_during_others_faults_blames_nobody(after: Turns) -> None:
    found = both([], BEFORE + throttled(30, 20_500) + after).control()
    assert (found.samples, found.broken, found.unknown) == (30, False, QUOTA.format(30, 30))


def test_the_control_group_is_looked_at_since_the_first_cohort_was_over_its_faults() -> None:
    """What came at that moment, or before, is no witness."""
    for at_ms, broken in ((25_000 + GRACE_MS, False), (AFTER_MS, True)):
        treated = BEFORE + throttled(30, AFTER_MS)
        assert both(treated, [(at_ms, 500.0, int(End.OK))] * 11).restored().broken is broken
        spoiled = both(treated, [(at_ms, 1.0, int(End.THROTTLED))] * 40 + some(20, AFTER_MS))
        assert spoiled.restored().broken is not broken


def test_of_several_cohorts_the_first_to_be_over_its_faults_says_since_when() -> None:
    later = window(60_000, 65_000, "w2", cohort="direct")
    found = both(BEFORE + throttled(30, AFTER_MS), some(40, AFTER_MS), (FAULT, later)).restored()
    assert found.broken


@pytest.mark.parametrize("end", [End.CANCELLED, End.IN_DOUBT])
def test_what_is_neither_good_nor_bad_is_no_sample(end: End) -> None:
    assert fed(BEFORE + some(30, AFTER_MS, 9_000, end)).restored().samples == 0


def test_what_the_run_s_end_cut_counts_only_once_it_has_taken_too_long() -> None:
    cut = some(30, AFTER_MS, 100, End.CUT_BY_STOP) + some(20, AFTER_MS, 9_000, End.CUT_BY_STOP)
    found = fed(BEFORE + cut).restored()
    assert (found.meant, found.samples, found.bad, found.broken) == (50, 20, 20, True)


def test_a_backend_of_milliseconds_may_be_late_by_some() -> None:
    assert not fed(some(80, 1_000, 2) + some(30, AFTER_MS, 50)).restored().broken
    assert fed(some(80, 1_000, 2) + some(30, AFTER_MS, 250)).restored().broken


@pytest.mark.parametrize(
    ("bad", "verdict"),
    [(0, "as before"), (3, "as before"), (6, "unknown"), (8, "unknown"), (9, "broken"), (12, "broken"), (20, "broken")],
)
def test_between_chance_and_change_nothing_is_said(bad: int, verdict: str) -> None:
    found = fed(BEFORE + some(35 - bad, AFTER_MS, 500) + some(bad, AFTER_MS, 9_000)).restored()
    said = "broken" if found.broken else "unknown" if found.unknown else "as before"
    assert (said, found.bad) == (verdict, bad)


@pytest.mark.parametrize("count", [0, 10])
def test_few_turns_say_nothing(count: int) -> None:
    assert "only" in fed(BEFORE + some(count, AFTER_MS)).restored().unknown
    assert "before the faults" in fed(some(count, 1_000) + some(40, AFTER_MS)).restored().unknown


def test_eleven_turns_say_something_on_either_side() -> None:
    found = fed(some(11, 1_000) + some(11, AFTER_MS)).restored()
    assert (found.samples, found.before, found.bad, found.broken, found.unknown) == (11, 11, 0, False, "")


def test_without_a_steady_state_before_there_is_none_to_come_back_to() -> None:
    found = fed(some(40, 1_000) + some(20, 1_000, end=End.FAILED) + some(30, AFTER_MS)).restored()
    assert "no steady state" in found.unknown


@pytest.mark.parametrize(("bad", "steady"), [(10, True), (11, False)])
def test_one_turn_in_eight_may_fail_in_a_steady_state(bad: int, steady: bool) -> None:
    before = some(80 - bad, 1_000) + some(bad, 1_000, end=End.FAILED)
    assert bool(fed(before + some(40, AFTER_MS)).restored().unknown) is not steady


@pytest.mark.parametrize(
    ("at_ms", "took_ms", "place"),
    [(18_000, 1_000, "before"), (19_500, 1_000, ""), (21_000, 1_000, ""), (26_000, 1_000, ""), (AFTER_MS - 2, 1_000, ""),
     (AFTER_MS, 1_000, "after")],
)  # fmt: skip
def test_only_turns_wholly_clear_of_faults_and_grace_are_compared(at_ms: float, took_ms: float, place: str) -> None:
    one = fed([(at_ms, took_ms, End.OK)] * 50).restored()
    assert (one.samples, one.before) == {"before": (0, 50), "after": (50, 0), "": (0, 0)}[place]


def test_a_plan_without_a_time_before_its_faults_means_no_comparison() -> None:
    assert fed(some(50, AFTER_MS)).restored().meant == 0
    assert fed(some(11, 1_000, end=End.FAILED) + some(50, AFTER_MS)).restored().meant == 50


def test_a_fault_that_never_healed_leaves_no_after() -> None:
    assert fed(BEFORE + some(30, AFTER_MS), (replace(FAULT, end_ns=None),)).restored().meant == 0


def test_between_two_faults_is_no_after() -> None:
    later = window(90_000, 95_000, "w2")
    assert fed(BEFORE + some(30, AFTER_MS), (FAULT, later)).restored().meant == 0
    assert fed(BEFORE + some(30, 95_000 + GRACE_MS + 1), (FAULT, later)).restored().meant == 30


def test_without_faults_nothing_is_compared() -> None:
    one = fed(BEFORE + some(30, AFTER_MS), ())
    assert (one.restored().meant, one.control().meant) == (0, 0)


@pytest.mark.parametrize(("took_ms", "broken"), [(1_000, False), (4_000, True)])
def test_the_control_group_is_compared_during_faults_on_others(took_ms: float, broken: bool) -> None:
    turns = BEFORE + some(30, 20_500, took_ms) + some(30, 50_000, 9_000)
    found = fed(turns, cohort="control").control()
    assert (found.broken, found.meant, found.before) == (broken, 30, 80)


def test_nothing_is_broken_of_itself() -> None:
    assert not Comparison().broken


def story(after_ms: float, control_ms: float = 300.0) -> Story:
    """Ten users a cohort, a turn a second; ``after_ms``: what the treated ones' take after the fault."""
    told = Story()
    for user in range(20):
        cohort = ("control", "treated")[user % 2]
        told.connect(user, 100, cohort)
        for turn in range(1, 61):
            at_ms = turn * 1_000 + user
            hit = 20_000 - 1_000 <= at_ms <= 25_000
            took = (
                control_ms
                if hit and cohort == "control"
                else after_ms
                if at_ms > 26_000 and cohort == "treated"
                else 300
            )
            told.turn(user, turn, at_ms, took)
        told.leave(user, 70_000)
    return told


def test_restored_and_control_are_required_of_a_run_that_holds_both() -> None:
    checks = {check.id: check for check in story(300).assess(FAULT).checks}
    for id_ in ("restored", "control"):
        assert (checks[id_].verdict, checks[id_].required) == ("valid", True)
        assert checks[id_].samples >= 40


def test_a_backlog_that_never_drains_is_not_restored() -> None:
    check = story(950).check("restored", FAULT)
    assert (check.verdict, set(check.kinds)) == ("invalid", {"not-restored"})
    assert len(check.witnesses) == 5
    assert check.scope.startswith(
        f"{check.violations} of {check.samples} turns were dropped, not answered, or took over"
    )
    assert all(int(witness.session) % 2 for witness in check.witnesses)


def test_a_control_group_that_suffers_from_a_fault_that_went_astray_blames_nobody() -> None:
    check = story(300, control_ms=950).check("control", FAULT, unproven="w1: absent")
    assert (check.verdict, check.reason) == ("unknown", "w1: absent")


TWO = (FAULT, window(40_000, 45_000, "w2"))


def suffering(from_ms: float, until_ms: float) -> Story:
    """The control group's turns take three times as long in one stretch."""
    told = Story()
    for user in range(20):
        told.connect(user, 100, ("control", "treated")[user % 2])
        for turn in range(1, 61):
            at_ms = turn * 1_000 + user
            told.turn(user, turn, at_ms, 950 if not user % 2 and from_ms <= at_ms <= until_ms else 300)
        told.leave(user, 70_000)
    return told


@pytest.mark.parametrize(
    ("unproven", "verdict"), [({"w1"}, "unknown"), ({"w2"}, "invalid"), ({"w1", "w2"}, "unknown"), (set(), "unknown")]
)
def test_who_suffers_from_a_fault_that_did_bite_has_a_witness_whatever_others_did(
    unproven: set[str], verdict: str
) -> None:
    """Law 4; and where nobody tells which faults did not, none of them did."""
    check = suffering(19_000, 25_000).check(
        "control", *TWO, unproven="some fault: absent", unproven_windows=frozenset(unproven)
    )
    assert (check.verdict, check.required, set(check.kinds)) == (verdict, True, {"control-suffers"})
    assert (check.reason == "some fault: absent") is (verdict == "unknown")


def test_a_turn_that_also_overlaps_a_fault_that_did_bite_is_no_doubtful_one() -> None:
    both = (FAULT, window(20_000, 25_000, "w2"))
    check = suffering(19_000, 25_000).check("control", *both, unproven="w2: absent", unproven_windows=frozenset({"w2"}))
    assert check.verdict == "invalid"


def test_of_the_doubtful_turns_none_is_counted_or_shown() -> None:
    every = suffering(19_000, 45_000).check("control", *TWO)
    some = suffering(19_000, 45_000).check("control", *TWO, unproven="w2: absent", unproven_windows=frozenset({"w2"}))
    assert (some.verdict, every.verdict) == ("invalid", "invalid")
    assert 0 < some.violations < every.violations
    assert some.samples < every.samples


def test_a_control_group_that_suffers_takes_away_what_is_said_of_faults() -> None:
    checks = {check.id: check for check in story(300, control_ms=950).assess(FAULT).checks}
    assert checks["control"].verdict == "invalid"
    assert checks["restored"].verdict == "unknown"
    assert "suffer too" in checks["restored"].reason


@pytest.mark.parametrize(
    ("about", "reason", "late"),
    [({"unfit": "late"}, "bottleneck", "unknown"), ({"unproven": "w1: absent"}, "w1: absent", "invalid")],
)
def test_a_late_generator_and_a_fault_without_effect_take_it_away_too(
    about: dict[str, str], reason: str, late: str
) -> None:
    """And times that a late generator itself may have made long bear no witness."""
    check = story(300).check("restored", FAULT, **about)
    assert check.verdict == "unknown"
    assert reason in check.reason
    assert story(950).check("restored", FAULT, **about).verdict == late


# -- bounds, from just inside to just outside --------------------------------------------------------------------------

LATER = window(60_000, 65_000, "w2")
FLAT = [(1_000.0 + i, 1_000.0, int(End.OK)) for i in range(80)]


def flat(count: int, at_ms: float, took_ms: float, end: int = End.OK) -> list[tuple[float, float, int]]:
    return [(at_ms, took_ms, int(end))] * count


def test_of_nothing_nothing_is_said() -> None:
    assert Comparison() == Comparison(
        meant=0, samples=0, bad=0, limit_ms=0.0, before=0, broken=False, unknown="", rows=(),
        was_ms=(0.0, 0.0), is_ms=(0.0, 0.0), tailed=False, aside=0,
    )  # fmt: skip
    none_after = fed(FLAT).restored()
    assert (none_after.was_ms, none_after.is_ms) == ((1_000.0, 1_000.0), (0.0, 0.0))


@pytest.mark.parametrize(
    ("usual_ms", "took_ms", "limit_ms", "bad"),
    [(1_000, 1_500.0, 1_500.0, 0), (1_000, 1_500.5, 1_500.0, 30), (2, 102.0, 102.0, 0), (2, 102.5, 102.0, 30)],
)
def test_slow_is_half_as_much_again_and_a_tenth_of_a_second_at_least(
    usual_ms: float, took_ms: float, limit_ms: float, bad: int
) -> None:
    found = fed(flat(80, 1_000, usual_ms) + flat(30, AFTER_MS, took_ms)).restored()
    assert (found.limit_ms, found.bad, found.broken) == (limit_ms, bad, bad > 0)


@pytest.mark.parametrize(
    ("before", "limit_ms"),
    [
        (FLAT, 2_000),
        (flat(80, 1_000, 2), 252),
        # Of few the tail may have been where the longest of all was, of many it was not.
        (flat(19, 1_000, 1_000) + flat(1, 1_000, 1_100), 2_200),
        (flat(299, 1_000, 1_000) + flat(1, 1_000, 1_400), 2_000),
    ],
)
def test_a_longer_tail_is_one_of_twice_the_time_and_a_quarter_of_a_second_more_at_least(
    before: Turns, limit_ms: float
) -> None:
    """Of one in five turns, which is too few for slowness."""
    usual = flat(96, AFTER_MS, before[0][1])
    at, over = (fed(before + usual + flat(24, AFTER_MS, limit_ms + more_ms)).restored() for more_ms in (0, 0.5))
    assert (at.broken, at.tailed, at.bad, at.samples) == (False, False, 24, 120)
    assert (over.broken, over.tailed, over.bad, over.samples, over.limit_ms) == (True, True, 24, 120, limit_ms)


@pytest.mark.parametrize(("count", "tailed"), [(2, False), (3, True)])
def test_two_of_two_are_no_longer_tail_and_three_of_three_are(count: int, tailed: bool) -> None:
    """The bound of two of two is just the tenth that is allowed."""
    found = fed(FLAT + flat(count, AFTER_MS, 9_000)).restored()
    assert (found.broken, found.tailed, found.samples) == (tailed, tailed, count)


#: their tail is longer than their median
UNEVEN = flat(70, 1_000, 1_000) + flat(10, 1_000, 1_200)
QUICK = flat(70, 1_000, 150) + flat(10, 1_000, 400)


@pytest.mark.parametrize(
    ("before", "after", "unknown"),
    [
        (UNEVEN, flat(40, AFTER_MS, 500), ""),
        (UNEVEN, flat(35, AFTER_MS, 499) + flat(5, AFTER_MS, 900),
         "turns take half of what they did: p50 499 ms after 1,000 ms, another state than before"),
        (QUICK, flat(40, AFTER_MS, 50), ""),
        (QUICK, flat(35, AFTER_MS, 49) + flat(5, AFTER_MS, 120),
         "turns take half of what they did: p50 49 ms after 150 ms, another state than before"),
        (UNEVEN, flat(10, AFTER_MS, 499), "only 10 turns to compare with those before the faults, 11 would do"),
    ],
)  # fmt: skip
def test_half_of_the_time_and_a_tenth_of_a_second_less_at_least_is_another_state(
    before: Turns, after: Turns, unknown: str
) -> None:
    found = fed(before + after).restored()
    assert (found.broken, found.unknown) == (False, unknown)


TOO_SLOW = "dropped, not answered, or took over 1,800 ms, which nine in ten of the 80 before the faults were faster than by half"
TOO_LONG = "answered turns took over 2,400 ms, twice of what one in twenty did before"


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (flat(20, AFTER_MS, 4_000) + flat(10, AFTER_MS, 5_000),
         f"30 of 30 turns were {TOO_SLOW}; p50 4,000 ms after 1,000 ms, p95 5,000 ms after 1,200 ms"),
        (flat(10, AFTER_MS, 1_100) + flat(20, AFTER_MS, 1.0, End.FAILED),
         f"20 of 30 turns were {TOO_SLOW}; p50 never after 1,000 ms, p95 never after 1,200 ms"),
        (flat(96, AFTER_MS, 1_100) + flat(1, AFTER_MS, 1.0, End.FAILED) + flat(24, AFTER_MS, 2_500),
         f"24 of 120 {TOO_LONG}; p50 1,100 ms after 1,000 ms, p95 2,500 ms after 1,200 ms"),
    ],
)  # fmt: skip
def test_what_is_compared_is_said_in_words(after: Turns, text: str) -> None:
    assert fed(UNEVEN + after).restored().text == text


@pytest.mark.parametrize(
    ("limit", "bound", "treated", "control", "within", "beyond"),
    [
        ("ALLOWED", bounds(9, 35, SURE)[0], flat(26, AFTER_MS, 1_000) + flat(9, AFTER_MS, 1_600), [],
         (False, "9 of 35 turns took over 1,500 ms or failed: too few turns to tell chance from change"), (True, "")),
        ("ALLOWED", bounds(3, 35)[1], flat(32, AFTER_MS, 1_000) + flat(3, AFTER_MS, 1_600), [],
         (False, ""), (False, "3 of 35 turns took over 1,500 ms or failed: too few turns to tell chance from change")),
        ("ALLOWED", bounds(0, 11)[1], throttled(30, AFTER_MS), flat(11, AFTER_MS, 500), (True, ""), (False, QUOTA.format(30, 30))),
        ("FASTER", bounds(40, 40, SURE)[0], flat(40, AFTER_MS, 50), [],
         (False, ""), (False, "turns take half of what they did: p50 50 ms after 1,000 ms, another state than before")),
    ],
)  # fmt: skip
def test_a_bound_that_stands_just_at_a_limit_is_within_it(
    limit: str, bound: float, treated: Turns, control: Turns, within: tuple[bool, str], beyond: tuple[bool, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """No count of turns has a bound of just a quarter or a half, so the limits are put where counts have theirs."""
    for at, said in ((bound, within), (bound - 1e-9, beyond)):
        monkeypatch.setattr(f"reports.steadiness.{limit}", 1 - at if limit == "FASTER" else at)
        found = both(FLAT + treated, control).restored()
        assert (found.broken, found.unknown) == said


@pytest.mark.parametrize("end", [End.OK, End.CUT_BY_STOP])
@pytest.mark.parametrize(
    ("unproven", "aside", "rows"),
    [
        ((), (), range(80, 104)),
        (("w1",), (), range(92, 104)),
        (("w2",), (), range(80, 92)),
        ((), (80, 92), (*range(81, 92), *range(93, 104))),
        (("w2",), (80, 92), range(81, 92)),
        (("w1", "w2"), (), ()),
    ],
)
def test_turns_of_doubtful_faults_and_those_set_aside_are_not_counted_whether_cut_or_not(
    unproven: tuple[str, ...], aside: tuple[int, ...], rows: Sequence[int], end: End
) -> None:
    turns = FLAT + flat(12, 21_000, 1_600, end) + flat(12, 61_000, 1_600, end)
    found = fed(turns, (FAULT, LATER), cohort="control").control(unproven, aside)
    assert (found.meant, found.samples, found.rows) == (24, len(rows), tuple(rows))


def test_a_turn_cut_at_the_limit_has_not_taken_too_long() -> None:
    cut = flat(20, AFTER_MS, 1_500.0, End.CUT_BY_STOP) + flat(3, AFTER_MS, 1_500.5, End.CUT_BY_STOP)
    found = fed(FLAT + cut).restored()
    assert (found.meant, found.samples, found.bad, found.rows) == (23, 3, 3, (100, 101, 102))


@pytest.mark.parametrize(
    ("at_ms", "took_ms", "before", "after"),
    [(19_000, 999, 40, 0), (19_000, 1_000, 0, 0), (35_000, 10, 0, 0), (35_001, 10, 0, 40)],
)
def test_a_turn_that_touches_a_fault_or_its_grace_is_neither_before_nor_after(
    at_ms: float, took_ms: float, before: int, after: int
) -> None:
    found = fed(flat(40, at_ms, took_ms)).restored()
    assert (found.before, found.samples) == (before, after)


@pytest.mark.parametrize(
    ("at_ms", "took_ms", "during"),
    [
        (19_000, 1_099, 0),
        (19_000, 1_100, 40),
        (19_899, 9_000, 40),
        (19_900, 9_000, 0),
        (20_100, 10, 0),
        (20_101, 10, 40),
        (24_899, 10, 40),
        (24_900, 10, 0),
        (25_100, 10, 0),
        (25_101, 10, 0),
        (50_000, 10, 0),
        (59_000, 1_100, 40),
        (65_001, 10, 0),
    ],
)
def test_a_control_turn_that_touches_any_fault_is_compared_but_not_their_switching(
    at_ms: float, took_ms: float, during: int
) -> None:
    """A tenth of a second on either side of each switch is nobody's: the generator itself is late there."""
    found = fed(FLAT + flat(40, at_ms, took_ms), (FAULT, LATER), cohort="control").control()
    assert (found.samples, found.before) == (during, 80)


def test_a_control_turn_that_is_over_a_tenth_of_a_second_before_all_faults_is_from_before() -> None:
    for took_ms, before in ((899, 120), (900, 80)):
        assert fed(FLAT + flat(40, 19_000, took_ms), (FAULT, LATER), cohort="control").control().before == before


def test_who_is_held_through_a_whole_fault_is_compared_though_it_began_and_ended_with_it() -> None:
    found = fed(FLAT + flat(40, 19_500, 5_600), (FAULT, LATER), cohort="control").control()
    assert (found.samples, found.broken) == (40, True)


@pytest.mark.parametrize("cohort", ["control", "treated"])
@pytest.mark.parametrize("windows", [(FAULT, LATER), (LATER, FAULT)])
def test_between_two_faults_is_not_before_them(cohort: str, windows: tuple[Window, ...]) -> None:
    one = fed(flat(40, 50_000, 10), windows, cohort)
    assert (one.restored().before, one.control().before) == (0, 0)


def test_a_fault_that_never_healed_lasts_for_the_control_group() -> None:
    found = fed(FLAT + flat(40, 80_000, 10), (replace(FAULT, end_ns=None),), cohort="control").control()
    assert found.samples == 40


def test_a_turn_whose_plan_is_not_known_is_not_compared() -> None:
    one = Steadiness((FAULT,), round(GRACE_MS * MS))
    for row in range(40):
        one.add(row, "treated", 0, START_NS + row, End.OK)
    assert one.restored().before == 0


@pytest.mark.parametrize(("good", "says"), [(10, "11 would do"), (11, "no steady state")])
def test_eleven_good_turns_are_no_steady_state_where_most_fail(good: int, says: str) -> None:
    found = fed(flat(good, 1_000, 1_000) + flat(29, 1_000, 1_000, End.FAILED) + flat(40, AFTER_MS, 1_000)).restored()
    assert says in found.unknown
    assert (found.meant, found.samples, found.before, found.bad) == (40, 40, good, 0)


@pytest.mark.parametrize(("after", "required"), [(39, False), (40, True)])
def test_a_plan_that_means_forty_turns_is_held_to_them(after: int, required: bool) -> None:
    told = Story()
    told.connect(0, 10, "treated")
    for turn in range(1, 31):
        told.turn(0, turn, turn * 100, 50)
    for turn in range(31, 31 + after):
        told.turn(0, turn, 36_000 + turn * 100, 50)
    told.leave(0, 90_000)
    assert told.check("restored", FAULT).required is required
