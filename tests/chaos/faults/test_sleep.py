from __future__ import annotations

from tests.chaos.faults.examples import fault


def test_whoever_sleeps_holds_what_comes_and_has_it_whole_after():
    asked = fault(kind="sleep")
    assert (asked.begin, asked.holds, asked.heals_intact, asked.disconnects) == ((), True, True, False)
    assert asked.asked == {"share": 1.0}
