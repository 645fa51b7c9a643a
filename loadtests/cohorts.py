"""Who meets the faults: a pure function of seed and number of users. ``control`` is never touched."""

from __future__ import annotations

import random

__all__ = ["treated"]


def treated(seed: int, users: int, share: float) -> frozenset[int]:
    """The user numbers of the treated cohort, ``share`` of all, drawn by the seed."""
    return frozenset(random.Random(f"cohorts:{seed}").sample(range(users), round(users * share)))
