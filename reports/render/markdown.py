"""``summary.md``: the verdict as GitHub-flavoured Markdown, for a step summary. Foreign text can neither leave its cell
nor become markup, a link or a mention.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from reports.judgement import Judgement
from reports.render import valuechain
from reports.render.figures import count, duration_s, percent
from reports.render.wording import (
    SIGNS,
    VERDICTS,
    about_control,
    about_experiment,
    about_nodes,
    again_command,
    asked,
    back,
    behind,
    certain,
    fault_state,
    gate_observed,
    listed,
    measured,
    on_our_side,
    show_command,
    shown,
    when,
    without_credentials,
)

__all__ = ["MOST_BYTES", "escaped", "render_markdown"]

#: GitHub loses the whole summary at 1024 KiB
MOST_BYTES = 900 * 1024
MOST_ROWS = 200
SHORT = 200

MARKUP = re.compile(r"([\\`*_\[\]#!~$])")
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "&#64;"})
LINKS = re.compile(r"(://|\bwww\.)", re.IGNORECASE)


def escaped(value: object, limit: int = SHORT) -> str:
    """Any text as itself inside a paragraph or a table's cell."""
    text = MARKUP.sub(r"\\\1", shown(value, limit)).translate(ENTITIES)
    return LINKS.sub(lambda link: "".join(f"&#{ord(c)};" if c in ":/." else c for c in link[0]), text)


def render_markdown(judgement: Judgement) -> str:
    """The text of ``summary.md``; sections that do not fit any more are left out, and that is said."""
    parts = [_head(judgement)]
    size = len(parts[0].encode())
    for section in (_causes, _gates, _events, _faults, _experiment, _value_chain, _books, _not_checked, _further):
        text = section(judgement)
        if size + len(text.encode()) > MOST_BYTES:
            parts.append("\n*The rest is left out: it is too long for a summary; the page has it.*\n")
            break
        parts.append(text)
        size += len(text.encode())
    return "".join(parts)


def _code(value: object, limit: int = SHORT) -> str:
    return f"<code>{escaped(value, limit)}</code>"


def _status(state: str) -> str:
    sign, word, _ = SIGNS[state]
    return f"{sign} {word}"


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    right = "|".join([":--", *["--:"] * (len(head) - 2), ":--"])
    more = f"\n*… and {len(lines) - MOST_ROWS} more.*\n" if len(lines) > MOST_ROWS else ""
    return "\n".join([f"\n### {title}\n", f"| {' | '.join(head)} |", f"|{right}|", *lines[:MOST_ROWS], more])


def _more(items: Sequence[object]) -> list[str]:
    return [f"- … and {len(items) - MOST_ROWS} more"] if len(items) > MOST_ROWS else []


def _head(judgement: Judgement) -> str:
    sign, word = VERDICTS[judgement.verdict]
    manifest = judgement.manifest
    facts = [
        f"{key} {_code(without_credentials(shown(manifest[key])))}"
        for key in ("scenario", "contract", "target", "users", "seed")
        if key in manifest
    ]
    facts += [f"{escaped(k)} {_code(v)}" for k, v in sorted((manifest.get("labels") or {}).items())]
    return f"## {sign} {word}\n\n{escaped(judgement.sentence, 500)}\n\n{' · '.join(facts)}\n"


def _causes(judgement: Judgement) -> str:
    lines = []
    for cause in judgement.causes[:MOST_ROWS]:
        lines.append(f"- **{escaped(cause.title)}**: {escaped(cause.detail, 500)}")
        lines += [f"  - {escaped(what)}" for what in cause.consequences]
        lines += [
            f"  - {escaped(w.text)} ({escaped(w.phase)}, {w.at_s:.1f} s): {_code(show_command(judgement, w), 500)}"
            for w in cause.witnesses[:3]
        ]
    return "\n".join(["\n### Why\n", *lines, *_more(judgement.causes), ""]) if lines else ""


def _gates(judgement: Judgement) -> str:
    return _table(
        "Gates",
        ("gate", "observed", "samples", "bad", "verdict"),
        (
            (
                _code(f"{gate.metric} {gate.rule}"),
                gate_observed(gate),
                count(gate.samples),
                count(gate.bad),
                _status("warn" if gate.verdict == "fail" and gate.severity == "warn" else gate.verdict)
                + (f": {escaped(gate.reason)}" if gate.reason and gate.verdict != "pass" else ""),
            )
            for gate in judgement.gates
        ),
    )


def _events(judgement: Judgement) -> str:
    return _table(
        "Events",
        ("event", "seen", "missing", "out of order", "p50 ms", "p95 ms", "p99 ms", "judged ms", "budget ms", "status"),
        (
            (
                _code(event.name),
                *(count(value) for value in (event.seen, event.missing, event.misplaced)),
                *(
                    count(value)
                    for value in (event.p50_ms, event.p95_ms, event.p99_ms, event.judged_ms, event.budget_ms)
                ),
                _status(event.verdict),
            )
            for event in judgement.events
        ),
    )


def _faults(judgement: Judgement) -> str:
    return _table(
        "Faults",
        (
            "fault",
            "seconds",
            "asked → measured",
            "effect",
            "users hit",
            "cut off",
            "back again s, p50 / p95",
            "turns lost",
            "users",
        ),
        (
            (
                _code(f"{fault.id} {fault.kind}"),
                when(fault),
                f"{escaped(asked(fault))} → {escaped(measured(fault))}"
                + (f" ({escaped(known)})" if (known := certain(fault)) else ""),
                _status(fault.effect),
                count(fault.sessions),
                count(fault.disconnected),
                f"{escaped(back(fault))} (slowest {duration_s(fault.recovery_max_s)})",
                f"{count(fault.turns_lost)} of {count(fault.turns)}",
                _status(fault_state(fault)) + (f" ({fault.unrecovered})" if fault.unrecovered else ""),
            )
            for fault in judgement.faults
        ),
    )


def _experiment(judgement: Judgement) -> str:
    result = judgement.experiment
    lines = [f"- hypothesis {_status(result.state)}: {escaped(about_experiment(result), 1000)}"] if result else []
    lines += [f"- {escaped(said)}" for said in (about_nodes(judgement), on_our_side(judgement)) if said]
    lines += [f"- clean-up: {escaped(judgement.cleanup)}"] if judgement.cleanup else []
    return "\n".join(["\n### Experiment and clean-up\n", *lines, ""]) if lines else ""


def _value_chain(judgement: Judgement) -> str:
    said = (valuechain.lead(judgement), valuechain.perceived(judgement), valuechain.streamed(judgement))
    lines = [f"- {escaped(one, 500)}" for one in said if one]
    return "\n".join(["\n### Value chain\n", *lines, ""])


def _books(judgement: Judgement) -> str:
    books, generator = judgement.books, judgement.generator
    balance = "✓ balanced" if books.balanced else "✗ do not balance"
    why = ", ".join(f"{escaped(name)} {count(number)}" for name, number in sorted(books.dropped_why.items()))
    fit = "✓ fit" if generator.fit else f"✗ not fit: {escaped(listed(generator.reasons, 5))}"
    return (
        f"\n### Books and measuring\n\n"
        f"planned {count(books.planned)} = sent {count(books.sent)} + dropped {count(books.dropped)}"
        f"{f' ({why})' if why else ''}; sent {count(books.sent)} = ok {count(books.ok)}"
        f"{escaped(behind(books, 'ok'))} + failed {count(books.failed)}{escaped(behind(books, 'failed'))}"
        f" + censored {count(books.censored)}{escaped(behind(books, 'censored'))}: {balance}. Generator {fit}: loop lag p99"
        f" {duration_s(generator.loop_lag_p99_ms)} ms, CPU p95 {percent(generator.cpu_p95)},"
        f" {count(generator.rows_lost)} rows lost. {about_control(judgement)}.\n"
    )


def _not_checked(judgement: Judgement) -> str:
    lines = [f"- {escaped(what)}" for what in judgement.not_checked[:MOST_ROWS]] + _more(judgement.not_checked)
    return "\n".join(["\n<details><summary>Not checked</summary>\n", *lines, "\n</details>\n"]) if lines else ""


def _further(judgement: Judgement) -> str:
    again = again_command(judgement)
    return f"\n### Look further\n\n- page: {_code('report.html')} in {_code(judgement.run)}\n" + (
        f"- run again: {_code(again, 500)}\n" if again else ""
    )
