"""Figures as people read them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports.render import figures


@pytest.mark.parametrize(
    ("value", "words"),
    [(1234567, "1\u202f234\u202f567"), (999.6, "1\u202f000"), (0, "0"), (None, "—"), (math.nan, "—"),
     (math.inf, "—"), (np.int64(12345), "12\u202f345")],
)  # fmt: skip
def test_whole_numbers_stand_in_groups_of_three(value: float | None, words: str) -> None:
    assert figures.count(value) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.0, "100 %"), (0.0, "0 %"), (0.9996, "99.96 %"), (0.0004, "0.04 %"), (0.138, "13.8 %"),
     (0.95, "95 %"), (1.1314, "113 %"), (None, "—")],
)  # fmt: skip
def test_a_share_keeps_the_places_that_tell_it_from_all_and_none(share: float | None, words: str) -> None:
    assert figures.percent(share, " ") == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 KB"),
        (250_000, "250 KB"),
        (12_340_000, "12.3 MB"),
        (5e9, "5.0 GB"),
        (None, "—"),
    ],
)
def test_sizes_are_said_in_the_unit_people_use(size: float | None, words: str) -> None:
    assert figures.bytes_of(size).replace(figures.NARROW, " ") == words


@pytest.mark.parametrize(
    ("value", "words"), [(31.25, "31.2"), (0.04, "0.0"), (1234.5, "1 234"), (math.inf, "—"), (None, "—")]
)
def test_rates_keep_one_place_while_it_matters(value: float | None, words: str) -> None:
    assert figures.rate(value).replace(figures.NARROW, " ") == words
