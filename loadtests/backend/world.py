"""What the pure parts ask of the outside: clock, timer, names, dice. The shell gives real ones, simulation its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

__all__ = ["Dice", "World"]

T = TypeVar("T")


class Dice(Protocol):
    """The part of ``random.Random`` that a turn needs."""

    def random(self) -> float: ...
    def uniform(self, a: float, b: float, /) -> float: ...
    def randint(self, a: int, b: int, /) -> int: ...
    def choice(self, seq: Sequence[T], /) -> T: ...
    def getrandbits(self, k: int, /) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that is not a function of the messages."""

    #: wall clock, seconds since the epoch
    now_s: Callable[[], float]
    #: call back after so many milliseconds, never before the caller returned
    schedule: Callable[[float, Callable[[], None]], None]
    #: prefix -> ``prefix_hex``, 12 hex digits of it unique, the rest beyond guessing
    new_id: Callable[[str], str]
    #: key -> dice that fall the same way for the same key
    dice: Callable[[str], Dice]
