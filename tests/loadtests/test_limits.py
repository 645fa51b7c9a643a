"""What a run may cost: counted in turns, tokens and money, and said in words when it is reached."""

from __future__ import annotations

import pytest

from loadtests.limits import Limits, Prices, Used

PRICES = Prices(input=3.0, output=15.0, currency="EUR")


@pytest.mark.parametrize(
    ("limits", "used", "over"),
    [
        (Limits(), Used(10**6, 10**9, 10**9), ""),
        (Limits(turns=10), Used(10), ""),
        (Limits(turns=10), Used(11), "limits.turns: 11 turns of 10"),
        (Limits(tokens=5_000), Used(9, 3_000, 1_999), ""),
        (Limits(tokens=5_000), Used(9, 3_000, 2_000), "limits.tokens: 5,000 tokens of 5,000"),
        (Limits(money=2.0, prices=PRICES), Used(9, 166_666, 99_999), ""),
        (Limits(money=2.0, prices=PRICES), Used(9, 166_667, 100_000), "limits.money: 2.00 of 2.00 EUR"),
        (Limits(money=0.01, prices=Prices(output=1.0)), Used(9, 10**9, 10_000), "limits.money: 0.01 of 0.01"),
    ],
)
def test_a_limit_is_reached_and_said(limits: Limits, used: Used, over: str) -> None:
    assert used.over(limits) == over
