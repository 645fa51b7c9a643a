"""Who meets the faults: by seed alone."""

from __future__ import annotations

import pytest

from loadtests.cohorts import LEAST_CONTROL, size, treated


@pytest.mark.parametrize(
    ("users", "share", "hit"),
    [(60, 0.5, 30), (10, 0.0, 0), (10, 0.8, 8), (3, 0.5, 2), (1, 0.4, 0), (7, 0.8, 5), (4, 0.8, 3), (7, 1.0, 7)],
)
def test_a_share_of_the_users_is_treated(users: int, share: float, hit: int) -> None:
    chosen = treated(7, users, share)
    assert len(chosen) == hit
    assert chosen <= set(range(users))


def test_the_seed_decides_and_nothing_else() -> None:
    assert treated(1, 100, 0.5) == treated(1, 100, 0.5) != treated(2, 100, 0.5)


def test_a_fifth_is_never_touched_however_few_there_are() -> None:
    assert all((users - size(users, 0.8)) / users >= LEAST_CONTROL for users in range(1, 200))
