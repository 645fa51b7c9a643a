"""Metric names, selectors and the threshold grammar (k6's, and no other). Pure.

``event.NAME{phase:steady,cohort:control}`` selects samples, ``p(95)<1500`` judges them; ``fault:none`` leaves out what a
fault on the session's own cohort, or the recovery budget after it, explains, and ``fault:w2`` or ``fault:down`` takes only
what that window, or any window of that kind, and the recovery budget after it explain. A gate is a statement about a
proportion: ``p(95)<1500`` says that at most 5 % of the turns are over 1,500 ms or without the event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from loadtests.configfile import nearest
from loadtests.contract.compile import Contract
from loadtests.contract.schema import GateRule
from loadtests.errors import ConfigError

__all__ = ["CHECKER_IDS", "NO_FAULT", "Gate", "Selector", "Threshold", "limit_ms", "parse_gates"]

#: design.md's checkers; ``findings.ID`` counts their violations.
CHECKER_IDS = (
    "vocabulary", "schema", "complete", "order", "pairing", "terminal", "silence", "duplicate", "loss", "honesty", "leak",
    "phantom", "idempotency", "close", "reconnect", "restored", "dead-peers", "control", "retries", "backoff", "herd",
    "sockets", "self",
)  # fmt: skip

#: the value of the label ``fault`` for what no fault explains
NO_FAULT = "none"

Unit = Literal["ms", "share", "count"]
SELECTOR = re.compile(r"^(?P<name>[\w.-]+)(?:\{(?P<labels>[^{}]*)\})?$")
THRESHOLD = re.compile(
    r"^(?P<what>p\((?P<percent>\d{1,2}(?:\.\d+)?)\)|med|rate|count)\s*(?P<op><=|>=|==|<|>)\s*"
    r"(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|%)?$"
)
LATENCY_EXPECTED = "p(N)<MS, such as p(95)<1500"
FORMS = {
    "ms": ({"p", "med"}, {"<", "<="}, LATENCY_EXPECTED),
    "share": ({"rate"}, {">", ">="}, "rate>SHARE, such as rate>0.95"),
    "count": ({"count"}, {"<", "<=", "=="}, "count==0 or count<N"),
}


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric and the labels that its samples must have."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        labels = ",".join(f"{k}:{v}" for k, v in self.labels.items())
        return f"{self.name}{{{labels}}}" if labels else self.name


@dataclass(frozen=True, slots=True)
class Threshold:
    """``share``: the proportion of samples that may be bad; ``limit``: what makes one bad (ms), or a count's limit."""

    text: str
    what: Literal["p", "rate", "count"]
    op: str
    limit: float
    share: float


@dataclass(frozen=True, slots=True)
class Gate:
    """One budget rule on one metric."""

    selector: Selector
    threshold: Threshold
    unit: Unit
    severity: Literal["fail", "warn"]


def _unit_of(name: str, contract: Contract, where: str) -> Unit:
    """The metric's unit.

    Raises:
        ConfigError: no such metric.
    """
    fixed: dict[str, Unit] = {
        "connect.ready": "ms",
        "turn.total": "ms",
        "recovery.session": "ms",
        "turn.success": "share",
        "arrivals.achieved": "share",
    }
    if name in fixed:
        return fixed[name]
    events = [rule.name for rule in contract.events if rule.role != "other"]
    head, _, rest = name.partition(".")
    if head == "event" and rest in events:
        return "ms"
    if head == "gap" and len(parts := rest.split(".")) == 2 and set(parts) <= set(events):
        return "ms"
    if head == "findings" and rest in CHECKER_IDS:
        return "count"
    known = [*fixed, *(f"event.{e}" for e in events), *(f"findings.{c}" for c in CHECKER_IDS)]
    raise ConfigError(where, f"gates.{name}", f"unknown metric {name!r}", nearest(name, known))


def _selector(
    text: str, contract: Contract, phases: Iterable[str], faults: Iterable[str], where: str
) -> tuple[Selector, Unit]:
    found = SELECTOR.match(text.strip())
    if found is None:
        raise ConfigError(where, f"gates.{text}", "cannot be read", "METRIC or METRIC{label:value,…}")
    unit = _unit_of(found["name"], contract, where)
    labels: dict[str, str] = {}
    known = {"phase": list(phases), "cohort": ["direct", "control", "treated"], "fault": [NO_FAULT, *faults]}
    for part in filter(None, (found["labels"] or "").split(",")):
        label, _, value = (piece.strip() for piece in part.partition(":"))
        if label not in known:
            raise ConfigError(where, f"gates.{text}", f"unknown label {label!r}", nearest(label, list(known)))
        if value not in known[label]:
            raise ConfigError(where, f"gates.{text}", f"unknown {label} {value!r}", nearest(value, known[label]))
        labels[label] = value
    if found["name"] == "arrivals.achieved" and labels.get("fault", NO_FAULT) != NO_FAULT:
        raise ConfigError(where, f"gates.{text}", "planned turns belong to no fault", "a phase instead")
    return Selector(found["name"], labels), unit


def _threshold(rule: str, unit: Unit, where: str, place: str) -> Threshold:
    """One rule.

    Raises:
        ConfigError: not the grammar, or a form that does not fit the metric.
    """
    found = THRESHOLD.match(rule.strip())
    whats, ops, expected = FORMS[unit]
    if found is None:
        raise ConfigError(where, place, f"rule {rule!r} cannot be read", expected)
    what = "p" if found["percent"] else found["what"]
    if what not in whats or found["op"] not in ops:
        raise ConfigError(where, place, f"rule {rule!r} does not fit a metric in {unit}", expected)
    limit = float(found["value"]) * {"s": 1000.0, "%": 0.01}.get(found["unit"] or "", 1.0)
    if unit == "ms":
        percent = float(found["percent"]) if found["percent"] else 50.0
        return Threshold(rule, "p", found["op"], limit, round(1.0 - percent / 100.0, 6))
    if unit == "share":
        if not 0 <= limit <= 1:
            raise ConfigError(where, place, f"rule {rule!r} asks for a share of {limit:g}", "0 to 1, or 0 % to 100 %")
        return Threshold(rule, "rate", found["op"], limit, round(1.0 - limit, 6))
    return Threshold(rule, "count", found["op"], limit, 0.0)


def limit_ms(rule: str) -> float:
    """The limit of a latency rule in milliseconds, whatever unit it is written in.

    Raises:
        ConfigError: no latency rule.
    """
    return _threshold(rule, "ms", "rule", "").limit


def parse_gates(
    gates: Mapping[str, Iterable[str | GateRule]], contract: Contract, phases: Iterable[str], where: str, *,
    faults: Iterable[str] = (), **labels: str,
) -> list[Gate]:  # fmt: skip
    """Selectors and rules as gates; ``faults`` are the ids and kinds there may be, ``labels`` are added to every selector.

    Raises:
        ConfigError: unknown metric, label, phase, fault, or a rule that is none: before any traffic.
    """
    parsed = []
    names, broken = list(phases), list(dict.fromkeys(faults))
    for text, rules in gates.items():
        selector, unit = _selector(text, contract, names, broken, where)
        for rule in rules:
            one = GateRule(rule=rule) if isinstance(rule, str) else rule
            selector = Selector(selector.name, {**labels, **selector.labels})
            parsed.append(Gate(selector, _threshold(one.rule, unit, where, f"gates.{text}"), unit, one.severity))
    return parsed
