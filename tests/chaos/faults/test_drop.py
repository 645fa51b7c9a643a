from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured, Toxic, parse_fault

BEFORE = Baseline((1.0,) * 5, "answered")
DROP = parse_fault({"kind": "drop", "direction": "up"}, "s.yaml", "f")


def test_a_drop_is_a_timeout_that_never_fires():
    assert DROP.toxics == (Toxic("timeout", "upstream", (("timeout", 0),)),)


@pytest.mark.parametrize(
    ("during", "effect"),
    [
        (Measured(lost=4, ended="heal"), "confirmed"),
        (Measured(lost=4, ended="window"), "confirmed"),
        (Measured(lost=4), "not-probed"),
        (Measured(held_ms=(500.0,), after_ms=(1.0,)), "absent"),
        (Measured(answered_ms=(1.0,), lost=1, ended="heal"), "absent"),
        (Measured(ended="before"), "not-probed"),
    ],
    ids=str,
)
def test_lost_pings_and_an_end_are_the_proof(during, effect):
    assert DROP.judge(BEFORE, during).effect == effect
