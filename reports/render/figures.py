"""Figures in words, the same on every surface. What is no number, or infinite, is a dash."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

__all__ = ["NARROW", "bytes_of", "count", "duration_s", "finite", "percent", "rate"]

#: between groups of digits, and before a unit
NARROW = "\u202f"


def finite(value: Any) -> float | None:
    """A number that can be shown: NaN and the infinities are none."""
    number = float(value) if isinstance(value, Real) else math.nan
    return number if math.isfinite(number) else None


def count(value: float | None, gap: str = NARROW) -> str:
    """A whole number in groups of three; milliseconds too are shown so."""
    number = finite(value)
    return "—" if number is None else f"{round(number):,}".replace(",", gap)


def percent(value: float | None, gap: str = NARROW) -> str:
    """A share as a percentage, with as many places as tell it from 0 and from 100."""
    number = finite(value)
    if number is None:
        return "—"
    hundred = number * 100
    whole = abs(hundred) > 100 or math.isclose(hundred, round(hundred), abs_tol=1e-9)
    places = 0 if whole else 1 if 1 <= abs(hundred) < 99 else 2
    return f"{hundred:.{places}f}{gap}%"


def duration_s(value: float | None) -> str:
    number = finite(value)
    return "—" if number is None else f"{number:.1f}".removesuffix(".0")


def rate(value: float | None) -> str:
    """So many a second, with the places that matter."""
    number = finite(value)
    return "—" if number is None else f"{number:.1f}" if number < 100 else count(number)


def bytes_of(value: float | None) -> str:
    """A size in the unit that people would say it in."""
    number = finite(value)
    if number is None:
        return "—"
    for unit in ("B", "KB", "MB"):
        if number < 1000:
            return f"{number:.0f}{NARROW}{unit}" if unit == "B" or number >= 100 else f"{number:.1f}{NARROW}{unit}"
        number /= 1000
    return f"{number:.1f}{NARROW}GB"
