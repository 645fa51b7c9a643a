"""Dice that are made late draw as those that were made at once."""

from __future__ import annotations

import random
import sys

import pytest

from loadtests.dice import LateDice


@pytest.mark.parametrize("seed", ["retry:1:2", "prompts:1:2", ""])
def test_it_draws_what_the_same_seed_draws(seed: str) -> None:
    late, at_once = LateDice(seed), random.Random(seed)
    drawn = [(late.random(), late.uniform(2.0, 3.0), late.getrandbits(40)) for _ in range(3)]
    assert drawn == [(at_once.random(), at_once.uniform(2.0, 3.0), at_once.getrandbits(40)) for _ in range(3)]


def test_one_that_never_draws_is_small() -> None:
    one = LateDice("never")
    parts = [one, *(getattr(one, name) for name in one.__slots__)]
    assert sum(map(sys.getsizeof, parts)) < 250
    assert sys.getsizeof(random.Random("drawn")) > 2_000
