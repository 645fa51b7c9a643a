"""Who meets the faults: by seed alone."""

from __future__ import annotations

import pytest

from loadtests.cohorts import treated


@pytest.mark.parametrize(
    ("users", "share", "hit"), [(60, 0.5, 30), (10, 0.0, 0), (10, 0.8, 8), (3, 0.5, 2), (1, 0.4, 0)]
)
def test_a_share_of_the_users_is_treated(users: int, share: float, hit: int) -> None:
    chosen = treated(7, users, share)
    assert len(chosen) == hit
    assert chosen <= set(range(users))


def test_the_seed_decides_and_nothing_else() -> None:
    assert treated(1, 100, 0.5) == treated(1, 100, 0.5) != treated(2, 100, 0.5)
