from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured, Toxic, parse_fault

BEFORE = Baseline((1.0,) * 5, "answered")
JAM = parse_fault({"kind": "jam"}, "s.yaml", "f")


def test_a_jam_holds_bytes_by_a_rate_of_nothing():
    assert JAM.toxics == tuple(Toxic("bandwidth", stream, (("rate", 0),)) for stream in ("upstream", "downstream"))
    assert [t.stream for t in parse_fault({"kind": "jam", "direction": "down"}, "", "").toxics] == ["downstream"]


@pytest.mark.parametrize(
    ("during", "effect", "intact"),
    [
        (Measured(held_ms=(600.0, 350.0), after_ms=(1.0,)), "confirmed", True),
        (Measured(held_ms=(600.0,), lost=1, ended="heal"), "confirmed", False),
        (Measured(lost=3, ended="window"), "confirmed", False),
        (Measured(answered_ms=(1.0,), held_ms=(3.0,)), "absent", True),
        (Measured(ended="before"), "not-probed", False),
    ],
    ids=str,
)
def test_pings_that_wait_for_the_heal_are_the_proof(during, effect, intact):
    bite = JAM.judge(BEFORE, during)
    assert (bite.effect, bite.measured["intact"]) == (effect, intact)


def test_the_longest_hold_is_what_was_measured():
    assert JAM.judge(BEFORE, Measured(held_ms=(600.0, 350.0))).measured["value"] == 600.0
