"""The plan is a pure function of phases and seed, and its rules hold however it came about."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
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
).map(lambda drawn: [*(PhaseSpec(f"p{i}", d, f) for i, (d, f) in enumerate(drawn)), PhaseSpec("end", 1)])


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
        ({"end_ms": 18000}, "overlaps"),
        ({"end_ms": 5000}, "overlaps"),
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
