from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured
from tests.chaos.faults.examples import CALM, fault

INF = float("inf")


@pytest.mark.parametrize(
    ("before", "during", "effect"),
    [
        (CALM, Measured(closes_ms=(1_003.0, 1_004.0)), "confirmed"),
        (CALM, Measured(closes_ms=(502.0, 504.0)), "absent"),
        (CALM, Measured(closes_ms=(2.0,)), "absent"),
        (CALM, Measured(closes_ms=(INF,), close_waited_ms=900.0), "confirmed"),
        (CALM, Measured(closes_ms=(INF,), close_waited_ms=200.0), "not-probed"),
        (Baseline((1.0,)), Measured(closes_ms=(1_003.0,)), "not-probed"),
        (CALM, Measured(), "not-probed"),
    ],
    ids=str,
)
def test_the_time_until_the_other_half_closes_decides(before, during, effect):
    assert fault(kind="slow-close", delay_ms=500, direction="both").judge(before, during).effect == effect
