"""The search for the most that a backend bears: bracket, then halve, with repeats; an interval and not a point. Pure.

A level is kept where every trial of it kept all gates, and broken where every one broke one. What is neither lies within the
interval: its low end is the highest kept level under all that broke, its high end the lowest broken level above that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Found", "Outcome", "Search", "Trial"]

#: ``saturated``: the generator itself gave in; ``unknown``: the trial could not be judged
Outcome = Literal["kept", "broken", "saturated", "unknown"]
#: which of the two gave in; nobody: the most that was asked for was kept
GaveIn = Literal["backend", "generator", "nobody", "undecided"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One run at a level."""

    level: int
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Levels kept for sure, 0 for none, and broken for sure, None for none; and which of the two gave in."""

    low: int
    high: int | None
    gave_in: GaveIn

    @property
    def is_decided(self) -> bool:
        """Whether something is known of the backend."""
        return self.gave_in in {"backend", "nobody"} and bool(self.low or self.high)


class Search:
    """``start`` is tried first; none is below ``least`` or above ``most``. ``precision``: a share of the level that is near enough.

    ``repeats``: each level is tried so often, or until its trials differ for good.
    """

    def __init__(self, start: int, least: int, most: int, precision: float = 0.1, repeats: int = 2) -> None:
        self._start, self._least, self._most = min(max(start, least), most), least, most
        self._precision, self._repeats = precision, repeats

    def next(self, trials: Sequence[Trial]) -> int | None:
        """The level to be tried next; None: enough is known."""
        levels = _by_level(trials)
        if not levels:
            return self._start
        last = trials[-1].level
        if self._is_open(levels[last]):
            return last
        kept, failed = self._bounds(levels)
        if failed is None:
            # What is too little to be judged may be too few turns: more of them come at a higher level.
            highest = max(levels)
            return min(2 * highest, self._most) if highest < self._most else None
        if not kept:
            return max(failed // 2, self._least) if failed > self._least else None
        if failed - kept <= max(1, self._precision * kept):
            return None
        return (kept + failed) // 2

    def found(self, trials: Sequence[Trial]) -> Found:
        """What the trials amount to."""
        levels = _by_level(trials)
        kept, failed = self._bounds(levels)
        broken = [level for level, outcomes in levels.items() if level > kept and set(outcomes) == {"broken"}]
        gave_in: GaveIn = "nobody" if kept else "undecided"
        if failed is not None:
            ends = set(levels[failed])
            gave_in = "generator" if "saturated" in ends else "undecided" if "unknown" in ends else "backend"
        # What the generator, or nobody, can tell apart is no end of the backend's.
        limited = gave_in in {"backend", "undecided"}
        return Found(kept, min(broken, default=None) if limited else None, gave_in)

    def _is_open(self, outcomes: Sequence[Outcome]) -> bool:
        """Whether another trial of the same level could say more: never where the generator gave in, which it does for good."""
        return len(outcomes) < self._repeats and "saturated" not in outcomes and len(set(outcomes)) == 1

    def _bounds(self, levels: dict[int, list[Outcome]]) -> tuple[int, int | None]:
        """The highest level that was kept below the lowest that was not, 0 for none; and the lowest that was not."""
        good = [level for level, outcomes in levels.items() if set(outcomes) == {"kept"}]
        # A level that could not be judged is no end below one that was kept, nor where nothing has been judged yet.
        lowest = min(good, default=self._most)
        ends = [
            level
            for level, outcomes in levels.items()
            if set(outcomes) != {"kept"} and (set(outcomes) != {"unknown"} or level > lowest)
        ]
        failed = min(ends, default=None)
        kept = [level for level in good if failed is None or level < failed]
        return max(kept, default=0), failed


def _by_level(trials: Sequence[Trial]) -> dict[int, list[Outcome]]:
    levels: dict[int, list[Outcome]] = {}
    for trial in trials:
        levels.setdefault(trial.level, []).append(trial.outcome)
    return levels
