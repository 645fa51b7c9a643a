"""The search finds what a backend bears, as an interval that holds the truth, whoever gives in and however it flickers."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.capacity import Found, Outcome, Search, Trial


def searched(search: Search, answer: Callable[[int], Outcome]) -> tuple[list[Trial], Found]:
    trials: list[Trial] = []
    while (level := search.next(trials)) is not None:
        assert len(trials) < 200, "it does not end"
        trials.append(Trial(level, answer(level)))
    return trials, search.found(trials)


def sharp(limit: int) -> Callable[[int], Outcome]:
    return lambda level: "kept" if level <= limit else "broken"


@given(st.integers(1, 5_000), st.integers(1, 5_000), st.sampled_from([0.02, 0.1, 0.3]), st.integers(1, 3))
def test_the_interval_holds_a_sharp_limit_and_is_as_narrow_as_asked(
    limit: int, start: int, precision: float, repeats: int
) -> None:
    trials, found = searched(Search(start, 1, 10_000, precision, repeats), sharp(limit))
    assert (found.gave_in, found.high is not None) == ("backend", True)
    assert found.low <= limit < (found.high or 0)
    assert (found.high or 0) - found.low <= max(1, precision * found.low)
    assert len(trials) <= repeats * 30


def test_it_begins_where_it_is_told_doubles_and_halves() -> None:
    trials, found = searched(Search(6, 1, 100, 0.1, 1), sharp(16))
    assert [trial.level for trial in trials] == [6, 12, 24, 18, 15, 16, 17]
    assert found == Found(16, 17, "backend")


def test_each_level_is_tried_again_until_its_trials_differ() -> None:
    answers: dict[int, list[Outcome]] = {
        8: ["kept", "kept"],
        16: ["kept", "broken"],
        12: ["kept", "kept"],
        14: ["broken", "broken"],
    }
    trials, found = searched(Search(8, 1, 100, 0.2, 2), lambda level: answers[level].pop(0))
    assert [trial.level for trial in trials] == [8, 8, 16, 16, 12, 12, 14, 14]
    assert found == Found(12, 14, "backend")


def test_what_flickers_lies_within_the_interval() -> None:
    """From 14 on it breaks now and then, from 19 on always."""
    for seed in range(30):
        dice = random.Random(seed)

        def flickers(level: int, dice: random.Random = dice) -> Outcome:
            return "kept" if level < 14 or (level < 19 and dice.random() < 0.5) else "broken"

        _, found = searched(Search(5, 1, 100, 0.05, 3), flickers)
        assert found.gave_in == "backend"
        assert 13 <= found.low <= 18
        assert found.high is None or 14 <= found.high <= 20


def test_where_the_generator_gives_in_nothing_is_said_of_the_backend() -> None:
    trials, found = searched(Search(10, 1, 1_000, 0.1, 3), lambda level: "kept" if level <= 37 else "saturated")
    assert found == Found(found.low, None, "generator")
    assert 34 <= found.low <= 37
    saturated = [trial.level for trial in trials if trial.outcome == "saturated"]
    assert len(saturated) == len(set(saturated))


def test_the_most_that_was_asked_for_may_be_kept() -> None:
    assert searched(Search(30, 1, 100, 0.1, 2), lambda _: "kept")[1] == Found(100, None, "nobody")


def test_the_least_may_be_too_much() -> None:
    trials, found = searched(Search(30, 5, 100, 0.1, 1), lambda _: "broken")
    assert [trial.level for trial in trials] == [30, 15, 7, 5]
    assert found == Found(0, 5, "backend")


def test_too_few_turns_to_judge_lead_up_and_not_down() -> None:
    trials, found = searched(
        Search(10, 1, 1_000, 0.1, 1), lambda level: "unknown" if level < 60 else "kept" if level <= 200 else "broken"
    )
    assert [trial.level for trial in trials][:5] == [10, 20, 40, 80, 160]
    assert found.gave_in == "backend"
    assert found.low <= 200 < (found.high or 0)


def test_where_nothing_can_be_judged_nothing_is_known() -> None:
    assert searched(Search(10, 1, 100, 0.1, 2), lambda _: "unknown")[1] == Found(0, None, "undecided")


def test_what_cannot_be_judged_is_no_limit() -> None:
    _, found = searched(Search(8, 1, 100, 0.1, 2), lambda level: "kept" if level <= 10 else "unknown")
    assert found == Found(10, None, "undecided")


@pytest.mark.parametrize(("start", "first"), [(0, 5), (7, 7), (900, 100)])
def test_the_first_level_is_within_what_was_asked(start: int, first: int) -> None:
    assert Search(start, 5, 100).next([]) == first


def test_of_no_trial_nothing_is_known() -> None:
    assert Search(5, 1, 10).found([]) == Found(0, None, "undecided")
