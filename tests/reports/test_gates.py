"""Gates: bounds on proportions, three outcomes, and what never is a pass."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from loadtests.contract import load
from loadtests.contract.schema import GateRule
from loadtests.metrics import Gate, parse_gates
from reports.gates import Measured, bounds, judge_gate, percentile, turns_needed

REFERENCE = load("reference")
PHASES = ("steady", "down")
STARTED = f"event:{REFERENCE.name_of('started')}"
DONE = f"event:{REFERENCE.name_of('done')}"


def gate(metric: str, rule: str, severity: Any = "fail") -> Gate:
    rules = {metric: [GateRule(rule=rule, severity=severity)]}
    (one,) = parse_gates(rules, REFERENCE, PHASES, "here", faults=["w1", "latency", "w2", "w3", "down", "jam"])
    return one


def turns(total_ms: list[float], **columns: Any) -> pd.DataFrame:
    """Turns of the phase steady that ended well, infinite ones by a time-out."""
    values = np.array(total_ms, dtype=float)
    frame = pd.DataFrame(
        {
            "total_ms": np.where(np.isfinite(values), values, np.nan),
            STARTED: np.where(np.isfinite(values), values, np.nan),
            DONE: np.where(np.isfinite(values), values + 10, np.nan),
            "outcome": np.where(np.isfinite(values), "ok", "timeout"),
            "phase": "steady", "place": "clear", "cohort": "control",
        }
    )  # fmt: skip
    return frame.assign(**columns)


def measured(frame: pd.DataFrame | None = None, **changes: Any) -> Measured:
    connections = pd.DataFrame({"ready_ms": [], "ours": [], "never_ready": [], "phase": [], "place": [], "cohort": []})
    outages = pd.DataFrame({"recovery_s": [], "censored": [], "cohort": [], "phase": []})
    base = Measured(
        turns=turns([]) if frame is None else frame,
        connections=connections.astype({"ours": bool, "never_ready": bool, "ready_ms": float}),
        outages=outages.astype({"censored": bool, "recovery_s": float}),
        planned=pd.DataFrame({"phase": ["steady"] * 100, "cohort": "control", "place": "clear", "sent": True}),
        findings={"order": 0}, phases=frozenset(PHASES), cohorts=frozenset({"control"}), cuts=True, unfit="", unproven="",
    )  # fmt: skip
    return replace(base, **changes)


# -- bounds ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 400), st.integers(1, 400))
def test_bounds_are_the_one_sided_ones_of_clopper_and_pearson(bad: int, samples: int) -> None:
    bad = min(bad, samples)
    lower, upper = bounds(bad, samples)
    assert lower == pytest.approx(binomtest(bad, samples, alternative="greater").proportion_ci(0.95).low, abs=1e-9)
    assert upper == pytest.approx(binomtest(bad, samples, alternative="less").proportion_ci(0.95).high, abs=1e-9)
    assert lower <= bad / samples <= upper


@pytest.mark.parametrize(
    ("bad", "samples", "upper"), [(0, 59, 0.0495), (0, 58, 0.0503), (0, 28, 0.1015), (0, 29, 0.0981), (0, 299, 0.00997)]
)
def test_known_upper_bounds(bad: int, samples: int, upper: float) -> None:
    """1 - 0.05 ** (1 / n): 59 turns without a bad one are the fewest that show at most 5 %."""
    assert bounds(bad, samples)[1] == pytest.approx(upper, abs=6e-5)


def test_no_bad_sample_and_only_bad_samples_have_the_outermost_bounds() -> None:
    assert bounds(0, 10)[0] == 0.0
    assert bounds(10, 10)[1] == 1.0


@pytest.mark.parametrize(("bad", "samples", "share", "needed"), [(0, 0, 0.05, 59), (0, 10, 0.1, 29), (0, 1, 0.01, 299)])
def test_turns_needed_without_a_bad_one_is_the_known_number(bad: int, samples: int, share: float, needed: int) -> None:
    assert turns_needed(bad, samples, share) == needed


@given(st.integers(1, 60), st.integers(20, 400), st.sampled_from([0.05, 0.1, 0.01]))
def test_turns_needed_decides_if_the_share_stays(bad: int, samples: int, share: float) -> None:
    bad = min(bad, samples)
    needed = turns_needed(bad, samples, share)
    if needed is not None:
        lower, upper = bounds(round(bad / samples * needed), needed)
        assert upper <= share or lower > share


def test_nothing_decides_on_the_edge_or_without_tolerance() -> None:
    assert turns_needed(5, 100, 0.05) is None
    assert turns_needed(0, 10, 0.0) is None


# -- percentile --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([1, 2, 3, 4], 0.5, 2), ([1, 2, 3, 4], 0.51, 3), ([1, 2, 3, 4], 0.75, 3), ([7], 0.99, 7), ([1, math.inf], 0.95, math.inf)],
)  # fmt: skip
def test_a_percentile_is_always_an_observed_value(values: list[float], share: float, expected: float) -> None:
    assert percentile(np.array(values, dtype=float), share) == expected


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile(np.array([]), 0.5) is None


# -- outcomes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "bad", "verdict"),
    [(59, 0, "pass"), (58, 0, "unknown"), (100, 0, "pass"), (100, 1, "pass"), (92, 1, "pass"), (91, 1, "unknown"),
     (90, 5, "unknown"), (90, 10, "fail"), (0, 1, "unknown"), (0, 2, "fail"), (0, 0, "unknown")],
)  # fmt: skip
@pytest.mark.parametrize("bad_ms", [2000.0, math.inf])
def test_a_latency_gate_passes_fails_or_cannot_say(good: int, bad: int, verdict: str, bad_ms: float) -> None:
    """Being late and never coming are equally bad."""
    frame = turns([100.0] * good + [bad_ms] * bad)
    for metric in ("turn.total", f"event.{REFERENCE.name_of('started')}"):
        result = judge_gate(gate(metric, "p(95)<1000"), measured(frame))
        assert (result.verdict, result.samples, result.bad) == (verdict, good + bad, bad), result


@pytest.mark.parametrize(("good", "bad", "verdict"), [(59, 0, "pass"), (58, 0, "unknown"), (90, 12, "fail")])
def test_a_share_gate_follows_the_same_bounds(good: int, bad: int, verdict: str) -> None:
    frame = turns([100.0] * good + [math.inf] * bad)
    assert judge_gate(gate("turn.success", "rate>0.95"), measured(frame)).verdict == verdict
    planned = pd.DataFrame({"sent": [True] * good + [False] * bad})
    assert judge_gate(gate("arrivals.achieved", "rate>0.95"), measured(planned=planned)).verdict == verdict


def test_an_event_that_never_came_has_no_observed_number_and_stays_in_the_samples() -> None:
    result = judge_gate(gate("turn.total", "p(95)<1000"), measured(turns([100.0] * 50 + [math.inf] * 50)))
    assert (result.verdict, result.observed, result.bad) == ("fail", None, 50)


@pytest.mark.parametrize(("op", "verdict"), [("<", "fail"), ("<=", "pass")])
def test_the_limit_itself_is_bad_only_under_a_strict_rule(op: str, verdict: str) -> None:
    assert judge_gate(gate("turn.total", f"p(95){op}100"), measured(turns([100.0] * 80))).verdict == verdict


def test_censored_turns_are_neither_good_nor_bad() -> None:
    frame = pd.concat(
        [turns([100.0] * 59), turns([math.inf] * 40, outcome="cut"), turns([math.inf], outcome="in-doubt")]
    )
    for metric, rule in (("turn.total", "p(95)<1000"), ("turn.success", "rate>0.95")):
        result = judge_gate(gate(metric, rule), measured(frame))
        assert (result.verdict, result.samples) == ("pass", 59)


def test_a_failed_turn_is_bad_however_quick_it_was() -> None:
    result = judge_gate(gate("turn.total", "p(95)<1000"), measured(turns([100.0] * 80, outcome="failed")))
    assert (result.verdict, result.bad) == ("fail", 80)


@pytest.mark.parametrize(
    ("outcome", "samples", "bad"),
    [("degraded", 80, 0), ("refused", 80, 0), ("throttled", 60, 0), ("cancelled", 60, 0), ("rejected", 60, 0), ("failed", 80, 20),
     ("abandoned", 80, 20)],
)  # fmt: skip
def test_an_answer_of_another_kind_is_no_failure_and_a_quota_is_no_answer(outcome: str, samples: int, bad: int) -> None:
    frame = pd.concat([turns([100.0] * 60), turns([100.0] * 20, outcome=outcome)], ignore_index=True)
    for metric, rule in (("turn.success", "rate>0.5"), ("turn.total", "med<1000")):
        result = judge_gate(gate(metric, rule), measured(frame))
        assert (result.samples, result.bad) == (samples, bad), metric


@pytest.mark.parametrize("outcome", ["degraded", "refused"])
def test_what_a_refusal_does_not_show_is_no_latency(outcome: str) -> None:
    """A turn that was refused has no tools to wait for; one that ended well and lacks them has."""
    lacking = turns([100.0] * 20, outcome=outcome).assign(**{STARTED: math.nan})
    frame = pd.concat([turns([100.0] * 60), lacking], ignore_index=True)
    started = REFERENCE.name_of("started")
    for metric in (f"event.{started}", f"gap.{started}.{REFERENCE.name_of('done')}"):
        assert judge_gate(gate(metric, "p(95)<1000"), measured(frame)).samples == 60
    whole = judge_gate(gate(f"event.{REFERENCE.name_of('done')}", "p(95)<1000"), measured(frame))
    assert whole.samples == 80
    lost = frame.assign(outcome="ok")
    assert judge_gate(gate(f"event.{started}", "p(95)<1000"), measured(lost)).bad == 20


def test_a_quota_leaves_nothing_to_say_of_turns() -> None:
    data = measured(turns([5000.0] * 80), quota="you measured the quota: 90 of 170 turns were throttled")
    for metric, rule in (("turn.total", "p(95)<1000"), ("turn.success", "rate>0.9")):
        result = judge_gate(gate(metric, rule), data)
        assert (result.verdict, result.reason) == ("unknown", data.quota)
    assert judge_gate(gate("arrivals.achieved", "rate>0.9"), data).verdict == "pass"
    assert judge_gate(gate("findings.order", "count==0"), data).verdict == "pass"


def streamed(**columns: Any) -> pd.DataFrame:
    return turns([100.0] * 60).assign(chunks=10, ttft_ms=40.0, stall_ms=90.0, chunks_per_s=30.0, **columns)


@pytest.mark.parametrize(
    ("metric", "rule", "verdict", "observed"),
    [("stream.ttft", "p(95)<50", "pass", 40.0), ("stream.ttft", "p(95)<40", "fail", 40.0), ("stream.stall", "p(95)<=90", "pass", 90.0),
     ("stream.rate", "p(5)>20", "pass", 30.0), ("stream.rate", "p(5)>30", "fail", 30.0), ("stream.rate", "med>=30", "pass", 30.0)],
)  # fmt: skip
def test_streams_are_judged_turn_by_turn(metric: str, rule: str, verdict: str, observed: float) -> None:
    result = judge_gate(gate(metric, rule), measured(streamed()))
    assert (result.verdict, result.observed, result.samples) == (verdict, observed, 60)


def test_gaps_of_streams_are_judged_one_by_one() -> None:
    gaps = streamed().assign(gap_ms=25.0)
    data = measured(streamed(), gaps=lambda: pd.concat([gaps] * 9, ignore_index=True))
    result = judge_gate(gate("stream.gap{phase:steady}", "p(95)<30"), data)
    assert (result.verdict, result.samples) == ("pass", 540)


def test_a_turn_without_a_chunk_counts_only_where_one_is_demanded() -> None:
    frame = streamed().assign(ttft_ms=math.nan, chunks=0)
    assert judge_gate(gate("stream.ttft", "p(95)<50"), measured(frame)).samples == 0
    assert judge_gate(gate("stream.ttft", "p(95)<50"), measured(frame, demands_stream=True)).bad == 60


def test_a_gap_is_the_time_between_two_events() -> None:
    metric = f"gap.{REFERENCE.name_of('started')}.{REFERENCE.name_of('done')}"
    result = judge_gate(gate(metric, "p(95)<20"), measured(turns([500.0] * 60)))
    assert (result.verdict, result.observed) == ("pass", 10.0)


def test_labels_select_and_fault_none_means_clear_of_every_fault() -> None:
    hit = turns([9000.0] * 40, place="during", phase="down", cohort="treated")
    frame = pd.concat([turns([100.0] * 60), hit])
    data = measured(frame, cohorts=frozenset({"control", "treated"}))
    for metric, samples in (
        ("turn.total{phase:steady}", 60), ("turn.total{fault:none}", 60), ("turn.total{cohort:treated}", 40),
        ("turn.total{phase:down,cohort:treated}", 40), ("turn.total", 100),
    ):  # fmt: skip
        assert judge_gate(gate(metric, "p(95)<1000"), data).samples == samples


def test_a_fault_by_window_or_kind_selects_what_stands_in_it_or_in_its_grace() -> None:
    places = [
        ("w1", "during", 7),
        ("w1", "grace", 5),
        ("w2", "during", 3),
        ("w3", "grace", 2),
        ("", "before", 30),
        ("", "after", 10),
    ]
    frame = pd.concat([turns([100.0] * n, fault=id_, place=place) for id_, place, n in places])
    data = measured(frame, faults={"w1": "latency", "w2": "down", "w3": "down"})
    wanted = {"w1": 12, "latency": 12, "w2": 3, "w3": 2, "down": 5, "none": 40}
    assert {one: judge_gate(gate(f"turn.total{{fault:{one}}}", "med<1000"), data).samples for one in wanted} == wanted
    absent = judge_gate(gate("turn.total{fault:jam}", "med<1000"), data)
    assert (absent.verdict, absent.reason) == ("not-checked", "this run has no fault jam")


def test_a_recovery_belongs_to_the_fault_that_cut_it() -> None:
    outages = pd.DataFrame({"recovery_s": [1.0] * 9, "censored": False, "fault": ["w1"] * 4 + ["w2"] * 3 + [""] * 2})
    data = measured(outages=outages, faults={"w1": "down", "w2": "drop"})
    wanted = {"w1": 4, "down": 4, "w2": 3, "none": 2}
    found = {one: judge_gate(gate(f"recovery.session{{fault:{one}}}", "med<9000"), data).samples for one in wanted}
    assert found == wanted


def test_no_samples_are_unknown_and_never_a_pass() -> None:
    for metric, rule in (
        ("turn.total", "p(95)<1000"), ("turn.success", "rate>0.95"), ("connect.ready", "p(90)<2000"),
        ("recovery.session", "p(90)<8000"), ("turn.total{phase:down}", "med<10"),
    ):  # fmt: skip
        result = judge_gate(gate(metric, rule), measured())
        assert (result.verdict, result.reason, result.interval) == ("unknown", "no samples", None)


@pytest.mark.parametrize(
    ("metric", "changes", "reason"),
    [
        ("turn.total{phase:down}", {"phases": frozenset({"steady"})}, "no phase down"),
        ("turn.total{cohort:treated}", {}, "no cohort treated"),
        ("recovery.session", {"cuts": False}, "no fault"),
    ],
)
def test_what_the_run_does_not_have_is_not_checked(metric: str, changes: dict[str, Any], reason: str) -> None:
    result = judge_gate(gate(metric, "p(95)<1000"), measured(turns([100.0] * 80), **changes))
    assert (result.verdict, result.samples) == ("not-checked", 0)
    assert reason in result.reason


@pytest.mark.parametrize("bad_ms", [100.0, 5000.0])
def test_an_unfit_generator_makes_timing_unknown_and_nothing_else(bad_ms: float) -> None:
    data = measured(turns([bad_ms] * 80), unfit="its loop was late", findings={"order": 3})
    assert judge_gate(gate("turn.total", "p(95)<1000"), data).verdict == "unknown"
    assert judge_gate(gate("arrivals.achieved", "rate>0.9"), data).verdict == "unknown"
    assert judge_gate(gate("turn.success", "rate>0.9"), data).verdict == "pass"
    assert judge_gate(gate("findings.order", "count==0"), data).verdict == "fail"


@pytest.mark.parametrize(("recovery_s", "verdict"), [(1.0, "unknown"), (20.0, "fail")])
def test_a_fault_without_effect_takes_away_recovery_claims_but_not_a_broken_one(
    recovery_s: float, verdict: str
) -> None:  # fmt: skip
    outages = pd.DataFrame({"recovery_s": [recovery_s] * 60, "censored": False, "cohort": "control", "phase": "down"})
    data = measured(outages=outages, unproven="w1 (down): absent")
    assert judge_gate(gate("recovery.session", "p(90)<8000"), data).verdict == verdict
    assert judge_gate(gate("turn.total", "p(95)<1000"), replace(data, turns=turns([1.0] * 60))).verdict == "pass"


def test_a_session_that_never_came_back_is_bad_unless_the_run_ended_first() -> None:
    outages = pd.DataFrame(
        {"recovery_s": [1.0] * 60 + [math.nan] * 20, "censored": [False] * 60 + [True] * 20, "cohort": "control"}
    )
    assert judge_gate(gate("recovery.session", "p(90)<8000"), measured(outages=outages)).verdict == "pass"
    lost = outages.assign(censored=False)
    assert judge_gate(gate("recovery.session", "p(90)<8000"), measured(outages=lost)).verdict == "fail"


def test_a_connection_that_we_gave_up_ourselves_says_nothing_and_one_never_welcomed_does() -> None:
    ours = {"ready_ms": math.nan, "ours": True, "never_ready": False}
    rows = [{"ready_ms": 10.0, "ours": True, "never_ready": False}] * 40 + [ours] * 40
    assert judge_gate(gate("connect.ready", "p(90)<2000"), measured(connections=pd.DataFrame(rows))).samples == 40
    mute = pd.DataFrame(rows + [{**ours, "never_ready": True}] * 20)
    result = judge_gate(gate("connect.ready", "p(90)<2000"), measured(connections=mute))
    assert (result.samples, result.bad, result.verdict) == (60, 20, "fail")


@pytest.mark.parametrize(
    ("rule", "count", "verdict"),
    [("count==0", 0, "pass"), ("count==0", 1, "fail"), ("count<3", 2, "pass"), ("count<3", 3, "fail"), ("count<=3", 3, "pass")],
)  # fmt: skip
def test_a_count_gate_counts(rule: str, count: int, verdict: str) -> None:
    result = judge_gate(gate("findings.order", rule), measured(findings={"order": count}))
    assert (result.verdict, result.observed) == (verdict, float(count))


def test_severity_and_rule_are_passed_on_as_written() -> None:
    result = judge_gate(gate("turn.total", "p(95) < 1s", "warn"), measured(turns([100.0] * 80)))
    assert (result.severity, result.rule, result.metric, result.unit) == ("warn", "p(95) < 1s", "turn.total", "ms")


def journeys(*fates: str, **columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "fate": fates,
            "total_ms": 100.0,
            "why": "",
            "phase": "steady",
            "place": "clear",
            "fault": "",
            "cohort": "control",
        }
    )
    return frame.assign(**columns)


@pytest.mark.parametrize(
    ("fates", "verdict", "samples", "bad"),
    [
        (("done",) * 100, "pass", 100, 0),
        (("done",) * 60 + ("failed",) * 40, "fail", 100, 40),
        (("done",) * 100 + ("cut", "not-begun", "our-error") * 50, "pass", 100, 0),
        (("our-error",) * 100, "unknown", 0, 0),
    ],
)
def test_journeys_that_were_decided_are_judged_and_no_others(
    fates: tuple[str, ...], verdict: str, samples: int, bad: int
) -> None:
    seen = measured(journeys=journeys(*fates), has_journeys=True)
    result = judge_gate(gate("journey.success", "rate>0.9"), seen)
    assert (result.verdict, result.samples, result.bad) == (verdict, samples, bad)
    latency = judge_gate(gate("journey.total", "p(90)<1000"), seen)
    assert (latency.verdict, latency.samples, latency.bad) == (verdict, samples, bad)


def test_a_gate_on_journeys_says_at_which_steps_they_failed_the_most_frequent_first() -> None:
    why = ["late"] * 2 + ["lost"] * 5 + ["a", "b"]
    seen = measured(journeys=journeys(*("failed",) * 9, why=why), has_journeys=True)
    reason = judge_gate(gate("journey.success", "rate>0.9"), seen).reason
    assert reason.endswith("; 5 times lost, 2 times late, 1 times a, and 1 more")


def test_a_journey_that_a_fault_explains_is_no_sample_of_fault_none() -> None:
    frame = pd.concat([journeys(*["done"] * 50), journeys(*["failed"] * 50, place="grace", fault="w1")])
    seen = measured(journeys=frame, has_journeys=True, faults={"w1": "down"})
    assert judge_gate(gate("journey.success{fault:none}", "rate>0.9"), seen).verdict == "pass"
    unfit = replace(seen, unfit="its loop was late")
    assert judge_gate(gate("journey.success{fault:w1}", "rate>0.9"), unfit).verdict == "unknown"
    assert judge_gate(gate("journey.success{fault:w1}", "rate>0.9"), seen).verdict == "fail"


def test_without_journeys_a_gate_on_them_is_not_checked() -> None:
    result = judge_gate(gate("journey.success", "rate>0.9"), measured())
    assert (result.verdict, result.reason) == ("not-checked", "this scenario has no journeys")
