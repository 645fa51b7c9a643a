from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured
from tests.chaos.faults.examples import CALM, fault


@pytest.mark.parametrize(
    ("direction", "before", "during", "effect"),
    [
        ("down", CALM, Measured(rate_down=7_950.0), "confirmed"),
        ("down", CALM, Measured(rate_down=9e6), "absent"),
        ("down", CALM, Measured(rate_up=7_950.0), "not-probed"),
        ("down", CALM, Measured(rate_down=2_000.0), "not-probed"),
        ("down", Baseline((1.0,), rate_down=9_000.0), Measured(rate_down=7_950.0), "not-probed"),
        ("up", CALM, Measured(rate_up=7_900.0), "confirmed"),
        ("both", CALM, Measured(rate_up=7_900.0, rate_down=7_900.0), "confirmed"),
        ("both", CALM, Measured(rate_up=7_900.0, rate_down=9e6), "absent"),
        ("both", CALM, Measured(rate_up=7_900.0), "not-probed"),
    ],
    ids=str,
)
def test_each_way_is_measured_by_itself(direction, before, during, effect):
    assert fault(kind="bandwidth", kb_per_s=8, direction=direction).judge(before, during).effect == effect


def test_a_burst_takes_about_a_second_and_ends_inside_the_window():
    assert fault(kind="bandwidth", kb_per_s=8).bursts(10_000) == [("down", 8_000)]
    assert fault(kind="bandwidth", kb_per_s=8, direction="both").bursts(1_000) == [("up", 2_400), ("down", 2_400)]


def test_measured_names_the_way_and_the_rate():
    bite = fault(kind="bandwidth", kb_per_s=8).judge(CALM, Measured(rate_down=7_950.0))
    assert (bite.measured["value"], bite.measured["direction"]) == (7.95, "measured down")
