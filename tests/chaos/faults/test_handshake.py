from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured, Toxic
from tests.chaos.faults.examples import CALM, fault


def handshake(inner, **asked):
    return fault(kind="handshake", fault=inner, **({"with": asked} if asked else {}))


def test_it_wraps_the_toxics_of_another_fault():
    assert handshake("jam", direction="up").toxics == fault(kind="jam", direction="up").toxics
    assert handshake("reset").toxics == (Toxic("reset_peer", "upstream", (("timeout", 0),)),)


@pytest.mark.parametrize(
    ("asked", "during", "effect"),
    [
        (handshake("jam"), Measured(fresh=("silent",) * 2), "confirmed"),
        (handshake("jam"), Measured(fresh=("silent", "answered")), "absent"),
        (handshake("limit-data", bytes=60), Measured(fresh=("eof",) * 2), "confirmed"),
        (handshake("reset"), Measured(fresh=("reset", "eof")), "confirmed"),
        (handshake("latency", latency_ms=200), Measured(fresh=("answered",), upgrades_ms=(203.0,)), "confirmed"),
        (handshake("latency", latency_ms=200), Measured(fresh=("answered",), upgrades_ms=(3.0,)), "absent"),
        (handshake("jam"), Measured(), "not-probed"),
    ],
    ids=str,
)
def test_every_upgrade_tried_must_end_as_the_fault_makes_it(asked, during, effect):
    assert asked.judge(CALM, during).effect == effect


def test_a_door_that_was_shut_before_proves_nothing():
    assert handshake("jam").judge(Baseline(fresh="silent"), Measured(fresh=("silent",))).effect == "not-probed"


def test_a_slow_upgrade_is_waited_for():
    assert handshake("latency", latency_ms=3_000).patience_ms > 3_000
