from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured, Step
from tests.chaos.faults.examples import CALM, fault


def test_the_listener_is_closed_and_open_again_at_once():
    asked = fault(kind="reset")
    assert (asked.begin, asked.end, asked.arms) == ((Step("disable"), Step("enable")), (Step("enable"),), True)


@pytest.mark.parametrize(
    ("before", "during", "effect"),
    [
        (CALM, Measured(ended="window", ended_how="reset"), "confirmed"),
        (CALM, Measured(ended="window", ended_how="eof"), "absent"),
        (CALM, Measured(answered_ms=(1.0,)), "absent"),
        (CALM, Measured(ended="before", ended_how="reset"), "not-probed"),
        (Baseline(), Measured(ended="window", ended_how="reset"), "not-probed"),
    ],
    ids=str,
)
def test_only_a_true_reset_is_one(before, during, effect):
    assert fault(kind="reset").judge(before, during).effect == effect
