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


STILL = (1.0,) * 10
STALLED = (*STILL[1:], 200.0)


def judged(up_ms, down_ms, **asked):
    before = Baseline(CALM.round_trips_ms, up_ms=STILL, down_ms=STILL)
    during = Measured(tuple(up + down for up, down in zip(up_ms, down_ms, strict=True)), up_ms=up_ms, down_ms=down_ms)
    return fault(kind="jitter", **asked).judge(before, during)


@pytest.mark.parametrize(
    ("direction", "up_ms", "down_ms", "effect"),
    [
        ("down", STILL, SPREAD, "confirmed"),
        ("up", STILL, SPREAD, "absent"),
        ("both", STILL, SPREAD, "absent"),
        ("both", SPREAD[::-1], SPREAD, "confirmed"),
        ("down", STALLED, SPREAD, "confirmed"),  # whatever else one way does, the other was restless
    ],
)
def test_each_way_that_was_asked_must_be_restless_by_itself(direction, up_ms, down_ms, effect):
    bite = judged(up_ms, down_ms, jitter_ms=40, mean_ms=60, direction=direction)
    assert bite.effect == effect
    assert bite.measured["direction"].startswith("measured up +")


@pytest.mark.parametrize(("jitter_ms", "words"), [(4, "read back, not measured"), (10, "measured up +62.9 ms, down +")])
def test_of_a_jitter_too_small_for_so_few_pings_no_way_is_claimed(jitter_ms, words):
    bite = judged(STALLED, tuple(one * jitter_ms / 40 for one in SPREAD), jitter_ms=jitter_ms)
    assert bite.effect == "confirmed"
    assert bite.measured["direction"].startswith(words)


def test_who_was_restless_before_is_not_asked_which_way():
    before = Baseline(tuple(one + 1 for one in SPREAD), up_ms=STILL, down_ms=SPREAD)
    during = Measured(before.round_trips_ms, up_ms=STILL, down_ms=SPREAD)
    bite = fault(kind="jitter", jitter_ms=40, direction="up").judge(before, during)
    assert (bite.effect, bite.measured["direction"]) == ("not-probed", "read back, not measured")


def test_two_ways_spread_more_than_one():
    asked = [
        fault(kind="jitter", jitter_ms=40, direction=way).judge(CALM, Measured(answered_ms=SPREAD)).measured
        for way in ("up", "both")
    ]
    assert asked[1]["asked_ms"] == pytest.approx(asked[0]["asked_ms"] * 2**0.5, abs=0.02)
    assert [one["direction"] for one in asked] == ["read back, not measured", "both"]
