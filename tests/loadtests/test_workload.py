"""The level of load over time, its area and what is inverse to it; and how kinds of users are dealt out."""

from __future__ import annotations

from collections import Counter
from math import inf

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loadtests.workload import Kind, Levels, kinds_of

LEVEL = st.floats(0, 4).map(lambda level: round(level, 2))
PHASES = st.lists(st.tuples(st.integers(1, 10_000), LEVEL | st.tuples(LEVEL, LEVEL).map(list)), min_size=1, max_size=6)
#: half a second up, a second at 1, nothing for a second, a spike
SHAPE = Levels([(500, [0, 1]), (1000, 1), (1000, 0), (100, 5)])


@pytest.mark.parametrize(
    ("at_ms", "level", "area"),
    [(-1, 0, 0), (0, 0, 0), (250, 0.5, 62.5), (500, 1, 250), (1499, 1, 1249), (1500, 0, 1250), (2000, 0, 1250), (2500, 5, 1250),
     (2550, 5, 1500), (2600, 0, 1750), (9000, 0, 1750)],
)  # fmt: skip
def test_level_and_area_are_those_of_the_phases(at_ms: float, level: float, area: float) -> None:
    assert (SHAPE.level(at_ms), SHAPE.area_at(at_ms)) == (level, area)


@pytest.mark.parametrize(
    ("area", "at_ms"), [(0, 0), (62.5, 250), (250, 500), (750, 1000), (1250, 1500), (1500, 2550), (1750, 2600), (1750.1, inf)]
)  # fmt: skip
def test_a_time_is_found_by_its_area(area: float, at_ms: float) -> None:
    assert SHAPE.time_of(area) == pytest.approx(at_ms)


@given(PHASES, st.floats(0, 1))
def test_the_time_of_an_area_has_that_area(phases: list[tuple[float, float | list[float]]], share: float) -> None:
    levels = Levels(phases)
    assume(levels.area > 1)
    area = levels.area * share
    assert levels.area_at(levels.time_of(area)) == pytest.approx(area, abs=1e-6 * levels.area)


def test_where_the_level_is_one_throughout_load_time_is_time_to_the_bit() -> None:
    flat = Levels([(1000, 1.0), (500, 1.0)])
    assert flat.flat
    assert [flat.time_of(area) for area in (0.1, 1499.9, 1500)] == [0.1, 1499.9, inf]
    assert not SHAPE.flat


@pytest.mark.parametrize(
    ("at_ms", "least", "found"),
    [
        (0, 0.5, 250),
        (300, 0.5, 300),
        (0, 0.0, 0),
        (1500, 0.5, 2500),
        (1600, 0.9, 2500),
        (0, 3, 2500),
        (0, 5, inf),
        (2600, 0, inf),
    ],
)
def test_the_next_time_over_a_level_is_found(at_ms: float, least: float, found: float) -> None:
    assert SHAPE.next_above(at_ms, least) == found


def test_a_level_that_falls_is_over_what_it_has_passed_no_more() -> None:
    falling = Levels([(1000, [1, 0])])
    assert (falling.next_above(400, 0.5), falling.next_above(600, 0.5)) == (400, inf)


@given(st.integers(), st.integers(1, 500), st.lists(st.floats(0.1, 9), min_size=1, max_size=5))
def test_kinds_are_dealt_out_by_their_weights_to_everybody(seed: int, users: int, weights: list[float]) -> None:
    mix = [Kind(name=f"k{i}", weight=weight) for i, weight in enumerate(weights)]
    dealt = kinds_of(seed, users, mix)
    counts = Counter(dealt)
    assert len(dealt) == users
    assert all(abs(counts[i] - users * one / sum(weights)) < 1 for i, one in enumerate(weights))
    assert dealt == kinds_of(seed, users, mix)


def test_the_seed_deals() -> None:
    mix = [Kind(name="a"), Kind(name="b")]
    assert len({tuple(kinds_of(seed, 40, mix)) for seed in range(5)}) == 5
    assert kinds_of(1, 3, []) == [0, 0, 0]
