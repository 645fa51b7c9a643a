"""Gates: budget rules judged as statements about proportions, with a one-sided bound and three outcomes.

``p(95)<1500`` says that the share of turns over 1,500 ms, or without the event, is at most 5 %. It passes when the upper
95 % bound on that share (Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the
Binomial", Biometrika 26, 1934) is at most 5 %, fails when the lower bound is over it, and is unknown between.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from loadtests.metrics import NO_FAULT, Gate
from reports.judgement import GateResult, GateVerdict

__all__ = ["CONFIDENCE", "Measured", "bounds", "judge_gate", "percentile", "turns_needed"]

CONFIDENCE = 0.95
DIGITS = 12
MOST_TURNS = 10_000_000


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


def bounds(bad: int, samples: int) -> tuple[float, float]:
    """One-sided 95 % bounds, lower and upper, on a proportion."""
    lower = float(stats.beta.ppf(1 - CONFIDENCE, bad, samples - bad + 1)) if bad else 0.0
    upper = float(stats.beta.ppf(CONFIDENCE, bad + 1, samples - bad)) if bad < samples else 1.0
    # Rounded, because 1 - 0.95 is a hair over 0.05, and one bad turn of one must not fail p(95) for that.
    return round(lower, DIGITS), round(upper, DIGITS)


def percentile(values: np.ndarray[Any, Any], share: float) -> float | None:
    """Inverted CDF (Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996, type 1): always an observed value,
    so that infinity, an event that never came, stays what it is.
    """
    return float(np.quantile(values, share, method="inverted_cdf")) if len(values) else None


def turns_needed(bad: int, samples: int, share: float) -> int | None:
    """How many samples would decide, if the share of bad ones stayed as it is; None: none would, it stands on the edge."""
    if share <= 0:
        return None
    rate = bad / samples if samples else 0.0
    if rate == 0:
        return math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - share))
    count = max(samples, 1)
    while count < MOST_TURNS:
        count = math.ceil(count * 1.1) + 1
        lower, upper = bounds(round(rate * count), count)
        if upper <= share or lower > share:
            return count
    return None


def _select(frame: pd.DataFrame, gate: Gate, measured: Measured) -> pd.DataFrame:
    for label, value in gate.selector.labels.items():
        if label != "fault":
            frame = frame[frame[label] == value]
        elif value != NO_FAULT:
            frame = frame[frame["fault"].isin(_windows(value, measured))]
        else:  # an outage has no place of its own, but the fault that it belongs to
            frame = frame[frame["place"] == "clear"] if "place" in frame else frame[frame["fault"] == ""]
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
    turns = _select(measured.turns[~measured.turns["outcome"].isin(["cut", "in-doubt"])], gate, measured)
    if name == "turn.total":
        return turns["total_ms"].where(turns["outcome"] == "ok").fillna(np.inf)
    head, _, rest = name.partition(".")
    if head == "event":
        return turns[f"event:{rest}"].fillna(np.inf)
    first, second = rest.split(".")
    return (turns[f"event:{second}"] - turns[f"event:{first}"]).fillna(np.inf)


def _shares(gate: Gate, measured: Measured) -> pd.Series:
    """True where a sample is good."""
    if gate.selector.name == "arrivals.achieved":
        return _select(measured.planned, gate, measured)["sent"].astype(bool)
    turns = _select(measured.turns[~measured.turns["outcome"].isin(["cut", "in-doubt"])], gate, measured)
    return turns["outcome"] == "ok"


def _not_checked(gate: Gate, measured: Measured) -> str:
    labels = gate.selector.labels
    if "phase" in labels and labels["phase"] not in measured.phases:
        return f"this run has no phase {labels['phase']}"
    if "cohort" in labels and labels["cohort"] not in measured.cohorts:
        return f"this run has no cohort {labels['cohort']}"
    if (fault := labels.get("fault", NO_FAULT)) != NO_FAULT and not _windows(fault, measured):
        return f"this run has no fault {fault}"
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
    if gate.unit == "ms":
        values = _latencies(gate, measured).to_numpy(dtype=float)
        over = values >= gate.threshold.limit if gate.threshold.op == "<" else values > gate.threshold.limit
        samples, bad = len(values), int(over.sum())
        observed = percentile(values, 1 - gate.threshold.share)
    else:
        good = _shares(gate, measured)
        samples, bad = len(good), int((~good).sum())
        observed = (samples - bad) / samples if samples else None
    if not samples:
        return _result(gate, None, 0, 0, None, "unknown", "no samples")
    interval = bounds(bad, samples)
    verdict, reason = _decide(gate, bad, samples, interval)
    recovery = gate.selector.name == "recovery.session"
    if measured.unfit and (gate.unit == "ms" or gate.selector.name == "arrivals.achieved"):
        verdict, reason = "unknown", f"the generator was the bottleneck: {measured.unfit}"
    elif measured.unproven and recovery and verdict == "pass":
        verdict, reason = "unknown", measured.unproven
    return _result(gate, observed, samples, bad, interval, verdict, reason)


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
