"""Coming back: growing, jittered, capped, bounded, and never after a fatal failure."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.contract.schema import Client
from loadtests.retry import Backoff, Policy, declared


class Most(random.Random):
    """Draws the upper end, so that the ceiling can be seen."""

    def uniform(self, a: float, b: float) -> float:
        return b


def ceilings(policy: Policy, tries: int) -> list[float | None]:
    one = Backoff(policy, Most())
    return [one.failed() for _ in range(tries)]


def test_the_ceiling_doubles_up_to_the_cap_and_ends() -> None:
    assert ceilings(Policy(base_ms=100, cap_ms=500, attempts=5), 7) == [100, 200, 400, 500, 500, None, None]


def test_success_begins_anew() -> None:
    one = Backoff(Policy(base_ms=100, attempts=2), Most())
    assert [one.failed(), one.failed(), one.failed()] == [100, 200, None]
    one.succeeded()
    assert one.failed() == 100


def test_a_fatal_failure_is_for_good() -> None:
    one = Backoff(Policy(), Most())
    assert one.failed(fatal=True) is None
    one.succeeded()
    assert (one.stopped, one.failed()) == (True, None)


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.floats(1, 100), st.integers(1, 2000), st.integers())
def test_no_wait_is_negative_or_over_the_cap(base: int, cap: int, factor: float, attempts: int, seed: int) -> None:
    one = Backoff(Policy(base_ms=base, cap_ms=cap, factor=factor, attempts=attempts), random.Random(seed))
    waits = [one.failed() for _ in range(min(attempts, 100))]
    assert all(wait is not None and 0 <= wait <= cap for wait in waits)


def test_a_herd_does_not_come_back_at_one_moment() -> None:
    waits = sorted(Backoff(Policy(base_ms=1000), random.Random(seed)).failed() or 0.0 for seed in range(200))
    assert waits[0] < 50
    assert waits[-1] > 950
    assert waits[100] == pytest.approx(500, abs=120)


def test_the_products_own_policy_comes_before_the_scenarios() -> None:
    ours = Policy(base_ms=1)
    assert declared(None, ours) is ours
    assert declared(Client(base_ms=7, cap_ms=70, factor=3.0, attempts=5), ours) == Policy(7, 70, 3.0, 5)
