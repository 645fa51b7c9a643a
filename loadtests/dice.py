"""Chance of one user, the same for the same seed."""

from __future__ import annotations

import random
from typing import Protocol

__all__ = ["Dice", "LateDice"]


class Dice(Protocol):
    """What ``random.Random`` does for a user."""

    def random(self) -> float: ...

    def uniform(self, a: float, b: float, /) -> float: ...

    def getrandbits(self, k: int, /) -> int: ...


class LateDice:
    """Draws as ``random.Random(seed)``, whose 2.5 kB of state are made at the first draw: most of ten thousand users never draw."""

    __slots__ = ("_made", "_seed")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._made: random.Random | None = None

    def _random(self) -> random.Random:
        if self._made is None:
            self._made = random.Random(self._seed)
        return self._made

    def random(self) -> float:
        """In [0, 1)."""
        return self._random().random()

    def uniform(self, a: float, b: float, /) -> float:
        """Between two bounds."""
        return self._random().uniform(a, b)

    def getrandbits(self, k: int, /) -> int:
        """A number of so many bits."""
        return self._random().getrandbits(k)
