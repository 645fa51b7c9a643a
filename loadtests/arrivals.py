"""When turns are meant to be sent. Pure: a schedule is a function of seed and user, so planned turns can be counted
again from the scenario alone, whatever the run did.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

__all__ = ["paced", "planned"]


def paced(seed: int, user: int, pace_ms: int, start_ms: float = 0.0) -> Iterator[float]:
    """Milliseconds since the run's start at which user number ``user`` means to send, without end.

    The first is uniform in one pace, so that users do not march in step; gaps are uniform in 0.5-1.5 paces.
    """
    rng = random.Random(f"arrivals:{seed}:{user}")
    at_ms = start_ms + rng.uniform(0.0, pace_ms)
    while True:
        yield at_ms
        at_ms += pace_ms * rng.uniform(0.5, 1.5)


def planned(seed: int, users: int, pace_ms: int, until_ms: float) -> int:
    """How many turns all users together mean to send before ``until_ms``."""
    total = 0
    for user in range(users):
        for at_ms in paced(seed, user, pace_ms):
            if at_ms >= until_ms:
                break
            total += 1
    return total
