"""Metric names, selectors and the threshold grammar (k6's, and no other). Pure.

``event.NAME{phase:steady,cohort:control}`` selects samples, ``p(95)<1500`` judges them; ``kind:NAME`` takes users of a kind of
the scenario's mix, ``fault:none`` leaves out what a
fault on the session's own cohort, or the recovery budget after it, explains, and ``fault:w2`` or ``fault:down`` takes only
what that window, or any window of that kind, and the recovery budget after it explain. A gate is a statement about a
proportion: ``p(95)<1500`` says that at most 5 % of the turns are over 1,500 ms or without the event, and where more is
better, ``p(5)>20`` says that at most 5 % are not over 20 a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from loadtests.configfile import nearest
from loadtests.contract.compile import Contract
from loadtests.contract.schema import GateRule
from loadtests.errors import ConfigError

__all__ = [
    "CHECKER_IDS",
    "JOURNEYS",
    "NO_FAULT",
    "STREAM",
    "Gate",
    "Selector",
    "Threshold",
    "Unit",
    "gap_of",
    "limit_ms",
    "parse_gates",
]

#: design.md's checkers; ``findings.ID`` counts their violations.
CHECKER_IDS = (
    "vocabulary", "schema", "complete", "order", "pairing", "terminal", "silence", "duplicate", "loss", "honesty", "leak",
    "phantom", "idempotency", "close", "reconnect", "restored", "dead-peers", "control", "retries", "backoff", "herd",
    "sockets", "self",
)  # fmt: skip

#: the value of the label ``fault`` for what no fault explains
NO_FAULT = "none"

Unit = Literal["ms", "per_s", "share", "count"]
#: metrics of answers that come in chunks: the first one, the time between two, the longest of a turn, chunks a second
STREAM: dict[str, Unit] = {"stream.ttft": "ms", "stream.gap": "ms", "stream.stall": "ms", "stream.rate": "per_s"}
#: of journeys, and not of turns
JOURNEYS = ("journey.success", "journey.total")
FIXED: dict[str, Unit] = {
    "connect.ready": "ms",
    "turn.total": "ms",
    "recovery.session": "ms",
    "turn.success": "share",
    "journey.total": "ms",
    "journey.success": "share",
    "arrivals.achieved": "share",
}
SELECTOR = re.compile(r"^(?P<name>[\w.-]+)(?:\{(?P<labels>[^{}]*)\})?$")
THRESHOLD = re.compile(
    r"^(?P<what>p\((?P<percent>\d{1,2}(?:\.\d+)?)\)|med|rate|count)\s*(?P<op><=|>=|==|<|>)\s*"
    r"(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|%|/s)?$"
)
LATENCY_EXPECTED = "p(N)<MS, such as p(95)<1500"
IN_WORDS: dict[Unit, str] = {
    "ms": "a metric in ms",
    "per_s": "a metric per second",
    "share": "a metric in share",
    "count": "a metric in count",
}
#: unit -> what may stand before and in the middle, units a limit may have with what they are in the metric's own, an example
FORMS: dict[Unit, tuple[set[str], set[str], dict[str, float], str]] = {
    "ms": ({"p", "med"}, {"<", "<="}, {"": 1.0, "ms": 1.0, "s": 1000.0}, LATENCY_EXPECTED),
    "per_s": ({"p", "med"}, {">", ">="}, {"": 1.0, "/s": 1.0}, "p(N)>RATE, such as p(5)>20 (a second)"),
    "share": ({"rate"}, {">", ">="}, {"": 1.0, "%": 0.01}, "rate>SHARE, such as rate>0.95"),
    "count": ({"count"}, {"<", "<=", "=="}, {"": 1.0}, "count==0 or count<N"),
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
    """``share``: the proportion of samples that may be bad; ``limit``: what makes one bad (ms, a second), or a count's."""

    text: str
    what: Literal["p", "rate", "count"]
    op: str
    limit: float
    share: float

    @property
    def at(self) -> float:
        """The percentile to show beside a rule of kind ``p``, as a share."""
        return self.share if self.op.startswith(">") else 1 - self.share

    def is_bad(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which samples break the limit of a rule of kind ``p``."""
        compare = {"<": np.greater_equal, "<=": np.greater, ">": np.less_equal, ">=": np.less}[self.op]
        return np.asarray(compare(values, self.limit))


@dataclass(frozen=True, slots=True)
class Gate:
    """One budget rule on one metric."""

    selector: Selector
    threshold: Threshold
    unit: Unit
    severity: Literal["fail", "warn"]


def gap_of(text: str, events: Sequence[str]) -> tuple[str, str] | None:
    """The two events of ``A.B``, either of which may have dots of its own; None: they are not there."""
    for first in events:
        if text.startswith(f"{first}.") and text[len(first) + 1 :] in events:
            return first, text[len(first) + 1 :]
    return None


def _unit_of(name: str, contract: Contract, where: str) -> Unit:
    """The metric's unit.

    Raises:
        ConfigError: no such metric.
    """
    if name in FIXED:
        return FIXED[name]
    streams = STREAM if contract.names("content") else {}
    if name in streams:
        return streams[name]
    if name in STREAM:
        raise ConfigError(
            where, f"gates.{name}", f"contract {contract.name} has no event with the role content", "another metric"
        )
    events = [rule.name for rule in contract.events if rule.role != "other"]
    head, _, rest = name.partition(".")
    if head == "event" and rest in events:
        return "ms"
    if head == "gap" and gap_of(rest, events):
        return "ms"
    if head == "findings" and rest in CHECKER_IDS:
        return "count"
    known = [*FIXED, *streams, *(f"event.{e}" for e in events), *(f"findings.{c}" for c in CHECKER_IDS)]
    raise ConfigError(where, f"gates.{name}", f"unknown metric {name!r}", nearest(name, known))


def _selector(
    text: str, contract: Contract, phases: Iterable[str], faults: Iterable[str], kinds: Iterable[str], where: str
) -> tuple[Selector, Unit]:
    found = SELECTOR.match(text.strip())
    if found is None:
        raise ConfigError(where, f"gates.{text}", "cannot be read", "METRIC or METRIC{label:value,…}")
    unit = _unit_of(found["name"], contract, where)
    labels: dict[str, str] = {}
    known = {
        "phase": list(phases), "cohort": ["direct", "control", "treated"], "fault": [NO_FAULT, *faults], "kind": list(kinds),
    }  # fmt: skip
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
    whats, ops, factors, expected = FORMS[unit]
    if found is None:
        raise ConfigError(where, place, f"rule {rule!r} cannot be read", expected)
    what = "p" if found["percent"] else found["what"]
    factor = factors.get(found["unit"] or "")
    if what not in whats or found["op"] not in ops or factor is None:
        raise ConfigError(where, place, f"rule {rule!r} does not fit {IN_WORDS[unit]}", expected)
    limit = float(found["value"]) * factor
    if unit in {"ms", "per_s"}:
        percent = float(found["percent"]) if found["percent"] else 50.0
        bad = percent if unit == "per_s" else 100.0 - percent
        return Threshold(rule, "p", found["op"], limit, round(bad / 100.0, 6))
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
    faults: Iterable[str] = (), kinds: Iterable[str] = (), **labels: str,
) -> list[Gate]:  # fmt: skip
    """Selectors and rules as gates; ``faults`` are the ids and kinds there may be, ``kinds`` those of the users, ``labels`` are
    added to every selector.

    Raises:
        ConfigError: unknown metric, label, phase, fault, or a rule that is none: before any traffic.
    """
    parsed = []
    names, broken, users = list(phases), list(dict.fromkeys(faults)), list(kinds)
    for text, rules in gates.items():
        selector, unit = _selector(text, contract, names, broken, users, where)
        for rule in rules:
            one = GateRule(rule=rule) if isinstance(rule, str) else rule
            selector = Selector(selector.name, {**labels, **selector.labels})
            parsed.append(Gate(selector, _threshold(one.rule, unit, where, f"gates.{text}"), unit, one.severity))
    return parsed
