"""Schedules: the same from the same seed, open-ended, about as many turns as the pace says."""

from __future__ import annotations

from itertools import islice, pairwise, takewhile

from hypothesis import given
from hypothesis import strategies as st

from loadtests.arrivals import paced, planned


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


def test_planned_turns_are_those_of_all_users() -> None:
    users = sum(len(list(takewhile(lambda at: at < 60_000, paced(3, user, 2000)))) for user in range(20))
    assert planned(3, 20, 2000, 60_000) == users
    assert 0.95 < users / (20 * 30) < 1.05


def test_nothing_is_planned_before_the_start() -> None:
    assert planned(3, 20, 2000, 0.0) == 0
