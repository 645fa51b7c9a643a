from __future__ import annotations

import pytest

from chaos.faults import Measured, Step
from tests.chaos.faults.examples import CALM, fault


def test_it_heals_by_a_new_listener():
    """Toxics that hold bytes are not taken off one by one: that hangs Toxiproxy, or leaves a ghost of its own."""
    asked = fault(kind="half-open")
    assert [step.toxic.type for step in asked.begin] == ["bandwidth", "bandwidth", "slow_close", "slow_close"]
    assert asked.end == (Step("renew"),)


@pytest.mark.parametrize(
    ("during", "effect"),
    [
        (Measured(held_ms=(900.0,)), "confirmed"),
        (Measured(lost=3, ended="heal"), "confirmed"),
        (Measured(lost=3, ended="window"), "absent"),
        (Measured(answered_ms=(1.0,), lost=1), "absent"),
        (Measured(), "not-probed"),
    ],
    ids=str,
)
def test_silence_and_no_end_are_the_proof(during, effect):
    assert fault(kind="half-open").judge(CALM, during).effect == effect
