from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured, parse_fault

BEFORE = Baseline((1.0,) * 5, "answered")
DOWN = parse_fault({"kind": "down"}, "s.yaml", "f")


@pytest.mark.parametrize(
    ("before", "during", "effect"),
    [
        (BEFORE, Measured(ended="window", ended_how="eof", fresh=("refused",) * 6), "confirmed"),
        (Baseline(fresh="answered"), Measured(fresh=("refused",)), "confirmed"),
        (BEFORE, Measured(fresh=("refused",), lost=1), "absent"),
        (BEFORE, Measured(ended="window", fresh=("refused", "answered")), "absent"),
        (BEFORE, Measured(ended="window", fresh=("eof",)), "absent"),
        (BEFORE, Measured(ended="window"), "not-probed"),
        (Baseline(fresh="refused"), Measured(fresh=("refused",)), "not-probed"),
    ],
    ids=str,
)
def test_refusals_and_the_end_of_the_live_one_are_the_proof(before, during, effect):
    assert DOWN.judge(before, during).effect == effect


def test_how_many_were_refused_is_what_was_measured():
    measured = DOWN.judge(BEFORE, Measured(ended="window", ended_how="eof", fresh=("refused",) * 6)).measured
    assert (measured["value"], measured["tried"], measured["live"]) == (6, 6, "eof")
