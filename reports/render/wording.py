"""How a Judgement's numbers, states and foreign text are put into words, the same on every surface. Knows no format:
escaping for HTML, Markdown or XML is each renderer's own.
"""

from __future__ import annotations

import math
import re
import shlex
import unicodedata
from collections.abc import Mapping
from numbers import Real
from typing import Any

from reports.judgement import EventLine, FaultResult, GateResult, Judgement, Witness

__all__ = [
    "LIMIT",
    "SIGNS",
    "VERDICTS",
    "about_control",
    "again_command",
    "asked",
    "budget_used",
    "count",
    "duration_s",
    "fault_state",
    "finite",
    "gate_observed",
    "listed",
    "measured",
    "percent",
    "show_command",
    "shown",
    "without_credentials",
]

#: what a person needs to recognise a text; a server may send megabytes
LIMIT = 500
NARROW = "\u202f"

#: verdict -> sign, words
VERDICTS = {"go": ("✓", "GO"), "no-go": ("✗", "NO-GO"), "cannot-say": ("?", "CANNOT SAY")}

#: the state of a check, a gate, an event or a fault -> sign, word, tone
SIGNS = {
    "valid": ("✓", "valid", "ok"),
    "invalid": ("✗", "invalid", "bad"),
    "unknown": ("?", "cannot say", "open"),
    "not-exercised": ("–", "not exercised", "off"),
    "pass": ("✓", "pass", "ok"),
    "fail": ("✗", "fail", "bad"),
    "warn": ("!", "warning", "open"),
    "not-checked": ("–", "not checked", "off"),
    "broken": ("✗", "broken", "bad"),
    "seen": ("✓", "seen", "ok"),
    "confirmed": ("✓", "confirmed", "ok"),
    "absent": ("✗", "no effect", "bad"),
    "not-probed": ("?", "not probed", "open"),
    "back": ("✓", "all back", "ok"),
    "lost": ("✗", "not back", "bad"),
    "uncut": ("–", "nobody cut", "off"),
}

#: categories that can move, hide or reverse what stands beside them: controls, formats, surrogates, separators
UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
ORDINARY = re.compile(r"[ -~]*\Z")
ADDRESS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?:[^/\s?#@]*@)?(?P<rest>[^\s?#]*)(?P<query>[?#]\S*)?", re.IGNORECASE)  # fmt: skip


def shown(value: object, limit: int = LIMIT) -> str:
    """Any text as one harmless line: what cannot be seen is written as an escape, what is too long is cut."""
    text = str(value)
    cut = text[:limit]
    if not ORDINARY.match(cut):
        cut = "".join(_escape(char) if unicodedata.category(char) in UNSHOWN else char for char in cut)
    if len(text) > limit:
        cut += f"… (cut, {count(len(text))} characters)"
    return cut


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def without_credentials(text: str) -> str:
    """Addresses in a text lose user, password, query and fragment: that is where tokens stand."""
    return ADDRESS.sub(lambda m: m["scheme"] + m["rest"] + ("?…" if m["query"] else ""), text)


def finite(value: Any) -> float | None:
    """A number that can be shown: NaN and the infinities are none."""
    number = float(value) if isinstance(value, Real) else math.nan
    return number if math.isfinite(number) else None


def count(value: float | None, gap: str = NARROW) -> str:
    """A whole number in groups of three; milliseconds too are shown so."""
    number = finite(value)
    return "—" if number is None else f"{round(number):,}".replace(",", gap)


def percent(value: float | None, gap: str = NARROW) -> str:
    """A share as a percentage, with as many places as tell it from 0 and from 100."""
    number = finite(value)
    if number is None:
        return "—"
    hundred = number * 100
    places = 0 if math.isclose(hundred, round(hundred), abs_tol=1e-9) else 1 if 1 <= abs(hundred) < 99 else 2
    return f"{hundred:.{places}f}{gap}%"


def duration_s(value: float | None) -> str:
    number = finite(value)
    return "—" if number is None else f"{number:.1f}".removesuffix(".0")


def listed(values: tuple[str, ...], most: int, none: str = "nothing") -> str:
    """A few of them in a sentence, and how many more there are."""
    if not values:
        return none
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(shown(value, 80) for value in values[:most]) + more




def gate_observed(gate: GateResult, gap: str = NARROW) -> str:
    """What was observed, with its unit."""
    if gate.unit == "share":
        return percent(gate.observed, gap)
    return count(gate.observed, gap) + (f"{gap}ms" if gate.unit == "ms" and finite(gate.observed) is not None else "")


def budget_used(event: EventLine) -> float | None:
    """The percentile that the budget speaks of, as a share of it; None: no budget, or that percentile is not shown."""
    by_percent = {50.0: event.p50_ms, 95.0: event.p95_ms, 99.0: event.p99_ms}
    observed, budget = finite(by_percent.get(event.budget_percent or 0.0)), finite(event.budget_ms)
    return observed / budget if observed is not None and budget else None


def _quantities(values: Mapping[str, Any]) -> list[str]:
    parts = []
    for key, value in values.items():
        name, _, unit = key.rpartition("_")
        if name and unit in {"ms", "s", "bytes", "ns", "kb"}:
            parts.append(f"{shown(name, 40).replace('_', ' ')} {_plain(value)} {unit}")
        else:
            parts.append(f"{shown(key, 40).replace('_', ' ')} {_plain(value)}")
    return parts


def _plain(value: Any) -> str:
    number = None if isinstance(value, bool) else finite(value)
    return shown(value, 60) if number is None else f"{number:g}"


def asked(fault: FaultResult) -> str:
    """The numbers that were asked for."""
    return ", ".join(_quantities(fault.asked)) or shown(fault.kind, 40)


def measured(fault: FaultResult) -> str:
    """The number that proves the effect; every measurement has ``what``, ``value`` and ``unit``."""
    value, unit, what = (fault.measured.get(key) for key in ("value", "unit", "what"))
    if value is None:
        return shown(fault.measured.get("reason") or "nothing", 80)
    return " ".join(part for part in (shown(what or "", 60), _plain(value), shown(unit or "", 20)) if part)


def fault_state(fault: FaultResult) -> str:
    """Whether the users that it cut came back."""
    return "lost" if fault.unrecovered else "back" if fault.disconnected else "uncut"


def show_command(judgement: Judgement, witness: Witness) -> str:
    """What to type to see this turn. Ids may be a server's, so they are quoted for the shell."""
    turn = ".".join(shown(part, 80) for part in (witness.session, witness.turn) if part)
    return f"gauntlet show {shlex.quote(shown(judgement.run))} {shlex.quote(turn)}"


def again_command(judgement: Judgement) -> str | None:
    """What to type to run the same again, with the seed that this run drew."""
    argv = [without_credentials(shown(word)) for word in judgement.manifest.get("argv") or ()]
    seed = judgement.manifest.get("seed")
    if not argv:
        return None
    if len(argv) > 1 and argv[1] == "run" and seed is not None and "--seed" not in argv:
        argv += ["--seed", shown(seed)]
    return shlex.join(argv)


def about_control(judgement: Judgement) -> str:
    """What the users that no fault touched tell: without them, nothing can be blamed on a fault or cleared of it."""
    turns = judgement.turns
    if "cohort" not in turns or not len(control := turns[turns["cohort"] == "control"]):
        return "no control users"
    good, judged = int((control["outcome"] == "ok").sum()), int((~control["outcome"].isin(["abandoned", "in-doubt"])).sum())
    return f"{count(control['session'].nunique())} control users: {count(good)} of {count(judged)} turns ok"
