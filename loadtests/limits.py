"""What a run may cost: turns, tokens and money, beyond which it drains. Prices are data; what was used is read from the rows. Pure."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

__all__ = ["Limits", "Prices", "Used"]

MILLION = 1_000_000
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a million tokens, in whatever currency."""

    input: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    output: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    currency: str = ""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is None has no limit. Beyond one a run begins no more turns, lets those under way end, and cannot say GO."""

    turns: Annotated[int, msgspec.Meta(ge=1)] | None = None
    #: in and out together; where the contract says how frames tell them (``usage``)
    tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    #: by ``prices``
    money: Positive | None = None
    prices: Prices = Prices()
    #: users connect this fast before the run's start, so that their coming is no storm; None: all at once, at the start
    connects_per_s: Positive | None = None


class Used(NamedTuple):
    """So far. ``input`` and ``output`` in tokens."""

    turns: int = 0
    input: int = 0
    output: int = 0

    def money(self, prices: Prices) -> float:
        """In the prices' currency."""
        return (self.input * prices.input + self.output * prices.output) / MILLION

    def over(self, limits: Limits) -> str:
        """The limit that is reached, in words; empty: none."""
        if limits.turns is not None and self.turns > limits.turns:
            return f"limits.turns: {self.turns} turns of {limits.turns}"
        if limits.tokens is not None and self.input + self.output >= limits.tokens:
            return f"limits.tokens: {self.input + self.output:,} tokens of {limits.tokens:,}"
        if limits.money is not None and (money := self.money(limits.prices)) >= limits.money:
            return f"limits.money: {money:.2f} of {limits.money:.2f} {limits.prices.currency}".rstrip()
        return ""
