from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured, Step, parse_fault

BEFORE = Baseline((1.0,) * 20, "answered", 9e7, 9e7, (1, 1, 1), 2.0)


def fault(**asked):
    return parse_fault(asked, "s.yaml", "f")


def test_the_listener_is_closed_and_open_again_at_once():
    asked = fault(kind="reset")
    assert (asked.begin, asked.end, asked.arms) == ((Step("disable"), Step("enable")), (Step("enable"),), True)


@pytest.mark.parametrize(
    ("before", "during", "effect"),
    [
        (BEFORE, Measured(ended="window", ended_how="reset"), "confirmed"),
        (BEFORE, Measured(ended="window", ended_how="eof"), "absent"),
        (BEFORE, Measured(answered_ms=(1.0,)), "absent"),
        (BEFORE, Measured(ended="before", ended_how="reset"), "not-probed"),
        (Baseline(), Measured(ended="window", ended_how="reset"), "not-probed"),
    ],
    ids=str,
)
def test_only_a_true_reset_is_one(before, during, effect):
    assert fault(kind="reset").judge(before, during).effect == effect
