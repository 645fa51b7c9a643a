"""Rows of faults become windows: once, again and again, at times and with numbers that the seed chooses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.schedule import draw
from loadtests.errors import ConfigError

JAM = {"kind": "jam"}


def windows(*rows, phase_s=60, seed=1):
    return draw(rows, phase_s, seed, "phase", "s.yaml", "phases[0].faults")


def test_without_numbers_a_fault_fills_its_phase():
    (one,) = windows({"fault": JAM})
    assert (one.start_ms, one.end_ms, one.cohort, one.fault.kind, one.optional) == (0, 60_000, "treated", "jam", False)


def test_a_row_can_come_again_and_again():
    found = windows({"at_s": 2, "for_s": 3, "every_s": 10, "times": 3, "cohort": "other", "fault": JAM})
    assert [(one.start_ms, one.end_ms) for one in found] == [(2000, 5000), (12000, 15000), (22000, 25000)]
    assert {one.cohort for one in found} == {"other"}


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_times_and_numbers_lie_between_their_bounds_and_are_the_seeds(seed):
    row = {
        "at_s": [1, 3],
        "for_s": [2, 4],
        "every_s": [6, 8],
        "times": 4,
        "fault": {"kind": "limit-data", "bytes": [100, 900]},
    }
    found = windows(row, seed=seed)
    assert found == windows(row, seed=seed)
    assert 1000 <= found[0].start_ms <= 3000
    assert all(2000 <= one.end_ms - one.start_ms <= 4001 for one in found)
    assert all(100 <= one.fault.bytes <= 900 for one in found)


def test_another_seed_chooses_otherwise():
    row = {"at_s": [0, 30], "for_s": 1, "fault": JAM}
    assert len({windows(row, seed=seed)[0].start_ms for seed in range(20)}) > 15


def test_each_kind_of_many_is_in_or_out_as_a_whole():
    kinds = ["jam", "drop", "down", "reset"]
    row = {"for_s": 1, "every_s": 2, "times": 20, "chance": 0.5, "any_of": [{"kind": kind} for kind in kinds]}
    chosen = [frozenset(one.fault.kind for one in windows(row, seed=seed)) for seed in range(200)]
    assert all(chosen)
    assert len(set(chosen)) > 10
    assert all(80 <= sum(kind in one for one in chosen) <= 130 for kind in kinds)
    assert all(one.optional for one in windows(row))


@pytest.mark.parametrize(
    ("row", "place", "words"),
    [
        ({}, "phases[0].faults[0]", "exactly one"),
        ({"fault": JAM, "any_of": [JAM]}, "phases[0].faults[0]", "exactly one"),
        ({"fualt": JAM}, "phases[0].faults[0].fualt", "did you mean 'fault'"),
        ({"fault": {"kind": "jma"}}, "phases[0].faults[0].fault.kind", "did you mean 'jam'"),
        (
            {"any_of": [JAM, {"kind": "jma"}], "chance": 0.01},
            "phases[0].faults[0].any_of[1].kind",
            "did you mean 'jam'",
        ),
        ({"fault": JAM, "times": 2}, "phases[0].faults[0].times", "every_s"),
        ({"fault": JAM, "at_s": 59, "for_s": 2}, "phases[0].faults[0]", "within its phase of 60 s"),
        ({"fault": JAM, "for_s": 0}, "phases[0].faults[0]", "within its phase"),
        ({"fault": JAM, "at_s": [1]}, "phases[0].faults[0].at_s", "length"),
        ({"fault": {"kind": "latency", "latency_ms": [9, 1]}}, "phases[0].faults[0].fault.latency_ms", "int"),
    ],
    ids=str,
)
def test_a_mistake_names_its_place(row, place, words):
    with pytest.raises(ConfigError, match=words) as caught:
        windows(row)
    assert (caught.value.where, caught.value.place) == ("s.yaml", place)
