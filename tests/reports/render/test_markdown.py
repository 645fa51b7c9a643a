"""summary.md as GitHub would show it: foreign text stays text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from reports.render.markdown import MOST_BYTES, escaped, render_markdown
from tests.reports.judgements import EXAMPLES, cannot_say, go, hostile, no_go


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("a|b", "a&#124;b"),
        ("`code`", r"\`code\`"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("[x](http://e.x)", r"\[x\](http&#58;&#47;&#47;e.x)"),
        ("@team www.e.x", "&#64;team www&#46;e.x"),
        ("\\|", r"\\&#124;"),
        ("_a_ *b* #1", r"\_a\_ \*b\* \#1"),
        ("a\nb", r"a\\x0ab"),
    ],
)
def test_markup_is_escaped(text: str, harmless: str) -> None:
    assert escaped(text) == harmless


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_row_of_a_table_has_as_many_cells_as_its_head(name: str) -> None:
    wide: int | None = None
    for line in render_markdown(EXAMPLES[name]()).splitlines():
        cells = line.count("|") - 1 if line.startswith("|") else None
        assert cells is None or wide is None or cells == wide, line
        wide = cells


def test_hostile_text_makes_no_tag_link_or_mention() -> None:
    text = render_markdown(hostile())
    assert set(re.findall(r"</?([a-zA-Z]+)", text)) == {"code", "details", "summary"}
    assert "://" not in text
    assert "@" not in text
    assert "s3cret" not in text


def test_the_verdict_comes_first_then_why_and_what_to_type() -> None:
    text = render_markdown(no_go())
    assert text.startswith("## ✗ NO-GO\n")
    assert text.index("### Why") < text.index("### Gates") < text.index("### Events") < text.index("### Faults")
    assert "gauntlet show runs/2026-11-24T021407Z-smoke-7f3a gx5f1e0c2a-003.014" in text


def test_more_rows_than_anyone_reads_are_counted() -> None:
    crowd = replace(no_go(), gates=go().gates * 100, not_checked=("x",) * 300, causes=no_go().causes * 100)
    text = render_markdown(crowd)
    assert [text.count(f"… and {more} more") for more in (300, 100)] == [1, 2]


@pytest.mark.parametrize(("many", "left_out"), [(1, False), (20_000, True)])
def test_it_stays_under_githubs_limit_and_says_what_is_left_out(many: int, left_out: bool) -> None:
    causes = tuple(replace(cause, consequences=("&" * 500,) * many) for cause in no_go().causes)
    text = render_markdown(replace(no_go(), causes=causes))
    assert len(text.encode()) < MOST_BYTES
    assert ("left out" in text) is left_out


def test_the_value_chain_is_three_lines() -> None:
    text = render_markdown(no_go()).partition("### Value chain")[2].partition("###")[0]
    lines = [line for line in text.splitlines() if line]
    assert len(lines) == 3
    assert "turns came to their end" in lines[0]
    assert "first sign of life" in lines[1]
    assert "16" in lines[2]
    assert "chunks" in lines[2]


def test_the_books_say_what_stands_behind_their_words() -> None:
    assert "failed 6 (timeout 3)" in render_markdown(no_go())


def test_a_section_without_rows_is_no_section() -> None:
    assert "### Faults" not in render_markdown(replace(go(), faults=()))


def test_the_hypothesis_and_the_clean_up_have_a_line_each() -> None:
    text = render_markdown(cannot_say())
    assert "- hypothesis ? cannot say: jam-heal-short (short): Nobody reconnects." in text
    assert "- resumed on another node: 3 of 30" in text
    assert "- clean-up: no toxic, proxy or process left" in text
    assert "read back, not measured" in text
    assert "not reached by 4 of 30" in text
