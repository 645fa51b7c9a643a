"""The faults of one phase as a file tells them, and the windows they become. Pure: seed and text decide everything.

It knows no rule of what may overlap what; that is the plan's.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from chaos.faults import Fault, parse_fault
from loadtests.configfile import convert
from loadtests.errors import ConfigError

__all__ = ["Drawn", "Row", "draw"]

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
#: a time, or the bounds between which the seed chooses one
Span = Seconds | Annotated[list[Seconds], msgspec.Meta(min_length=2, max_length=2)]


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a phase's ``faults``: a fault at a time, once or again and again, or whichever the seed chooses of many."""

    #: seconds after the phase's start, and how long
    at_s: Span = 0.0
    for_s: Span | None = None
    #: between the starts of two
    every_s: Span | None = None
    times: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    cohort: str = "treated"
    fault: dict[str, Any] | None = None
    #: instead of one fault: each kind is in with ``chance``, and each window is one of those that are; one that may not
    #: stand where it falls is left out
    any_of: list[dict[str, Any]] = []
    chance: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0


class Drawn(msgspec.Struct, frozen=True):
    """A window that is not yet numbered."""

    fault: Fault
    cohort: str
    start_ms: int
    end_ms: int
    #: one of many that the seed chose: it is left out where it may not stand
    optional: bool = False


def draw(
    rows: Sequence[Mapping[str, Any]], phase_s: float, seed: int, name: str, where: str, place: str
) -> list[Drawn]:
    """The windows of the phase ``name``, in milliseconds since its start.

    Raises:
        ConfigError: a mistake in a row, or a window that ends after its phase.
    """
    windows = []
    for index, data in enumerate(rows):
        at = f"{place}[{index}]"
        row = _row(data, where, at)
        # Of a text, so that neither the process nor its hash seed has a part in it.
        rng = random.Random(f"plan:{seed}:{name}:{index}")
        windows += _windows(row, phase_s, rng, where, at)
    return windows


def _row(data: Mapping[str, Any], where: str, at: str) -> Row:
    try:
        row = convert(data, Row, where)
    except ConfigError as error:
        inner = "" if error.place == "the top" else f".{error.place}"
        raise ConfigError(where, at + inner, error.problem, error.expected) from None
    if (row.fault is None) == (not row.any_of):
        raise ConfigError(where, at, "either fault or any_of", "exactly one of the two")
    if row.times > 1 and row.every_s is None:
        raise ConfigError(where, f"{at}.times", f"{row.times} times without every_s", "every_s: seconds between starts")
    return row


def _windows(row: Row, phase_s: float, rng: random.Random, where: str, at: str) -> list[Drawn]:
    # Every fault is read, also one that this seed leaves out: a mistake must not wait for another seed.
    faults = (
        [("fault", row.fault)] if row.fault is not None else [(f"any_of[{i}]", one) for i, one in enumerate(row.any_of)]
    )
    for inner, data in faults:
        _parse(data, random.Random(0), where, f"{at}.{inner}")
    chosen = _subset(faults, row.chance, rng)
    out: list[Drawn] = []
    start_s = _pick(row.at_s, rng)
    for _ in range(row.times):
        inner, data = rng.choice(chosen)
        fault = _parse(data, rng, where, f"{at}.{inner}")
        for_s = phase_s - start_s if row.for_s is None else _pick(row.for_s, rng)
        start_ms, end_ms = round(start_s * 1000), round((start_s + for_s) * 1000)
        if not 0 <= start_ms < end_ms or end_ms > round(phase_s * 1000):
            raise ConfigError(
                where, at, f"a window from {start_s:g} s for {for_s:g} s", f"one within its phase of {phase_s:g} s"
            )
        out.append(Drawn(fault, row.cohort, start_ms, end_ms, bool(row.any_of)))
        start_s += _pick(row.every_s, rng) if row.every_s is not None else 0.0
    return out


def _subset(faults: list[tuple[str, Any]], chance: float, rng: random.Random) -> list[tuple[str, Any]]:
    """Each kind is in or out as a whole; never none."""
    kinds = sorted({str(fault.get("kind")) for _, fault in faults})
    kept = {kind for kind in kinds if rng.random() < chance}
    kept = kept or {rng.choice(kinds)}
    return [one for one in faults if str(one[1].get("kind")) in kept]


def _parse(data: Mapping[str, Any], rng: random.Random, where: str, place: str) -> Fault:
    """A number of a fault may be given as ``[least, most]``: the seed chooses."""
    chosen = {key: rng.randint(*value) if _is_range(value) else value for key, value in data.items()}
    return parse_fault(chosen, where, place)


def _is_range(value: Any) -> bool:
    whole = isinstance(value, list) and len(value) == 2 and all(type(one) is int for one in value)
    return bool(whole and value[0] <= value[1])


def _pick(span: float | list[float], rng: random.Random) -> float:
    """To the millisecond, so that what a plan says is what it was made of."""
    return round(rng.uniform(*span), 3) if isinstance(span, list) else float(span)
