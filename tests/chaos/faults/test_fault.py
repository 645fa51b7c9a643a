"""What holds for every fault of the table."""

from __future__ import annotations

import pytest

from chaos.faults import FAULTS, Baseline, Measured, parse_fault
from loadtests.errors import ConfigError

LEAST = {"latency": {"latency_ms": 100}}
ALL = [{"kind": kind, **LEAST.get(kind, {})} for kind in FAULTS]


@pytest.mark.parametrize("data", ALL, ids=lambda data: data["kind"])
def test_kind_and_asked_are_the_whole_fault(data):
    fault = parse_fault(data, "s.yaml", "fault")
    assert parse_fault({"kind": fault.kind, **fault.asked}, "plan", "w1") == fault


@pytest.mark.parametrize("data", ALL, ids=lambda data: data["kind"])
def test_a_canary_that_saw_nothing_proves_nothing(data):
    bite = parse_fault(data, "s.yaml", "fault").judge(Baseline(), Measured())
    assert bite.effect == "not-probed"
    assert bite.measured["reason"]
    assert bite.measured.keys() >= {"what", "value", "unit"}


@pytest.mark.parametrize("data", ALL, ids=lambda data: data["kind"])
def test_an_unhurt_canary_says_absent(data):
    unhurt = Measured(answered_ms=(1.0,) * 20, after_ms=(1.0,), fresh=("answered",) * 3)
    assert parse_fault(data, "s.yaml", "fault").judge(Baseline((1.0,) * 20, "answered"), unhurt).effect == "absent"


@pytest.mark.parametrize("data", ALL, ids=lambda data: data["kind"])
def test_a_fault_either_disables_or_has_toxics_and_either_cuts_or_heals(data):
    fault = parse_fault(data, "s.yaml", "fault")
    assert fault.disables != bool(fault.toxics)
    assert fault.disconnects != fault.heals_intact


@pytest.mark.parametrize(
    ("data", "place", "words"),
    [
        ({}, "f.kind", "no kind"),
        ({"kind": "latencyy"}, "f.kind", "did you mean 'latency'"),
        ({"kind": ["jam"]}, "f.kind", "unknown fault"),
        ({"kind": "jam", "directon": "up"}, "f.directon", "did you mean 'direction'"),
        ({"kind": "jam", "direction": "sideways"}, "f.direction", "sideways"),
        ({"kind": "down", "direction": "up"}, "f.direction", "unknown key"),
        ({"kind": "drop", "toxicity": 0.5}, "f.toxicity", "unknown key"),
    ],
    ids=str,
)
def test_a_wrong_fault_names_file_place_and_the_nearest(data, place, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse_fault(data, "s.yaml", "f")
    assert (caught.value.where, caught.value.place) == ("s.yaml", place)
