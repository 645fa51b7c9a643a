from __future__ import annotations

from tests.chaos.faults.examples import fault


def test_all_leave_for_good_unless_told_otherwise():
    asked = fault(kind="mass-disconnect")
    assert (asked.begin, asked.group, asked.disconnects, asked.heals_intact) == ((), "cut", True, False)
    assert asked.asked == {"share": 1.0, "how": "rst"}
