"""What holds for every fault of the table."""

from __future__ import annotations

import json

import pytest

from chaos.faults import FAULTS, Acted, Baseline, Measured, parse_fault
from chaos.toxiproxy import ATTRIBUTES
from loadtests.errors import ConfigError
from tests.chaos.faults.examples import CALM, LEAST

ALL = [{"kind": kind, **LEAST.get(kind, {})} for kind in FAULTS]
every_fault = pytest.mark.parametrize("data", ALL, ids=lambda data: data["kind"])
UNHURT = Measured(
    answered_ms=(1.0,) * 20, after_ms=(1.0,), fresh=("answered",) * 3, rate_up=9e7, rate_down=9e7, reads=(1,) * 8,
    wide_ms=(1.0,) * 8, closes_ms=(2.0,) * 3, close_waited_ms=2.0, upgrades_ms=(3.0,) * 3, bytes_up=9_000, bytes_down=9_000, cycles=3,
    acted=Acted(lines=2, sessions=0, of=20), verified=False,
)  # fmt: skip

#: what one node feels and a canary on another one does not
UNFELT = {"node-kill"}


@every_fault
def test_kind_and_asked_are_the_whole_fault(data):
    fault = parse_fault(data, "s.yaml", "fault")
    assert parse_fault({"kind": fault.kind, **fault.asked}, "plan", "w1") == fault


@every_fault
def test_a_canary_that_saw_nothing_proves_nothing(data):
    bite = parse_fault(data, "s.yaml", "fault").judge(Baseline(), Measured())
    assert bite.effect == "not-probed"
    assert bite.measured["reason"]
    assert bite.measured.keys() >= {"what", "value", "unit"}


@pytest.mark.parametrize("data", [one for one in ALL if one["kind"] not in UNFELT], ids=lambda data: data["kind"])
def test_an_unhurt_canary_says_absent(data):
    assert parse_fault(data, "s.yaml", "fault").judge(CALM, UNHURT).effect == "absent"


@every_fault
def test_what_was_measured_can_be_written_down(data):
    fault = parse_fault(data, "s.yaml", "fault")
    for before, during in ((Baseline(), Measured()), (CALM, UNHURT)):
        json.dumps(fault.judge(before, during).measured, allow_nan=False)


@every_fault
def test_the_heal_undoes_exactly_what_was_applied(data):
    fault = parse_fault(data, "s.yaml", "fault")
    added = {step.toxic for step in fault.begin if step.do == "add"}
    if [step.do for step in fault.end] != ["renew"]:
        assert {step.toxic for step in fault.end if step.do == "remove"} == added
    assert not any(step.do == "add" for step in fault.end)
    if any(step.do == "disable" for step in (*fault.begin, *fault.end)):
        assert fault.end[-1].do == "enable"


@every_fault
def test_every_toxic_is_one_that_the_control_plane_sends(data):
    for toxic in parse_fault(data, "s.yaml", "fault").toxics:
        assert toxic.type in ATTRIBUTES
        assert dict(toxic.attributes).keys() == ATTRIBUTES[toxic.type].keys()
        assert all(value in ATTRIBUTES[toxic.type][name] for name, value in toxic.attributes)


@every_fault
def test_only_what_touches_a_listener_needs_one(data):
    fault = parse_fault(data, "s.yaml", "fault")
    assert bool(fault.begin) == (fault.place in {"listener", "handshake"} or fault.kind == "switch")


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
        ({"kind": "limitdata", "bytes": 5}, "f.kind", "did you mean 'limit-data'"),
        ({"kind": "jitter", "jitter_ms": 50, "mean_ms": 20}, "f", "more than mean_ms"),
        ({"kind": "bandwidth", "kb_per_s": 0}, "f.kb_per_s", ">= 1"),
        ({"kind": "bandwidth", "kb_per_s": 1001}, "f.kb_per_s", "<= 1000"),
        ({"kind": "slicer", "average_bytes": 4, "variation_bytes": 4}, "f", "less than average_bytes"),
        ({"kind": "slicer", "average_bytes": 0}, "f.average_bytes", ">= 1"),
        ({"kind": "limit-data", "bytes": 0}, "f.bytes", ">= 1"),
        ({"kind": "slow-close", "delay_ms": 99}, "f.delay_ms", ">= 100"),
        ({"kind": "flap", "down_ms": 99}, "f.down_ms", ">= 100"),
        ({"kind": "mass-disconnect", "how": "shout"}, "f.how", "shout"),
        ({"kind": "slow-consumer", "share": 0}, "f.share", "> 0"),
        ({"kind": "sleep", "share": 1.1}, "f.share", "<= 1"),
        ({"kind": "handshake", "fault": "flap"}, "f.fault", "flap"),
        ({"kind": "handshake", "fault": "latency"}, "f.with", "latency_ms"),
        ({"kind": "handshake", "fault": "jam", "with": 3}, "f.with", "object"),
        (
            {"kind": "handshake", "fault": "jam", "with": {"directon": "up"}},
            "f.with.directon",
            "did you mean 'direction'",
        ),
        ({"kind": "command", "apply": []}, "f.apply", "length >= 1"),
        ({"kind": "command", "apply": ["x"], "timeout_s": 601}, "f.timeout_s", "<= 600"),
    ],
    ids=str,
)
def test_a_wrong_fault_names_file_place_and_the_nearest(data, place, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse_fault(data, "s.yaml", "f")
    assert (caught.value.where, caught.value.place) == ("s.yaml", place)


@pytest.mark.parametrize(
    ("during", "effect"),
    [
        (Measured(answered_ms=(1.0,) * 5, ended="heal", reached=0), "absent"),
        (Measured(ended="heal", reached=0), "not-probed"),
    ],
    ids=["answered", "none sent"],
)
@pytest.mark.parametrize("kind", ["jam", "drop"])
def test_of_nothing_held_no_way_is_claimed(kind, during, effect):
    bite = parse_fault({"kind": kind, "direction": "up"}, "", "").judge(CALM, during)
    assert (bite.effect, bite.measured["direction"]) == (effect, "read back, not measured")


@pytest.mark.parametrize("kind", ["jam", "drop"])
@pytest.mark.parametrize(
    ("direction", "reached", "effect", "words"),
    [
        ("up", None, "confirmed", "read back, not measured"),
        ("up", 0, "confirmed", "measured up"),
        ("up", 2, "absent", "measured down"),
        ("down", 2, "confirmed", "measured down"),
        ("down", 0, "absent", "measured up"),
        ("both", 0, "confirmed", "measured up; down read back"),
        ("both", 1, "absent", "measured down"),
    ],
)
def test_what_arrived_at_the_backend_tells_which_way_was_closed(kind, direction, reached, effect, words):
    during = (
        Measured(held_ms=(600.0,), reached=reached)
        if kind == "jam"
        else Measured(lost=2, ended="heal", reached=reached)
    )
    bite = parse_fault({"kind": kind, "direction": direction}, "", "").judge(CALM, during)
    assert (bite.effect, bite.measured["direction"]) == (effect, words)
