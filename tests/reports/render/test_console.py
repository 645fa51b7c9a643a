"""One screen of a terminal, and nothing that a server wrote can move its cursor."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from reports.judgement import Cause, Judgement, Moved
from reports.render.console import print_verdict
from tests.reports.judgements import EXAMPLES, cannot_say, go, hostile, no_go, witness


def printed(judgement: Judgement, *, terminal: bool = False, width: int = 120, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=file, force_terminal=terminal, width=width, color_system="standard" if terminal else None)
    print_verdict(judgement, console, "runs/x/report.html")
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_says_its_verdict_first_and_where_the_page_is_last(name: str) -> None:
    lines = printed(EXAMPLES[name]()).splitlines()
    word = {"go": "✓ GO", "no-go": "✗ NO-GO", "cannot-say": "? CANNOT SAY"}[EXAMPLES[name]().verdict]
    assert lines[0].startswith(word)
    assert lines[-1].endswith("runs/x/report.html")


@pytest.mark.parametrize("name", ["go", "no-go", "cannot-say"])
def test_it_fits_on_one_screen(name: str) -> None:
    assert len(printed(EXAMPLES[name]()).splitlines()) <= 45


def test_each_cause_has_a_witness_and_the_command_on_one_line() -> None:
    lines = printed(no_go(), width=60).splitlines()
    assert "    gauntlet show runs/2026-11-24T021407Z-smoke-7f3a gx5f1e0c2a-003.014" in lines


def test_gates_that_passed_are_only_counted() -> None:
    text = printed(no_go())
    assert "5 pass, 1 warning, 1 fail, 1 cannot say, 1 not checked" in text
    assert "? cannot say  turn.total{fault:w2} p(99)<9000" in text
    assert "event.agent_started{phase:steady}" not in text


def test_the_first_cause_is_said_once() -> None:
    """The sentence is made from it: under it stands only what the sentence leaves out."""
    first = Cause(
        title="pairing: a tool was never closed",
        detail="3 times",
        witnesses=(witness("x", text="a tool was never closed: agent_started"), witness("y")),
    )
    second = replace(first, title="order: too early")
    told = replace(no_go(), sentence=f"{first.title} ({first.detail}), and 1 more", causes=(first, second))
    lines = printed(told, width=80).splitlines()
    assert lines[0] == "✗ NO-GO  pairing: a tool was never closed (3 times), and 1 more"
    assert lines[1] == "    32.4 s, recovery-down: agent_started"
    assert lines[3] == "  order: too early: 3 times"
    assert lines[4].startswith("    32.4 s, recovery-down: a tool was never closed: agent_started")


def test_the_reason_of_a_gate_that_is_a_cause_is_said_once() -> None:
    base = no_go()
    cause = Cause(title="the gate broken", detail=base.gates[0].reason)
    assert printed(replace(base, causes=(cause,)), width=400).count(cause.detail) == 1
    assert printed(replace(base, causes=()), width=400).count(cause.detail) == 1


def test_what_users_saw_and_what_stands_behind_the_books_is_a_line_each() -> None:
    text = printed(no_go(), width=200)
    assert "users saw    p95 clear of faults: first sign of life " in text
    assert "streamed     16 152 chunks in 1 346 turns: first chunk p95 466 ms" in text
    assert "failed 6 (timeout 3) + censored 38 (cut 38)" in text
    bare = printed(replace(go(), analytics=replace(go().analytics, stream=None, layers=())))
    assert "users saw" not in bare
    assert "streamed" not in bare


def test_the_page_is_named_once() -> None:
    assert printed(no_go()).count("runs/x/report.html") == 1


def test_a_plain_console_gets_no_control_character_and_a_terminal_only_colours() -> None:
    for terminal in (False, True):
        text = printed(hostile(), terminal=terminal)
        assert "\x1b]" not in text
        assert "\x1b[2J" not in text
        assert "\u202e" not in text
        assert "\x07" not in text
    assert "\x1b" not in printed(hostile())


def test_markup_from_a_server_is_text() -> None:
    assert "[bold]" in printed(replace(go(), sentence="[bold]x[/bold] [link=http://e.x]y[/link]"))


def test_an_ascii_terminal_gets_ascii() -> None:
    for judgement in (no_go(), hostile(), cannot_say()):
        printed(judgement, encoding="ascii")
    assert "x NO-GO" in printed(no_go(), encoding="ascii")


def test_the_hypothesis_and_the_clean_up_have_a_line_each() -> None:
    lines = printed(cannot_say(), width=200).splitlines()
    assert any(
        line.startswith("hypothesis   ? cannot say  jam-heal-short (short): Nobody reconnects.") for line in lines
    )
    assert "faults       resumed on another node: 3 of 30" in lines
    assert "clean-up     no toxic, proxy or process left" in lines
    assert any("0.6/never" in line for line in lines)


def test_one_node_is_no_cluster_to_speak_of() -> None:
    assert "another node" not in printed(replace(cannot_say(), moved=Moved(elsewhere=0, of=0, nodes=1)))
