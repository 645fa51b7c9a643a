"""Selectors and thresholds: what is understood, and that everything else is told before any traffic."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs

from loadtests.contract import Contract, load
from loadtests.contract.schema import GateRule, Order, Outcomes
from loadtests.errors import ConfigError
from loadtests.metrics import CHECKER_IDS, Gate, parse_gates
from reports.checkers import CHECKERS

PHASES = ("warm-up", "steady")
FAULTS = ("w1", "latency", "w2", "down")


def gate(metric: str, rule: str | GateRule, **labels: str) -> Gate:
    (one,) = parse_gates({metric: [rule]}, load("reference"), PHASES, "mine.yaml", faults=FAULTS, **labels)
    return one


@pytest.mark.parametrize(
    ("metric", "rule", "unit", "what", "op", "limit", "share"),
    [
        ("turn.total", "p(95)<1500", "ms", "p", "<", 1500.0, 0.05),
        ("turn.total", "p(99.9) <= 1.5s", "ms", "p", "<=", 1500.0, 0.001),
        ("turn.total", "med<200ms", "ms", "p", "<", 200.0, 0.5),
        ("connect.ready", "p(90)<2000", "ms", "p", "<", 2000.0, 0.1),
        ("recovery.session", "p(50)<1", "ms", "p", "<", 1.0, 0.5),
        ("event.agent_started", "p(95)<1", "ms", "p", "<", 1.0, 0.05),
        ("gap.agent_started.agent_completed", "p(95)<1", "ms", "p", "<", 1.0, 0.05),
        ("turn.success", "rate>0.95", "share", "rate", ">", 0.95, 0.05),
        ("turn.success", "rate>=99%", "share", "rate", ">=", 0.99, 0.01),
        ("arrivals.achieved", "rate>0.9", "share", "rate", ">", 0.9, 0.1),
        ("stream.ttft", "p(95)<800", "ms", "p", "<", 800.0, 0.05),
        ("stream.gap", "p(99)<=0.2s", "ms", "p", "<=", 200.0, 0.01),
        ("stream.stall", "p(95)<2s", "ms", "p", "<", 2000.0, 0.05),
        ("stream.rate", "p(5)>20", "per_s", "p", ">", 20.0, 0.05),
        ("stream.rate", "p(10) >= 12.5/s", "per_s", "p", ">=", 12.5, 0.1),
        ("stream.rate", "med>30", "per_s", "p", ">", 30.0, 0.5),
        ("findings.order", "count==0", "count", "count", "==", 0.0, 0.0),
        ("findings.dead-peers", "count<3", "count", "count", "<", 3.0, 0.0),
    ],
)
def test_rules_that_are_understood(
    metric: str, rule: str, unit: str, what: str, op: str, limit: float, share: float
) -> None:
    one = gate(metric, rule)
    t = one.threshold
    assert (one.unit, t.what, t.op, t.limit, t.share, t.text) == (unit, what, op, pytest.approx(limit), share, rule)
    assert one.severity == "fail"


@pytest.mark.parametrize(
    ("metric", "rule", "words"),
    [
        ("turn.totel", "p(95)<1", "unknown metric 'turn.totel'; did you mean 'turn.total'?"),
        ("event.agent_startet", "p(95)<1", "did you mean 'event.agent_started'?"),
        ("event.ping", "p(95)<1", "unknown metric"),
        ("gap.agent_started", "p(95)<1", "unknown metric"),
        ("gap.agent_started.nothing", "p(95)<1", "unknown metric"),
        ("findings.ordre", "count==0", "did you mean 'findings.order'?"),
        ("turn.total{phase:stedy}", "p(95)<1", "unknown phase 'stedy'; did you mean 'steady'?"),
        ("turn.total{phasse:steady}", "p(95)<1", "unknown label 'phasse'; did you mean 'phase'?"),
        ("turn.total{cohort:all}", "p(95)<1", "unknown cohort 'all'; one of control, direct, treated"),
        ("turn.total{fault:dwn}", "p(95)<1", "unknown fault 'dwn'; did you mean 'down'?"),
        ("turn.total{fault:w3}", "p(95)<1", "unknown fault 'w3'"),
        ("arrivals.achieved{fault:w1}", "rate>0.9", "planned turns belong to no fault"),
        ("turn.total{phase}", "p(95)<1", "unknown phase ''"),
        ("turn.total{", "p(95)<1", "expected METRIC"),
        ("turn total", "p(95)<1", "expected METRIC"),
        ("turn.total", "p95<1", "rule 'p95<1' cannot be read"),
        ("turn.total", "p(100)<1", "cannot be read"),
        ("turn.total", "avg<1", "expected p(N)<MS"),
        ("turn.total", "p(95)<-1", "cannot be read"),
        ("turn.total", "p(95)<", "cannot be read"),
        ("turn.total", "p(95)>1", "does not fit a metric in ms"),
        ("turn.total", "rate>0.9", "does not fit a metric in ms"),
        ("turn.total", "p(95)<50%", "does not fit a metric in ms"),
        ("turn.total", "p(95)<5/s", "does not fit a metric in ms"),
        ("stream.rate", "p(95)<20", "does not fit a metric per second; expected p(N)>RATE, such as p(5)>20"),
        ("stream.rate", "p(5)>20ms", "does not fit a metric per second"),
        ("stream.rat", "p(5)>20", "did you mean 'stream.rate'?"),
        ("findings.order", "count<5s", "does not fit a metric in count"),
        ("turn.success", "rate>0.9s", "does not fit a metric in share"),
        ("turn.success", "p(95)<1", "does not fit a metric in share; expected rate>SHARE"),
        ("turn.success", "rate<0.9", "does not fit a metric in share"),
        ("turn.success", "rate>95", "asks for a share of 95"),
        ("findings.order", "rate>1", "does not fit a metric in count; expected count==0"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(metric: str, rule: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        gate(metric, rule)
    assert words in str(caught.value)
    assert str(caught.value).startswith("mine.yaml at gates.")


def test_labels_are_read_and_others_are_added_but_never_win() -> None:
    one = gate("turn.total{phase: steady, cohort:control}", "p(95)<1", fault="none", phase="warm-up")
    assert one.selector.labels == {"fault": "none", "phase": "steady", "cohort": "control"}
    assert str(gate("turn.total{phase:steady}", "med<1").selector) == "turn.total{phase:steady}"
    assert str(gate("turn.total", "med<1").selector) == "turn.total"


@pytest.mark.parametrize("fault", ["none", *FAULTS])
def test_a_fault_is_named_by_its_window_or_its_kind(fault: str) -> None:
    assert gate(f"turn.total{{fault:{fault}}}", "p(95)<1").selector.labels == {"fault": fault}
    with pytest.raises(ConfigError, match="unknown fault 'w1'"):
        parse_gates({"turn.total{fault:w1}": ["p(95)<1"]}, load("reference"), PHASES, "mine.yaml")


def test_a_rule_may_only_warn() -> None:
    assert gate("turn.total", GateRule(rule="med<1", severity="warn")).severity == "warn"


def test_several_rules_of_one_metric_are_several_gates() -> None:
    assert len(parse_gates({"turn.total": ["p(50)<1", "p(95)<2"]}, load("netra"), PHASES, "w")) == 2


@pytest.mark.parametrize(
    ("metric", "rule", "at", "bad"),
    [
        ("turn.total", "p(95)<20", 0.95, [False, True, True, True]),
        ("turn.total", "p(95)<=20", 0.95, [False, False, True, True]),
        ("stream.rate", "p(5)>20", 0.05, [True, True, False, False]),
        ("stream.rate", "p(5)>=20", 0.05, [True, False, False, False]),
    ],
)
def test_a_limit_breaks_on_its_own_side_and_the_percentile_to_show_is_the_rules(
    metric: str, rule: str, at: float, bad: list[bool]
) -> None:
    threshold = gate(metric, rule).threshold
    assert threshold.at == pytest.approx(at)
    assert threshold.is_bad(np.array([10.0, 20.0, 30.0, np.inf])).tolist() == bad


def test_a_contract_without_content_has_no_streams() -> None:
    file = load("reference").file
    events = {name: event for name, event in file.events.items() if event.role != "content"}
    bare = Contract(
        structs.replace(file, events=events, streams=[], aliases={}, order=Order(), outcomes=Outcomes(), answer=None),
        "bare",
        "",
    )
    with pytest.raises(ConfigError, match="has no event with the role content"):
        parse_gates({"stream.ttft": ["p(95)<1"]}, bare, PHASES, "mine.yaml")
    with pytest.raises(ConfigError) as caught:
        parse_gates({"streem": ["p(95)<1"]}, bare, PHASES, "mine.yaml")
    assert "stream" not in str(caught.value).replace("streem", "")


def test_the_checkers_are_those_that_stand_in_the_table_of_checkers() -> None:
    rows = CHECKERS.values() if isinstance(CHECKERS, dict) else CHECKERS
    assert {row.id for row in rows} == set(CHECKER_IDS)
