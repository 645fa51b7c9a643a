from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured, Toxic, parse_fault
from loadtests.errors import ConfigError

BEFORE = Baseline((1.0, 1.1, 0.9, 1.0, 1.0), "answered")


def latency(**asked):
    return parse_fault({"kind": "latency", **asked}, "s.yaml", "f")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "latency_ms"),
        ({"latency_ms": 0}, ">= 1"),
        ({"latency_ms": 60_001}, "<= 60000"),
        ({"latency_ms": 1.5}, "int"),
        ({"latency_ms": 10, "jitter_ms": -1}, ">= 0"),
        ({"latency_ms": 10, "jitter_ms": 11}, "more than latency_ms"),
        ({"latency": 10}, "did you mean 'latency_ms'"),
    ],
    ids=str,
)
def test_bounds(asked, words):
    with pytest.raises(ConfigError, match=words):
        latency(**asked)


def test_both_directions_are_two_toxics():
    attributes = (("jitter", 5), ("latency", 60))
    assert latency(latency_ms=60, jitter_ms=5, direction="both").toxics == (
        Toxic("latency", "upstream", attributes),
        Toxic("latency", "downstream", attributes),
    )


@pytest.mark.parametrize(
    ("asked", "pings", "effect"),
    [
        ({"latency_ms": 100}, (101.6,) * 10, "confirmed"),
        ({"latency_ms": 100}, (90.0,) * 10, "absent"),
        ({"latency_ms": 100}, (1.0,) * 10, "absent"),
        ({"latency_ms": 100}, (101.0,) * 7 + (400.0,) * 6, "confirmed"),
        ({"latency_ms": 100}, (150.0,) * 10, "not-probed"),
        ({"latency_ms": 100}, (101.0,) * 2, "not-probed"),
        ({"latency_ms": 10}, (12.0,) * 10, "confirmed"),
        ({"latency_ms": 10}, (8.0,) * 10, "absent"),
        ({"latency_ms": 60, "direction": "both"}, (122.0,) * 10, "confirmed"),
        ({"latency_ms": 60, "direction": "both"}, (62.0,) * 10, "absent"),
        ({"latency_ms": 50, "jitter_ms": 20}, (31.0, 71.0, 51.0, 60.0, 42.0), "confirmed"),
        ({"latency_ms": 50, "jitter_ms": 20}, (11.0, 21.0, 1.0, 10.0, 12.0), "absent"),
    ],
    ids=str,
)
def test_the_added_round_trip_decides(asked, pings, effect):
    assert latency(**asked).judge(BEFORE, Measured(answered_ms=pings)).effect == effect


def test_measured_stands_beside_asked():
    bite = latency(latency_ms=100).judge(BEFORE, Measured(answered_ms=(102.0,) * 10))
    assert bite.measured["value"] == 101.0
    assert (bite.measured["asked_ms"], bite.measured["unit"]) == (100.0, "ms")


def ways(before_ms: float, up_ms: float, down_ms: float):
    before = Baseline((2 * before_ms,) * 5, up_ms=(before_ms,) * 5, down_ms=(before_ms,) * 5)
    return before, Measured(answered_ms=(up_ms + down_ms,) * 8, up_ms=(up_ms,) * 8, down_ms=(down_ms,) * 8)


@pytest.mark.parametrize(
    ("direction", "up_ms", "down_ms", "effect"),
    [
        ("down", 0.5, 101.0, "confirmed"),
        ("down", 101.0, 0.5, "absent"),
        ("down", 50.5, 50.5, "absent"),
        ("up", 101.0, 0.5, "confirmed"),
        ("up", 0.5, 101.0, "absent"),
        ("both", 101.0, 101.0, "confirmed"),
        ("both", 200.0, 1.0, "absent"),
        ("both", 85.0, 100.0, "confirmed"),
    ],
)
def test_each_way_is_measured_where_the_backend_says_when_pings_arrived(direction, up_ms, down_ms, effect):
    bite = latency(latency_ms=100, direction=direction).judge(*ways(0.5, up_ms, down_ms))
    assert bite.effect == effect
    assert bite.measured["direction"] == f"measured up {up_ms - 0.5:+.1f} ms, down {down_ms - 0.5:+.1f} ms"


def test_one_ping_that_was_stalled_before_takes_nothing_from_its_way():
    before = Baseline((1.0,) * 4 + (400.5,), up_ms=(0.5,) * 4 + (400.0,), down_ms=(0.5,) * 5)
    during = Measured((100.0,) * 8, up_ms=(99.5,) * 8, down_ms=(0.5,) * 8)
    bite = latency(latency_ms=100, jitter_ms=20, direction="up").judge(before, during)
    assert (bite.effect, bite.measured["direction"]) == ("confirmed", "measured up +99.0 ms, down +0.0 ms")


def test_a_delay_on_the_way_that_was_not_asked_says_so():
    assert (
        latency(latency_ms=100).judge(*ways(0.5, 101.0, 0.5)).measured["reason"]
        == "not all of it went the way that was asked"
    )


def test_without_a_baseline_nothing_is_claimed():
    assert (
        latency(latency_ms=100).judge(Baseline((1.0,) * 4), Measured(answered_ms=(102.0,) * 9)).effect == "not-probed"
    )
