"""The plan is a pure function of phases and seed, and its rules hold however it came about."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.plan import PhaseSpec, Plan, make_plan
from loadtests.errors import ConfigError

LATENCY = {"kind": "latency", "latency_ms": 300, "jitter_ms": 20}
SMOKE = [
    PhaseSpec("warm-up", 5),
    PhaseSpec("latency", 10, LATENCY),
    PhaseSpec("recovery", 2.5),
    PhaseSpec("down", 3, {"kind": "down"}),
    PhaseSpec("cool-down", 5),
]
phases = st.lists(
    st.tuples(
        st.floats(0.1, 60), st.sampled_from([None, LATENCY, {"kind": "jam", "direction": "up"}, {"kind": "down"}])
    ),
    max_size=8,
).map(
    lambda drawn: [
        *(spec for i, (d, f) in enumerate(drawn) for spec in (PhaseSpec(f"p{i}", d, f), PhaseSpec(f"quiet{i}", 1))),
        PhaseSpec("end", 1),
    ]
)


def test_windows_fill_their_phases():
    plan = make_plan(SMOKE, 7)
    assert [(p.name, p.start_ms, p.end_ms) for p in plan.phases][-2:] == [
        ("down", 17500, 20500),
        ("cool-down", 20500, 25500),
    ]
    assert [(w.id, w.kind, w.cohort, w.phase, w.start_ms, w.end_ms) for w in plan.windows] == [
        ("w1", "latency", "treated", "latency", 5000, 15000),
        ("w2", "down", "treated", "down", 17500, 20500),
    ]
    assert plan.windows[0].asked == {"latency_ms": 300, "jitter_ms": 20, "direction": "down"}
    assert plan.windows[0].fault.kind == "latency"
    assert (plan.cohorts, plan.end_ms) == (("treated",), 25500)


@settings(deadline=None)
@given(phases, st.integers(0, 2**32))
def test_the_same_input_gives_the_same_bytes_and_reads_back(specs, seed):
    text = make_plan(specs, seed).to_json()
    assert make_plan(specs, seed).to_json() == text
    assert Plan.from_json(text).to_json() == text


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([], "at least one phase"),
        ([PhaseSpec("a", 0)], r"phases\[0\].duration"),
        ([PhaseSpec("a", 1), PhaseSpec("a", 1)], "stands twice"),
        ([PhaseSpec("a", 1, {"kind": "down"}, "control"), PhaseSpec("b", 1)], "control cohort"),
        ([PhaseSpec("a", 1), PhaseSpec("b", 1, {"kind": "down"})], "last phase"),
        (
            [PhaseSpec("a", 1, {"kind": "dwon"}), PhaseSpec("b", 1)],
            r"s\.yaml at phases\[0\].fault.kind.*did you mean 'down'",
        ),
    ],
)
def test_a_broken_rule_names_its_place(specs, words):
    with pytest.raises(ConfigError, match=words):
        make_plan(specs, 1, "s.yaml")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cohort": "control"}, "control cohort"),
        ({"cohort": "tablets"}, "nobody is in cohort 'tablets'"),
        ({"end_ms": 18000}, "500 ms from an edge"),
        ({"kind": "drop", "asked": {}, "end_ms": 19000}, "overlaps"),
        ({"end_ms": 5000}, "an end after its start"),
        ({"start_ms": 20500, "end_ms": 25500}, "last phase"),
        ({"kind": "nope"}, "unknown fault"),
        ({"asked": {"latency_ms": 0}}, "latency_ms"),
        ({"phase": "nope"}, "unknown phase"),
        ({"colour": "red"}, "unknown key"),
    ],
    ids=str,
)
def test_a_plan_file_is_held_to_the_rules_too(change, words):
    data = json.loads(make_plan(SMOKE, 1).to_json())
    data["windows"][0] |= change
    with pytest.raises(ConfigError, match=words):
        Plan.from_json(json.dumps(data))


def test_a_file_that_is_no_plan_is_named():
    with pytest.raises(ConfigError, match=r"plan\.json"):
        Plan.from_json("[")
    with pytest.raises(ConfigError, match="version 2"):
        Plan.from_json('{"schema": 2, "seed": 1, "phases": [], "windows": []}')


def test_rows_become_windows_numbered_by_time():
    row = {"at_s": 1, "for_s": 2, "every_s": 4, "times": 2, "fault": {"kind": "down"}}
    shape = {"at_s": 0, "for_s": 9, "fault": LATENCY}
    plan = make_plan([PhaseSpec("a", 5), PhaseSpec("b", 10, faults=[row, shape]), PhaseSpec("c", 5)], 1)
    assert [(w.id, w.kind, w.start_ms, w.end_ms, w.phase) for w in plan.windows] == [
        ("w1", "latency", 5000, 14000, "b"),
        ("w2", "down", 6000, 8000, "b"),
        ("w3", "down", 10000, 12000, "b"),
    ]


def test_what_is_optional_yields_where_it_may_not_stand():
    fixed = {"at_s": 2, "for_s": 3, "fault": {"kind": "down"}}
    many = {"at_s": 0, "for_s": 1, "every_s": 2, "times": 5, "any_of": [{"kind": "drop"}]}
    plan = make_plan([PhaseSpec("a", 10, faults=[many, fixed]), PhaseSpec("b", 5)], 1)
    assert [(w.kind, w.start_ms) for w in plan.windows] == [("drop", 0), ("down", 2000), ("drop", 6000), ("drop", 8000)]


@pytest.mark.parametrize("kind", ["backend-kill", "backend-pause", "backend-restart"])
def test_a_fault_on_the_backend_leaves_no_control(kind):
    phases = [PhaseSpec("a", 2, {"kind": kind}), PhaseSpec("b", 1)]
    plan = make_plan(phases, 1)
    assert (plan.scope, plan.listeners, Plan.from_json(plan.to_json()).scope) == ("backend", ("treated",), "backend")
    with pytest.raises(ConfigError, match="scope: backend"):
        make_plan(phases, 1, scope="cohort")
    with pytest.raises(ConfigError, match="everybody is treated"):
        make_plan([PhaseSpec("a", 2, {"kind": kind}, "other"), PhaseSpec("b", 1)], 1)


def test_listeners_that_a_plan_needs():
    door = {"kind": "handshake", "fault": "jam"}
    phases = [PhaseSpec("a", 2, door), PhaseSpec("q", 1), PhaseSpec("b", 2, {"kind": "switch"}), PhaseSpec("c", 1)]
    assert make_plan(phases, 1).listeners == ("treated", "treated-hs", "treated-alt")
    assert make_plan(phases, 1).armed == ()
    assert make_plan([PhaseSpec("a", 2, {"kind": "reset"}), PhaseSpec("c", 1)], 1).armed == ("treated",)


def test_ids_in_a_plan_file_must_differ():
    data = json.loads(make_plan(SMOKE, 1).to_json())
    data["windows"][1]["id"] = "w1"
    with pytest.raises(ConfigError, match="'w1' stands twice"):
        Plan.from_json(json.dumps(data))
