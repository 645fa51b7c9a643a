from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured
from tests.chaos.faults.examples import CALM, fault

SPREAD = tuple(60.0 + step for step in (-38, 30, -12, 21, 39, -33, 4, -25, 15, 35))


def test_without_a_mean_the_least_delay_is_none():
    (toxic,) = fault(kind="jitter", jitter_ms=40).toxics
    assert dict(toxic.attributes) == {"jitter": 40, "latency": 40}


@pytest.mark.parametrize(
    ("before", "pings", "effect"),
    [
        (CALM, SPREAD, "confirmed"),
        (CALM, (60.0,) * 10, "absent"),
        (CALM, tuple(1 + p / 10 for p in SPREAD), "absent"),
        (CALM, SPREAD[:7], "not-probed"),
        (Baseline((1.0,) * 4), SPREAD, "not-probed"),
        (Baseline(SPREAD), SPREAD, "not-probed"),
    ],
)
def test_the_spread_decides(before, pings, effect):
    assert fault(kind="jitter", jitter_ms=40, mean_ms=60).judge(before, Measured(answered_ms=pings)).effect == effect


@pytest.mark.parametrize(("direction", "effect"), [("down", "confirmed"), ("up", "absent"), ("both", "confirmed")])
def test_the_way_that_is_restless_is_told(direction, effect):
    still = (1.0,) * 10
    before = Baseline(CALM.round_trips_ms, up_ms=still, down_ms=still)
    during = Measured(answered_ms=tuple(one + 1 for one in SPREAD), up_ms=still, down_ms=SPREAD)
    bite = fault(kind="jitter", jitter_ms=40, mean_ms=60, direction=direction).judge(before, during)
    assert bite.effect == effect
    assert bite.measured["direction"].startswith("measured up +0.0 ms, down +")


def test_two_ways_spread_more_than_one():
    asked = [
        fault(kind="jitter", jitter_ms=40, direction=way).judge(CALM, Measured(answered_ms=SPREAD)).measured
        for way in ("up", "both")
    ]
    assert asked[1]["asked_ms"] == pytest.approx(asked[0]["asked_ms"] * 2**0.5, abs=0.02)
    assert [one["direction"] for one in asked] == ["read back, not measured", "both"]
