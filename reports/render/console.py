"""The verdict on one screen of a terminal, or as plain lines in CI. Foreign text is neither markup nor a control code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.judgement import FaultResult, GateResult, Judgement
from reports.render import valuechain
from reports.render.figures import NARROW, count, duration_s, percent
from reports.render.wording import (
    SIGNS,
    VERDICTS,
    about_control,
    about_experiment,
    about_nodes,
    asked,
    behind,
    fault_state,
    gate_observed,
    listed,
    measured,
    on_our_side,
    show_command,
    shown,
    when,
)

__all__ = ["print_verdict"]

MOST = 5
SHORT = 160
GAP = " "
GATE_STATES = ("pass", "warn", "fail", "unknown", "not-checked")
TONES = {"ok": "green", "bad": "bold red", "open": "yellow", "off": "dim"}
COLOURS = {"go": "bold green", "no-go": "bold red", "cannot-say": "bold yellow"}
#: for terminals that cannot show the signs
ASCII = str.maketrans({"✓": "+", "✗": "x", "–": "-", "—": "-", "→": ">", "…": "~", "·": "|", "\u202f": " "})


def print_verdict(judgement: Judgement, console: Console, page: str) -> None:
    """Verdict, causes with what to type, what did not pass, events, faults, books; ``page`` is where the rest is."""
    _Screen(console).verdict(judgement, page)


def _gate_state(gate: GateResult) -> str:
    return "warn" if gate.severity == "warn" and gate.verdict in {"fail", "unknown"} else gate.verdict


class _Screen:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._plain = not console.encoding.lower().replace("-", "").startswith("utf")

    def verdict(self, judgement: Judgement, page: str) -> None:
        sign, word = VERDICTS[judgement.verdict]
        self._line((f"{sign} {word}", COLOURS[judgement.verdict]), "  ", shown(judgement.sentence))
        self._causes(judgement)
        self._gates(judgement)
        self._events(judgement)
        self._faults(judgement)
        self._experiment(judgement)
        self._books(judgement)
        if judgement.not_checked:
            self._line(("not checked  ", "dim"), listed(judgement.not_checked, MOST))
        if judgement.cleanup:
            self._line(("clean-up     ", "dim"), shown(judgement.cleanup, SHORT))
        # never wrapped: a path broken in two cannot be copied
        self._console.print(self._text(("page         ", "dim"), shown(page)), soft_wrap=True)

    def _causes(self, judgement: Judgement) -> None:
        for place, cause in enumerate(judgement.causes[:MOST]):
            # The sentence above is made from the first cause: what stands there is not said again.
            said = judgement.sentence if place == 0 else ""
            if not said.startswith(cause.title):
                detail = f": {shown(cause.detail, SHORT)}" if cause.detail and cause.detail not in said else ""
                self._line("  ", (shown(cause.title, SHORT), "bold"), detail)
            elif cause.detail not in said:
                self._line("    ", shown(cause.detail, SHORT))
            for what in cause.consequences[:2]:
                self._line("    → ", shown(what, SHORT))
            for witness in cause.witnesses[:1]:
                kind, _, what = witness.text.partition(": ")
                more = what if kind in cause.title else witness.text
                text = f": {shown(more, SHORT)}" if more else ""
                self._line("    ", f"{witness.at_s:.1f} s, {shown(witness.phase, 40)}{text}")
                command = self._text("    ", (show_command(judgement, witness), "cyan"))
                self._console.print(command, soft_wrap=True)
        if len(judgement.causes) > MOST:
            self._line(f"  and {len(judgement.causes) - MOST} more causes: see the page")

    def _gates(self, judgement: Judgement) -> None:
        states = [_gate_state(gate) for gate in judgement.gates]
        tally = ", ".join(f"{states.count(one)} {SIGNS[one][1]}" for one in GATE_STATES if one in states)
        if tally:
            self._line(("gates        ", "dim"), tally)
        told = {cause.detail for cause in judgement.causes[:MOST]}
        others = [gate for gate in judgement.gates if gate.verdict in {"fail", "unknown"}]
        for gate in others[: 2 * MOST]:
            state = _gate_state(gate)
            seen = f"{gate_observed(gate, GAP)}, n = {count(gate.samples, GAP)}"
            why = "" if gate.reason in told else f"; {shown(gate.reason, SHORT)}"
            self._line("  ", self._state(state), f"  {shown(gate.metric)} {shown(gate.rule)}: {seen}{why}")
        if len(others) > 2 * MOST:
            self._line(f"  and {len(others) - 2 * MOST} more: see the page")

    def _events(self, judgement: Judgement) -> None:
        self._table(
            ("event (ms)", "seen", "miss", "order", "p50", "p95", "p99", "judged", "budget", ""),
            (
                (
                    shown(event.name, 60),
                    *(count(value, GAP) for value in (event.seen, event.missing, event.misplaced)),
                    *(
                        count(value, GAP)
                        for value in (event.p50_ms, event.p95_ms, event.p99_ms, event.judged_ms, event.budget_ms)
                    ),
                    self._state(event.verdict),
                )
                for event in judgement.events
            ),
        )

    def _faults(self, judgement: Judgement) -> None:
        self._table(
            ("fault", "seconds", "asked → measured", "hit", "cut", "back s", "lost", ""),
            (
                (
                    shown(f"{fault.id} {fault.kind}", 40),
                    when(fault),
                    f"{asked(fault)} → {measured(fault)} {SIGNS[fault.effect][0]}",
                    *(count(value, GAP) for value in (fault.sessions, fault.disconnected)),
                    self._back(fault),
                    count(fault.turns_lost, GAP),
                    self._state(fault_state(fault)),
                )
                for fault in judgement.faults[: 4 * MOST]
            ),
        )

    def _experiment(self, judgement: Judgement) -> None:
        if (result := judgement.experiment) is not None:
            self._line(("hypothesis   ", "dim"), self._state(result.state), f"  {about_experiment(result)}")
        several = judgement.moved is not None and judgement.moved.nodes > 1
        for said in filter(None, (about_nodes(judgement) if several else "", on_our_side(judgement))):
            self._line(("faults       ", "dim"), said.replace(NARROW, GAP))

    def _back(self, fault: FaultResult) -> str:
        """p50 and p95; the page says of how many users one was not reached."""
        if fault.back is None:
            return duration_s(None)
        both = (fault.back.p50_s, fault.back.p95_s)
        return "/".join(dict.fromkeys("never" if one is None else duration_s(one) for one in both))

    def _books(self, judgement: Judgement) -> None:
        books, generator = judgement.books, judgement.generator
        n = {
            name: count(getattr(books, name), GAP)
            for name in ("planned", "dropped", "sent", "ok", "failed", "censored")
        }
        more = {word: behind(books, word, GAP) for word in ("ok", "failed", "censored")}
        chain = (("users saw    ", valuechain.perceived(judgement)), ("streamed     ", valuechain.streamed(judgement)))
        for title, words in chain:
            if words:
                self._line((title, "dim"), words.replace(NARROW, GAP))
        self._line(
            ("books        ", "dim"),
            f"planned {n['planned']} = sent {n['sent']} + dropped {n['dropped']}; "
            f"sent = ok {n['ok']}{more['ok']} + failed {n['failed']}{more['failed']} + censored {n['censored']}{more['censored']}  ",
            ("✓ balanced", TONES["ok"]) if books.balanced else ("✗ do not balance", TONES["bad"]),
        )
        self._line(
            ("how sure     ", "dim"),
            ("✓ generator fit", TONES["ok"]) if generator.fit else ("✗ generator not fit", TONES["bad"]),
            f": loop lag p99 {duration_s(generator.loop_lag_p99_ms)} ms, CPU p95 {percent(generator.cpu_p95, GAP)}, "
            f"{count(generator.rows_lost, GAP)} rows lost; {about_control(judgement)}",
        )
        for reason in generator.reasons[:MOST]:
            self._line("             ", shown(reason, SHORT))

    def _state(self, state: str) -> tuple[str, str]:
        sign, word, tone = SIGNS[state]
        return f"{sign} {word}", TONES[tone]

    def _text(self, *parts: str | tuple[str, str]) -> Text:
        """Text objects only: rich reads markup in plain strings."""
        text = Text()
        for part in parts:
            words, style = part if isinstance(part, tuple) else (part, "")
            text.append(self._encodable(words), style=style)
        return text

    def _encodable(self, words: str) -> str:
        return words.translate(ASCII).encode("ascii", "backslashreplace").decode() if self._plain else words

    def _line(self, *parts: str | tuple[str, str]) -> None:
        self._console.print(self._text(*parts), highlight=False)

    def _table(self, head: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]]) -> None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
        for place, name in enumerate(head):
            table.add_column(
                self._encodable(name),
                justify="left" if place in {0, len(head) - 1} or "→" in name else "right",
                overflow="fold" if "→" in name else "crop",  # an ellipsis is no ASCII
                no_wrap="→" not in name,
            )
        for row in rows:
            table.add_row(*(self._text(cell) for cell in row))
        if table.row_count:
            self._console.print(table)
