"""A failing plan shrinks to what its cause needs, in few re-runs, and every plan on the way keeps the rules of plans."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.plan import PhaseSpec, Plan, Window, make_plan
from chaos.shrink import LEAST_MS, Shrunk, closed_up, ddmin, numbered, shrink

CUTS = 24


def storm(seed: int = 1, cuts: int = CUTS) -> Plan:
    faults = [
        {"at_s": 1, "for_s": 2, "every_s": 5, "times": cuts, "any_of": [{"kind": "drop"}, {"kind": "down"}]},
    ]
    specs = [PhaseSpec("steady", 30), PhaseSpec("storm", 5.0 * cuts + 5, faults=faults), PhaseSpec("end", 60)]
    return make_plan(specs, seed)


def needs(*ids: str) -> Callable[[Plan], bool]:
    return lambda plan: set(ids) <= {window.id for window in plan.windows}


def ids(plan: Plan) -> list[str]:
    return [window.id for window in plan.windows]


@pytest.mark.parametrize("cause", range(1, CUTS + 1))
def test_one_cause_is_found_wherever_it_stands(cause: int) -> None:
    assert ids(shrink(storm(), needs(f"w{cause}")).plan) == [f"w{cause}"]


def test_one_cause_takes_fifteen_re_runs_at_most_in_the_median() -> None:
    counts = [len(shrink(storm(), needs(f"w{cause}")).tries) for cause in range(1, CUTS + 1)]
    assert statistics.median(counts) <= 15
    assert max(counts) <= 20


@settings(deadline=None)
@given(st.sets(st.integers(1, CUTS), min_size=2, max_size=5))
def test_several_causes_are_all_kept_and_nothing_else(causes: set[int]) -> None:
    wanted = [f"w{cause}" for cause in sorted(causes)]
    assert ids(shrink(storm(), needs(*wanted)).plan) == wanted


@settings(deadline=None)
@given(st.sets(st.integers(1, CUTS), min_size=1, max_size=8))
def test_of_several_that_each_suffice_one_is_left(causes: set[int]) -> None:
    def fails(plan: Plan) -> bool:
        return any(f"w{cause}" in ids(plan) for cause in causes)

    assert len(shrink(storm(), fails).plan.windows) == 1


def test_what_fails_without_any_fault_has_an_empty_plan() -> None:
    out = shrink(storm(), lambda _: True)
    assert out.plan.windows == ()
    assert len(out.tries) <= 8


def test_no_plan_is_played_twice_and_every_one_played_is_told() -> None:
    played: list[str] = []
    told = []

    def fails(plan: Plan) -> bool:
        played.append(plan.to_json())
        return needs("w3", "w20")(plan)

    out = shrink(storm(), fails, note=told.append)
    assert len(set(played)) == len(played) == len(out.tries)
    assert told == list(out.tries)
    assert [one.number for one in out.tries] == list(range(1, len(played) + 1))


@settings(deadline=None)
@given(st.integers(1, CUTS), st.integers(0, 3))
def test_every_plan_that_is_played_keeps_the_rules(cause: int, seed: int) -> None:
    def fails(plan: Plan) -> bool:
        assert Plan.from_json(plan.to_json()) == plan
        return needs(f"w{cause}")(plan)

    shrink(storm(seed), fails)


def test_kept_windows_stay_as_they_are() -> None:
    plan = storm()
    out = shrink(plan, needs("w5"), kept={"w9"})
    assert ids(out.plan) == ["w5", "w9"]
    kept = out.plan.windows[1]
    assert kept.end_ms - kept.start_ms == 2_000


def length_ms(window: Window) -> int:
    return window.end_ms - window.start_ms


@pytest.mark.parametrize(("needed_ms", "left_ms"), [(0, LEAST_MS), (900, 1_000), (1_900, 2_000)])
def test_a_window_gets_as_short_as_it_still_fails(needed_ms: int, left_ms: int) -> None:
    def fails(plan: Plan) -> bool:
        return any(window.id == "w4" and length_ms(window) >= needed_ms for window in plan.windows)

    out = shrink(storm(), fails)
    assert length_ms(out.plan.windows[0]) == left_ms
    assert length_ms(out.loose.windows[0]) == 2_000


def strengths(fault: dict[str, object], enough: Callable[[Window], bool]) -> Shrunk:
    plan = make_plan([PhaseSpec("steady", 5), PhaseSpec("f", 2, fault), PhaseSpec("end", 5)], 1)
    return shrink(plan, lambda one: any(enough(window) for window in one.windows))


def test_a_delay_is_halved_as_long_as_it_fails_and_its_jitter_with_it() -> None:
    fault = {"kind": "latency", "latency_ms": 400, "jitter_ms": 40}
    out = strengths(fault, lambda window: window.asked["latency_ms"] >= 90)
    assert (out.plan.windows[0].asked["latency_ms"], out.plan.windows[0].asked["jitter_ms"]) == (100, 10)


def test_a_thin_pipe_gets_wider_up_to_what_a_fault_may_ask() -> None:
    out = strengths({"kind": "bandwidth", "kb_per_s": 300}, lambda window: window.asked["kb_per_s"] >= 1)
    assert out.plan.windows[0].asked["kb_per_s"] == 600


def test_a_share_of_the_clients_gets_smaller_and_never_none() -> None:
    out = strengths({"kind": "mass-disconnect"}, lambda window: window.asked["share"] >= 0.1)
    assert out.plan.windows[0].asked["share"] == 0.125


def test_quiet_time_goes_and_faults_keep_theirs() -> None:
    plan = storm()
    few = replace(plan, windows=(plan.windows[3], plan.windows[20]))
    close = closed_up(few)
    assert [length_ms(window) for window in close.windows] == [2_000, 2_000]
    assert close.windows[1].start_ms - close.windows[0].end_ms == 5_000
    assert [phase.name for phase in close.phases] == ["steady", "storm", "end"]
    assert close.end_ms <= 5_000 + 5_000 + 2_000 + 5_000 + 2_000 + 5_000 + 10_000
    assert Plan.from_json(close.to_json()) == close


def test_where_time_is_needed_it_stays() -> None:
    plan = storm()
    out = shrink(plan, lambda one: needs("w2")(one) and one.end_ms == plan.end_ms)
    assert out.plan.end_ms == plan.end_ms


def test_windows_are_named_as_a_run_would_name_them() -> None:
    plan = storm()
    few = numbered(replace(plan, windows=(plan.windows[9], plan.windows[3])))
    assert ids(few) == ["w1", "w2"]
    assert few.windows[0].start_ms < few.windows[1].start_ms
    assert msgspec.structs.replace(few.windows[0], id="w4") == plan.windows[3]


@settings(deadline=None)
@given(st.lists(st.integers(), unique=True, min_size=1, max_size=30), st.data())
def test_ddmin_keeps_exactly_what_is_needed(items: list[int], data: st.DataObject) -> None:
    causes = set(data.draw(st.lists(st.sampled_from(items), min_size=1, max_size=4)))

    def fails(part: Sequence[int]) -> bool:
        return causes <= set(part)

    assert list(ddmin(items, fails)) == [item for item in items if item in causes]
