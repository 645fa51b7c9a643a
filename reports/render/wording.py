"""How a Judgement's numbers, states and foreign text are put into words, the same on every surface. Knows no format:
escaping for HTML, Markdown or XML is each renderer's own.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from typing import Any

from reports.endings import FAILED, GOOD, LEFT_OUT
from reports.judgement import Books, Curve, EventLine, ExperimentResult, FaultResult, GateResult, Judgement, Witness
from reports.render.figures import NARROW, count, duration_s, finite, percent, rate

__all__ = [
    "LIMIT",
    "SIGNS",
    "VERDICTS",
    "about_control",
    "about_experiment",
    "about_nodes",
    "again_command",
    "asked",
    "back",
    "behind",
    "budget_used",
    "certain",
    "fault_state",
    "gate_observed",
    "listed",
    "measured",
    "on_our_side",
    "reached",
    "show_command",
    "shown",
    "when",
    "without_credentials",
]

#: what a person needs to recognise a text; a server may send megabytes
LIMIT = 500

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
    "held": ("✓", "held", "ok"),
    "not-held": ("✗", "did not hold", "bad"),
}

#: what stands behind a word of the books that says more than one thing
BEHIND = {
    word: tuple(name for name in names if name != word)
    for word, names in (("ok", GOOD), ("failed", FAILED), ("censored", LEFT_OUT))
}
#: categories that can move, hide or reverse what stands beside them: controls, formats, surrogates, separators
UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
UNITS = frozenset({"ms", "s", "ns", "bytes", "kb"})
#: where the reason begins behind what is not checked
REASON = re.compile(r": | \(")
ORDINARY = re.compile(r"[ -~]*\Z")
ADDRESS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?:[^/\s?#@]*@)?(?P<rest>[^\s?#]*)(?P<query>[?#]\S*)?", re.IGNORECASE)  # fmt: skip


def shown(value: object, limit: int = LIMIT) -> str:
    """Any text as one harmless line: what cannot be seen is written as an escape, what is too long is cut."""
    text = str(value)
    seen = text[:limit]
    if not ORDINARY.match(seen):
        seen = "".join(_escape(char) if unicodedata.category(char) in UNSHOWN else char for char in seen)
    if len(text) <= limit >= len(seen):
        return seen
    return seen[:limit] + (f"… (cut, {count(len(text))} characters)" if limit >= LIMIT else "…")


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def without_credentials(text: str) -> str:
    """Addresses in a text lose user, password, query and fragment: that is where tokens stand."""
    return ADDRESS.sub(lambda m: m["scheme"] + m["rest"] + ("?…" if m["query"] else ""), text)


def behind(books: Books, word: str, gap: str = NARROW) -> str:
    """Which endings a word of the books holds, in brackets; nothing where it is plain."""
    said = [f"{shown(how, 40)} {count(books.outcomes[how], gap)}" for how in BEHIND[word] if books.outcomes.get(how)]
    return f" ({', '.join(said)})" if said else ""


def listed(values: tuple[str, ...], most: int, none: str = "nothing") -> str:
    """A few of them in a sentence, each without its reason, and how many more there are."""
    if not values:
        return none
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(shown(REASON.split(value, maxsplit=1)[0], 40) for value in values[:most]) + more


def gate_observed(gate: GateResult, gap: str = NARROW) -> str:
    """What was observed, with its unit."""
    if gate.unit == "share":
        return percent(gate.observed, gap)
    if gate.unit == "per_s":
        return rate(gate.observed) + ("/s" if finite(gate.observed) is not None else "")
    return count(gate.observed, gap) + (f"{gap}ms" if gate.unit == "ms" and finite(gate.observed) is not None else "")


def budget_used(event: EventLine) -> float | None:
    """What the gate judged, as a share of its budget; None: no budget, or too many turns in which it never came."""
    observed, budget = finite(event.judged_ms), finite(event.budget_ms)
    return observed / budget if observed is not None and budget else None


def _plain(value: Any) -> str:
    number = None if isinstance(value, bool) else finite(value)
    return shown(value, 60) if number is None else f"{number:g}"


def asked(fault: FaultResult) -> str:
    """The numbers that were asked for, the one that the fault is named after first and without its name."""
    parts: list[str] = []
    for key, value in fault.asked.items():
        name, _, unit = key.rpartition("_")
        if unit not in UNITS or not name:
            name, unit = key, ""
        said = "" if name == fault.kind or isinstance(value, str) else shown(name, 40).replace("_", " ")
        words = " ".join(part for part in (said, _plain(value), unit) if part)
        parts.insert(0, words) if name == fault.kind else parts.append(words)
    return ", ".join(parts) or shown(fault.kind, 40)


def measured(fault: FaultResult) -> str:
    """The number that proves the effect; every measurement has ``what``, ``value`` and ``unit``."""
    value, unit, what = (fault.measured.get(key) for key in ("value", "unit", "what"))
    tried = fault.measured.get("tried", fault.measured.get("of"))
    if value is None:
        return shown(fault.measured.get("reason") or "nothing", 80)
    # what was asked in milliseconds and is answered in them needs no third name
    if unit == "ms" and any(key.endswith("_ms") for key in fault.asked):
        what = ""
    number = f"{count(finite(value))} ms" if unit == "ms" else _plain(value)
    if tried is not None:
        number += f" of {_plain(tried)}"
    unit = "" if unit == "ms" or str(unit or "") in str(what or "") else unit
    return " ".join(part for part in (shown(what or "", 60), number, shown(unit or "", 20)) if part)


def certain(fault: FaultResult) -> str:
    """How the effect is known: by what, and which way it went; and how the first new connection after the heal fared."""
    direction, after = fault.measured.get("direction"), fault.measured.get("after_heal")
    parts = [f"by {shown(fault.by, 160)}"] if fault.by else []
    if isinstance(direction, str) and direction != "both":
        parts.append(f"direction: {shown(direction, 60)}")
    if isinstance(after, str):
        parts.append(f"new connection after the heal: {shown(after, 20)}")
    return "; ".join(parts)


def reached(curve: Curve | None, at: str, gap: str = NARROW) -> str:
    """A percentile of a recovery, p50 or p95, in seconds; or by how many of its users it was not reached."""
    if curve is None or not curve.users:
        return "—"
    value = finite(curve.p50_s if at == "p50" else curve.p95_s)
    return (
        duration_s(value)
        if value is not None
        else f"not reached by {count(curve.missing, gap)} of {count(curve.users, gap)}"
    )


def back(fault: FaultResult, gap: str = NARROW) -> str:
    """When the users that it cut were served again: p50 and p95."""
    if fault.back is None:
        return "—"
    middle, most = reached(fault.back, "p50", gap), reached(fault.back, "p95", gap)
    return middle if middle == most else f"{middle} / {most}"


def on_our_side(judgement: Judgement) -> str:
    """Which faults our own sessions made, and that they touch nobody else; empty: none."""
    kinds = dict.fromkeys(shown(fault.kind, 40) for fault in judgement.faults if fault.place == "client")
    if not kinds:
        return ""
    return f"Made by our own clients ({', '.join(kinds)}): such faults touch only the sessions of this run, and no other user's."


def about_experiment(result: ExperimentResult) -> str:
    """Its name, what it supposed, and what speaks against it."""
    form = f" ({shown(result.form, 20)})" if result.form else ""
    why = f" [{'; '.join(shown(one, 160) for one in result.why)}]" if result.why else ""
    return f"{shown(result.name, 60)}{form}: {shown(result.hypothesis)}{why}"


def about_nodes(judgement: Judgement) -> str:
    """How many of those that resumed did so elsewhere; none at all says nothing of that."""
    if judgement.moved is None:
        return ""
    one = judgement.moved
    if one.nodes < 2:
        return "resumed on another node: unknown, only one node was seen"
    said = f"resumed on another node: {count(one.elsewhere)} of {count(one.of)}"
    return said if one.elsewhere else f"{said}, so whether a session can be is unknown"


def fault_state(fault: FaultResult) -> str:
    """Whether the users that it cut came back."""
    return "lost" if fault.unrecovered else "back" if fault.disconnected else "uncut"


def when(fault: FaultResult) -> str:
    """From when to when, in seconds since the run's start."""
    until = duration_s(fault.end_s) if finite(fault.end_s) is not None else "never healed"
    return f"{duration_s(fault.start_s)}–{until}"


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
        on_itself = judgement.manifest.get("scope") == "backend"
        return "no control users: faults on the backend itself touch everybody" if on_itself else "no control users"
    good, judged = (
        int((control["outcome"] == "ok").sum()),
        int((~control["outcome"].isin(["abandoned", "in-doubt"])).sum()),
    )
    return f"{count(control['session'].nunique())} control users: {count(good)} of {count(judged)} turns ok"
