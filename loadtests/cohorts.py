"""Who meets the faults: a pure function of seed and number of users. ``control`` is never touched."""

from __future__ import annotations

import math
import random

__all__ = ["LEAST_CONTROL", "size", "treated"]

#: of all users, where only some are treated
LEAST_CONTROL = 0.2


def size(users: int, share: float) -> int:
    """How many are treated: a share of them, but so that enough are not; all, where nobody need be left."""
    return users if share == 1 else min(round(users * share), users - math.ceil(users * LEAST_CONTROL))


def treated(seed: int, users: int, share: float) -> frozenset[int]:
    """The user numbers of the treated cohort, ``share`` of all, drawn by the seed."""
    return frozenset(random.Random(f"cohorts:{seed}").sample(range(users), size(users, share)))
