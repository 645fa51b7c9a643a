from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured
from tests.chaos.faults.examples import CALM, fault

PIECES = Measured(wide_ms=(18.0,) * 5, reads=(16, 15, 17, 16, 16))


@pytest.mark.parametrize(
    ("asked", "before", "during", "effect"),
    [
        ({}, CALM, PIECES, "confirmed"),
        ({}, CALM, Measured(wide_ms=(18.0,) * 5, reads=(1,) * 5), "absent"),
        ({}, CALM, Measured(wide_ms=(18.0,) * 5, reads=(4,) * 5), "not-probed"),
        ({}, CALM, Measured(wide_ms=(18.0,) * 2, reads=(16, 16)), "not-probed"),
        ({}, Baseline((1.0,), reads=(12,)), PIECES, "not-probed"),
        ({"direction": "up"}, CALM, Measured(wide_ms=(9.0,) * 5, reads=(1,) * 5), "confirmed"),
        ({"direction": "up"}, CALM, Measured(wide_ms=(1.5,) * 5, reads=(1,) * 5), "absent"),
        ({"direction": "up", "delay_us": 10}, CALM, Measured(wide_ms=(1.5,) * 5), "not-probed"),
    ],
    ids=str,
)
def test_pieces_are_counted_down_and_pauses_up(asked, before, during, effect):
    assert fault(kind="slicer", **asked).judge(before, during).effect == effect


def test_the_way_up_is_not_claimed_to_be_measured():
    directions = [
        fault(kind="slicer", direction=way).judge(CALM, PIECES).measured["direction"] for way in ("down", "up", "both")
    ]
    assert directions == ["measured down", "read back, not measured", "measured down; up read back"]
