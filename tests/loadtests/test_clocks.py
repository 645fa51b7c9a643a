"""Times of several hosts in one clock: what a round trip can say, and that nothing is off by more than it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.clocks import Alignment, Reading, RoundTrip, best, shifted, shifted_record
from loadtests.history import DTYPE

S = 1_000_000_000


@settings(deadline=None)
@given(
    ahead=st.integers(-(10**18), 10**18), there=st.lists(st.integers(1, 10**9), min_size=1, max_size=5), back=st.integers(1, 10**9)
)  # fmt: skip
def test_an_offset_is_recovered_within_its_bound_however_unlike_the_two_ways_are(
    ahead: int, there: list[int], back: int
) -> None:
    asked = 10**18 * 2
    trips = [RoundTrip(asked, asked - ahead + way, asked + way + back) for way in there]
    reading = best(trips)
    assert abs(reading.ahead_ns - ahead) <= reading.bound_ns
    assert reading.bound_ns <= (min(there) + back) // 2 + 1


def test_the_shortest_round_trip_is_believed() -> None:
    slow, quick = RoundTrip(0, 900, 1000), RoundTrip(2000, 2005, 2010)
    assert best([slow, quick]) == Reading(2005, 0, 6)


def test_a_clock_that_was_never_read_says_nothing() -> None:
    with pytest.raises(ValueError):
        best([])


DRIFTING = Alignment(Reading(100 * S, 40 * S, 1000), Reading(200 * S, 40 * S + 50_000, 3000))


@pytest.mark.parametrize(
    ("at_s", "ahead_ns"), [(0, 40 * S), (100, 40 * S), (150, 40 * S + 25_000), (200, 40 * S + 50_000), (900, 40 * S + 50_000)]
)  # fmt: skip
def test_between_two_readings_a_clock_drifts_evenly_and_beyond_them_not_at_all(at_s: int, ahead_ns: int) -> None:
    assert DRIFTING.ahead_at(at_s * S) == ahead_ns
    assert DRIFTING.to_master(at_s * S) == at_s * S - ahead_ns


def test_the_bound_covers_both_readings_and_the_drift_between_them() -> None:
    assert (DRIFTING.drift_ns, DRIFTING.bound_ns) == (50_000, 53_000)


@pytest.mark.parametrize(
    ("drift_ns", "jump_ns"), [(0, 0), (-104_000, 0), (104_000, 0), (104_001, 1), (-5 * S, 5 * S - 104_000)]
)
def test_what_no_clock_drifts_is_a_jump(drift_ns: int, jump_ns: int) -> None:
    """A tenth of a second may be off by 1000 ppm of it, and by what the two readings leave open."""
    one = Alignment(Reading(1000, 0, 1000), Reading(1000 + S // 10, drift_ns, 3000))
    assert one.jump_ns == jump_ns


@settings(deadline=None)
@given(st.lists(st.integers(1, 300 * S), max_size=20), st.integers(-(10**7), 10**7))
def test_rows_are_shifted_to_the_nanosecond_as_single_times_are(times: list[int], drift_ns: int) -> None:
    clock = Alignment(Reading(100 * S, -(10**15), 10), Reading(250 * S, -(10**15) + drift_ns, 10))
    rows = np.zeros(len(times), DTYPE)
    rows["received"] = times
    assert shifted(rows, clock)["received"].tolist() == [clock.to_master(one) for one in times]
    assert rows["sent"].tolist() == [0] * len(times)  # none was, and none is


def test_a_record_keeps_everything_but_its_time() -> None:
    assert shifted_record({"at_ns": 150 * S, "worker": "w"}, DRIFTING) == {"at_ns": 110 * S - 25_000, "worker": "w"}
    assert shifted_record({"worker": "w"}, DRIFTING) == {"worker": "w"}
