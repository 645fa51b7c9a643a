from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured, Step
from tests.chaos.faults.examples import CALM, fault


def test_it_goes_down_and_up_inside_the_window_and_is_down_first():
    asked = fault(kind="flap", down_ms=500, up_ms=1_500)
    assert asked.begin == (Step("disable"),)
    assert asked.between(4_200) == [
        (500, Step("enable")), (2_000, Step("disable")), (2_500, Step("enable")), (4_000, Step("disable")),
    ]  # fmt: skip
    assert asked.end == (Step("enable"),)


@pytest.mark.parametrize(
    ("before", "during", "effect"),
    [
        (CALM, Measured(ended="window", ended_how="eof", fresh=("refused",) * 3, cycles=3), "confirmed"),
        (
            CALM,
            Measured(ended="window", ended_how="eof", fresh=("refused", "answered", "refused"), cycles=3),
            "absent",
        ),
        (CALM, Measured(answered_ms=(1.0,), fresh=("answered",), cycles=1), "absent"),
        (CALM, Measured(ended="window", cycles=3), "not-probed"),
        (Baseline(fresh="refused"), Measured(fresh=("refused",) * 3, cycles=3), "not-probed"),
    ],
    ids=str,
)
def test_every_down_refuses(before, during, effect):
    assert fault(kind="flap").judge(before, during).effect == effect
