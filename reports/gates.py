"""Gates: budget rules judged as statements about proportions, with a one-sided bound and three outcomes.

``p(95)<1500`` says that the share of turns over 1,500 ms, or without the event, is at most 5 %. It passes when the upper
95 % bound on that share (Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the
Binomial", Biometrika 26, 1934) is at most 5 %, fails when the lower bound is over it, and is unknown between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from loadtests.metrics import JOURNEYS, NO_FAULT, STREAM, Gate, gap_of
from reports import streams
from reports.endings import GOOD, LEFT_OUT
from reports.judgement import GateResult, GateVerdict
from reports.proportions import bounds
from reports.proportions import samples_needed as turns_needed

__all__ = ["Measured", "bounds", "judge_gate", "percentile", "turns_needed"]

#: answers without all that a whole one shows; what they lack is no latency
PARTIAL = tuple(name for name in GOOD if name != "ok")
HIT = ("during", "grace")
MOST_STEPS = 3
#: fates of journeys, and those of them that say something
DONE = "done"
DECIDED = (DONE, "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything that a gate can look at."""

    turns: pd.DataFrame
    connections: pd.DataFrame
    outages: pd.DataFrame
    #: planned turns: intended_s, cohort, phase, place, sent
    planned: pd.DataFrame
    findings: dict[str, int]
    phases: frozenset[str]
    cohorts: frozenset[str]
    #: id of each fault window -> its kind
    faults: Mapping[str, str] = field(default_factory=dict)
    #: a fault that cuts connections is in the plan
    cuts: bool
    #: why timing cannot be trusted; empty: it can
    unfit: str
    #: why claims about faults and recovery cannot be made; empty: they can
    unproven: str
    #: why no turn says anything of the backend, because its quota answered most; empty: it did not
    quota: str = ""
    #: ``reports.streams.gaps_frame``, made when a gate asks for it
    gaps: Callable[[], pd.DataFrame] = pd.DataFrame
    #: nobody plans a turn before the one before has ended
    closed: bool = False
    #: whether the contract demands a content event of every turn that ends well
    demands_stream: bool = False
    #: ``reports.frames.journeys_frame``; of a scenario without journeys it is empty
    journeys: pd.DataFrame = field(default_factory=pd.DataFrame)
    has_journeys: bool = False


def percentile(values: np.ndarray[Any, Any], share: float) -> float | None:
    """Inverted CDF (Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996, type 1): always an observed value,
    so that infinity, an event that never came, stays what it is.
    """
    return float(np.quantile(values, share, method="inverted_cdf")) if len(values) else None


def _select(frame: pd.DataFrame, gate: Gate, measured: Measured) -> pd.DataFrame:
    for label, value in gate.selector.labels.items():
        if label != "fault":
            frame = frame[frame[label] == value]
        elif value != NO_FAULT:
            frame = frame[frame["fault"].isin(_windows(value, measured))]
        else:  # an outage has no place of its own, but the fault that it belongs to
            frame = frame[~frame["place"].isin(HIT)] if "place" in frame else frame[frame["fault"] == ""]
    return frame


def _windows(value: str, measured: Measured) -> list[str]:
    """The windows of this id or kind; a row names one exactly when it stands in it or in its grace."""
    return [id_ for id_, kind in measured.faults.items() if value in {id_, kind}]


def _latencies(gate: Gate, measured: Measured) -> pd.Series:
    """Milliseconds; infinite where the event never came. Censored turns are neither good nor bad."""
    name = gate.selector.name
    if name == "connect.ready":
        frame = _select(measured.connections, gate, measured)
        # An attempt that we ended ourselves before it could become ready says nothing about the backend.
        frame = frame[frame["ready_ms"].notna() | ~frame["ours"] | frame["never_ready"]]
        return frame["ready_ms"].fillna(np.inf)
    if name == "recovery.session":
        frame = _select(measured.outages[~measured.outages["censored"]], gate, measured)
        return (frame["recovery_s"] * 1000).fillna(np.inf)
    if name == "journey.total":
        frame = _journeys(gate, measured)
        return frame["total_ms"].where(frame["fate"] == DONE).fillna(np.inf)
    if name in STREAM:
        frame = measured.gaps() if name == "stream.gap" else measured.turns
        return streams.samples(name, _select(frame, gate, measured), demanded=measured.demands_stream)
    turns = _decided(gate, measured)
    if name == "turn.total":
        return turns["total_ms"].where(turns["outcome"].isin(GOOD)).fillna(np.inf)
    head, _, rest = name.partition(".")
    events = [column.removeprefix("event:") for column in turns.columns if column.startswith("event:")]
    names = [f"event:{one}" for one in ([rest] if head == "event" else gap_of(rest, events) or ())]
    whole = turns[~turns["outcome"].isin(PARTIAL) | turns[names].notna().all(axis=1)]
    if head == "event":
        return whole[names[0]].fillna(np.inf)
    return (whole[names[1]] - whole[names[0]]).fillna(np.inf)


def _decided(gate: Gate, measured: Measured) -> pd.DataFrame:
    return _select(measured.turns[~measured.turns["outcome"].isin(LEFT_OUT)], gate, measured)


def _journeys(gate: Gate, measured: Measured) -> pd.DataFrame:
    """Those that were decided."""
    return _select(measured.journeys[measured.journeys["fate"].isin(DECIDED)], gate, measured)


def _shares(gate: Gate, measured: Measured) -> pd.Series:
    """True where a sample is good."""
    if gate.selector.name == "arrivals.achieved":
        return _select(measured.planned, gate, measured)["sent"].astype(bool)
    if gate.selector.name == "journey.success":
        return _journeys(gate, measured)["fate"] == DONE
    return _decided(gate, measured)["outcome"].isin(GOOD)


def _not_checked(gate: Gate, measured: Measured) -> str:
    labels = gate.selector.labels
    if "phase" in labels and labels["phase"] not in measured.phases:
        return f"this run has no phase {labels['phase']}"
    if "cohort" in labels and labels["cohort"] not in measured.cohorts:
        return f"this run has no cohort {labels['cohort']}"
    if (fault := labels.get("fault", NO_FAULT)) != NO_FAULT and not _windows(fault, measured):
        return f"this run has no fault {fault}"
    if gate.selector.name == "arrivals.achieved" and measured.closed:
        return "users of a closed workload plan no arrivals"
    if gate.selector.name in JOURNEYS and not measured.has_journeys:
        return "this scenario has no journeys"
    if gate.selector.name == "recovery.session" and not measured.cuts:
        return "no fault of this run cuts connections"
    return ""


def judge_gate(gate: Gate, measured: Measured) -> GateResult:
    """One gate on one run."""
    if reason := _not_checked(gate, measured):
        return _result(gate, None, 0, 0, None, "not-checked", reason)
    if gate.unit == "count":
        return _count(gate, measured)
    observed: float | None
    if gate.unit != "share":
        values = _latencies(gate, measured).to_numpy(dtype=float)
        samples, bad = len(values), int(gate.threshold.is_bad(values).sum())
        observed = percentile(values, gate.threshold.at)
    else:
        good = _shares(gate, measured)
        samples, bad = len(good), int((~good).sum())
        observed = (samples - bad) / samples if samples else None
    of_turns = gate.selector.name not in {"connect.ready", "recovery.session", "arrivals.achieved", *JOURNEYS}
    quota = measured.quota if of_turns else ""
    if not samples:
        return _result(gate, None, 0, 0, None, "unknown", quota or "no samples")
    interval = bounds(bad, samples)
    verdict, reason = _decide(gate, bad, samples, interval)
    if reason and gate.selector.name in JOURNEYS and (why := _why(gate, measured)):
        reason = f"{reason}; {why}"
    recovery = gate.selector.name == "recovery.session"
    if measured.unfit and (gate.unit != "share" or gate.selector.name in {"arrivals.achieved", *JOURNEYS}):
        verdict, reason = "unknown", f"the generator was the bottleneck: {measured.unfit}"
    elif quota:
        verdict, reason = "unknown", quota
    elif measured.unproven and recovery and verdict == "pass":
        verdict, reason = "unknown", measured.unproven
    return _result(gate, observed, samples, bad, interval, verdict, reason)


def _why(gate: Gate, measured: Measured) -> str:
    """At which steps journeys failed, the most frequent first; empty: none did."""
    journeys = _journeys(gate, measured)
    counts = journeys["why"][journeys["fate"] != DONE].value_counts()
    ordered = sorted(counts.items(), key=lambda one: (-one[1], str(one[0])))
    more = f", and {len(ordered) - MOST_STEPS} more" if len(ordered) > MOST_STEPS else ""
    return ", ".join(f"{count} times {why}" for why, count in ordered[:MOST_STEPS]) + more


def _decide(gate: Gate, bad: int, samples: int, interval: tuple[float, float]) -> tuple[GateVerdict, str]:
    share, (lower, upper) = gate.threshold.share, interval
    if upper <= share:
        return "pass", ""
    if lower > share:
        return "fail", f"{bad} of {samples} are bad, at most {share:.1%} may be"
    needed = turns_needed(bad, samples, share)
    more = f"about {needed} samples would decide" if needed else "the share stands on the edge of the budget"
    return (
        "unknown",
        f"{bad} of {samples} bad: the true share may be {lower:.1%} to {upper:.1%}, {share:.1%} is allowed; {more}",
    )


def _count(gate: Gate, measured: Measured) -> GateResult:
    id_ = gate.selector.name.partition(".")[2]
    count = measured.findings.get(id_, 0)
    good = {"<": count < gate.threshold.limit, "<=": count <= gate.threshold.limit, "==": count == gate.threshold.limit}
    verdict: GateVerdict = "pass" if good[gate.threshold.op] else "fail"
    return _result(gate, float(count), count, count, None, verdict, "" if verdict == "pass" else f"{count} findings")


def _result(
    gate: Gate, observed: float | None, samples: int, bad: int, interval: tuple[float, float] | None, verdict: GateVerdict, reason: str
) -> GateResult:  # fmt: skip
    finite = observed if observed is not None and math.isfinite(observed) else None
    return GateResult(
        metric=str(gate.selector), rule=gate.threshold.text, unit=gate.unit, observed=finite, samples=samples, bad=bad,
        interval=interval, verdict=verdict, severity=gate.severity, reason=reason,
    )  # fmt: skip
