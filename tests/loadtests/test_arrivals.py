"""Schedules: the same from the same seed, open-ended, about as many turns as the pace says."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise, takewhile
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from loadtests.arrivals import opened, paced, planned, talking, thinking, turns
from loadtests.journey import JourneyStep
from loadtests.scenario import Phase, Scenario
from loadtests.workload import Arrivals, Kind, Levels, kinds_of


@given(st.integers(), st.integers(0, 1000), st.integers(1, 10_000), st.floats(0, 1e6))
def test_a_user_starts_within_one_pace_and_keeps_it(seed: int, user: int, pace_ms: int, start_ms: float) -> None:
    times = list(islice(paced(seed, user, pace_ms, start_ms), 30))
    assert start_ms <= times[0] <= start_ms + pace_ms
    slack = 1e-6 * (start_ms + 50 * pace_ms)
    assert all(0.5 * pace_ms - slack <= after - before <= 1.5 * pace_ms + slack for before, after in pairwise(times))


def test_the_seed_and_the_user_decide() -> None:
    def first(seed: int, user: int) -> list[float]:
        return list(islice(paced(seed, user, 1000), 5))

    assert first(1, 2) == first(1, 2)
    assert len({tuple(first(seed, user)) for seed in (1, 2) for user in (1, 2)}) == 4


def scene(**changes: Any) -> Scenario:
    one = Scenario(scenario=1, name="x", users=20, pace_ms=2000, prompts=["p"], phases=[Phase(name="steady", s=60)])
    return msgspec.structs.replace(one, **changes)


def test_planned_turns_are_those_of_all_users() -> None:
    expected = [
        (at_ms, user) for user in range(20) for at_ms in takewhile(lambda at: at < 60_000, paced(3, user, 2000))
    ]
    assert list(planned(scene(), 3)) == expected
    assert 0.95 < len(expected) / (20 * 30) < 1.05


RAMP = Levels([(30_000, [0, 1]), (30_000, 1), (10_000, 0), (10_000, 2)])


def test_a_shape_bends_the_same_schedule() -> None:
    flat = list(takewhile(lambda at: at < RAMP.area, paced(3, 1, 500)))
    assert [RAMP.area_at(at) for at in paced(3, 1, 500, levels=RAMP)] == pytest.approx(flat)


@pytest.mark.parametrize("schedule", ["poisson", "fixed"])
def test_arrivals_come_at_the_rate_that_the_level_says_from_whomever(schedule: Literal["poisson", "fixed"]) -> None:
    found = list(opened(3, range(50), 100.0, schedule, RAMP))
    times = [at for at, _ in found]
    assert times == sorted(times)
    within = [
        sum(a <= at < b for at in times) for a, b in ((0, 30_000), (30_000, 60_000), (60_000, 70_000), (70_000, 80_000))
    ]
    exact = schedule == "fixed"
    assert within == pytest.approx([1500, 3000, 0, 2000], abs=1 if exact else 200)
    assert {user for _, user in found} == set(range(50))
    assert found == list(opened(3, range(50), 100.0, schedule, RAMP))


def test_gaps_of_a_poisson_schedule_are_exponential() -> None:
    times = [at for at, _ in opened(5, [0], 100.0, "poisson", Levels([(200_000, 1.0)]))]
    gaps = [after - before for before, after in pairwise(times)]
    assert kstest(gaps, "expon", args=(0, 10)).pvalue > 0.01


def test_nobody_to_ask_is_no_arrivals() -> None:
    assert list(opened(3, [], 10.0, "fixed", RAMP)) == []


def test_who_thinks_sends_after_a_while_and_only_while_the_level_is_over_its_rank() -> None:
    found: list[float] = []

    def now_ms() -> float:
        return found[-1] + 50 if found else 0.0  # so long a turn takes

    for at_ms in thinking(3, 1, (100.0, 300.0), now_ms, Levels([(10_000, 0.5), (5_000, 0), (5_000, 1)]), 0.3):
        found.append(at_ms)  # noqa: PERF402  # the clock looks at it meanwhile
    gaps = [after - before - 50 for before, after in pairwise(found)]
    assert found[0] <= 300
    assert [gap for gap in gaps if not 100 <= gap <= 300] == [pytest.approx(5_000, abs=450)]
    assert found[-1] < 20_000
    assert list(thinking(3, 1, (100.0, 300.0), lambda: 0.0, Levels([(10_000, 0.5)]), 0.5)) == []


def test_of_a_mix_each_kind_keeps_its_own_pace_and_the_silent_say_nothing() -> None:
    mix = [Kind(name="quick", pace_ms=1000), Kind(name="slow"), Kind(name="silent", talks=False)]
    one = scene(users=30, mix=mix)
    kinds = kinds_of(7, 30, mix)
    turns = Counter(kinds[user] for _, user in planned(one, 7))
    assert set(turns) == {0, 1}
    assert turns[0] / turns[1] == pytest.approx(2, rel=0.1)
    assert talking(one, 7) == [user for user, kind in enumerate(kinds) if kind < 2]


def test_an_open_plan_is_its_arrivals_and_a_closed_one_has_none() -> None:
    one = scene(arrivals=Arrivals(model="open", rate_per_s=30))
    assert list(planned(one, 3)) == list(opened(3, range(20), 30, "poisson", one.levels))
    assert list(planned(scene(arrivals=Arrivals(model="closed")), 3)) == []


def test_a_journey_plans_as_many_turns_as_its_steps_send() -> None:
    journey = [JourneyStep(send="a"), JourneyStep(awaits="done"), JourneyStep(send="b"), JourneyStep(python="m:f")]
    mix = [Kind(name="travels", journey=journey), Kind(name="talks")]
    kinds = kinds_of(3, 20, mix)
    one = scene(mix=mix)
    each = Counter(kinds[user] for _, user in planned(one, 3))
    assert turns(scene(), 3) == sum(1 for _ in planned(scene(), 3))
    assert turns(one, 3) == 2 * each[0] + each[1]
