"""report.html as text: one offline file that needs no script, and in which foreign text is only text."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from reports.judgement import Judgement
from reports.render.html import anchors, environment, render_html
from tests.reports.judgements import EXAMPLES, SCRIPT, cannot_say, connections, empty, go, health, hostile, no_go, turns

VOID = frozenset({"meta", "link", "img", "br", "hr", "input", "wbr"})


class Outline(HTMLParser):
    """Tags, ids, links and addresses of a page; complains of tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module", params=EXAMPLES)
def page(request: pytest.FixtureRequest) -> str:
    return render_html(EXAMPLES[request.param]())


def test_tags_close_ids_are_unique_and_links_lead_somewhere(page: str) -> None:
    outline = Outline(page)
    assert len(outline.ids) == len(set(outline.ids))
    links = [value for tag, name, value in outline.attributes if (tag, name) == ("a", "href")]
    assert {link.removeprefix("#") for link in links} <= set(outline.ids)


def test_nothing_is_asked_of_a_network(page: str) -> None:
    outline = Outline(page)
    assert not set(outline.tags) & {"link", "img", "iframe", "object", "embed", "form", "base", "use", "image"}
    assert not [a for a in outline.attributes if a[1] in {"src", "srcset", "xlink:href", "action"} or "url(" in a[2]]
    assert "url(" not in page.partition("</style>")[0]
    assert "@import" not in page


def test_the_only_script_is_ours_and_the_policy_names_its_hash(page: str) -> None:
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'" in page
    assert not [a for a in Outline(page).attributes if a[1].startswith("on")]


def test_tables_say_what_their_heads_head(page: str) -> None:
    assert not re.findall(r"<th(?![^>]*scope=)[ >]", page)
    assert page.count("<caption") == page.count("<table")


def test_the_verdict_is_a_word_a_sign_and_a_colour() -> None:
    for name, word in (("go", "✓</span> GO"), ("no-go", "✗</span> NO-GO"), ("cannot-say", "?</span> CANNOT SAY")):
        text = render_html(EXAMPLES[name]())
        assert word in text
        assert f'<body class="{name}">' in text


def test_hostile_text_is_seen_and_is_only_text() -> None:
    text = render_html(hostile())
    assert SCRIPT not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7*7 }}" in text
    assert len(text.encode()) < 1_000_000
    assert not re.findall("[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)


def test_no_credential_of_the_target_is_on_the_page() -> None:
    assert "s3cret" not in render_html(hostile())


def test_every_witness_has_an_anchor_and_its_command() -> None:
    judgement = no_go()
    text = render_html(judgement)
    assert len(anchors(judgement)) == 4
    for witness, id_ in anchors(judgement).items():
        assert f'<article class="witness" id="{id_}">' in text
        assert f"gauntlet show {judgement.run} {witness.session}.{witness.turn}" in text
    assert '<a href="#w1">witness</a>' in text.partition('id="ran"')[0], "the first screen links to a witness"


def test_more_causes_than_there_is_room_for_are_told_below() -> None:
    crowd = replace(no_go(), causes=no_go().causes * 2)
    text = render_html(crowd)
    assert '<a href="#causes">and 3 more</a>' in text
    assert "All causes" in text
    assert "All causes" not in render_html(no_go())


def test_a_good_run_says_why_it_is_good() -> None:
    text = render_html(go())
    assert "15 looked, none found a violation" in text
    assert "5 of 5 gates pass" in text


def test_a_run_without_anything_has_a_whole_page() -> None:
    text = render_html(empty())
    for sentence in ("No turn was sent", "None: this run says nothing about faults", "The run left no manifest"):
        assert sentence in text


def test_equal_judgements_make_equal_pages() -> None:
    assert render_html(go()) == render_html(go())


def test_the_manifest_is_flattened_in_order() -> None:
    facts = environment({"b": {"y": 1, "x": [1, 2]}, "a": "ws://u:p@h/?t=1"})
    assert [(fact.name, fact.value) for fact in facts] == [("a", "ws://h/?…"), ("b.x", "1 2"), ("b.y", "1")]


def long_run() -> Judgement:
    """Two hours, 200,000 turns, 40 faults."""
    base = go()
    frame = pd.concat([turns(users=60)] * 150, ignore_index=True)
    frame["intended_s"] = np.linspace(0, 7200, len(frame))
    faults = tuple(replace(base.faults[n % 2], id=f"w{n}", start_s=180.0 * n, end_s=180.0 * n + 60) for n in range(40))
    spans = tuple((f"phase-{n}", 90.0 * n, 90.0 * n + 90) for n in range(80))
    return replace(base, turns=frame, faults=faults, phases=spans, connections=connections(), health=health())


def test_a_smoke_run_is_under_a_megabyte_and_a_long_one_under_three() -> None:
    assert len(render_html(no_go()).encode()) < 1_000_000
    assert len(render_html(long_run()).encode()) < 3_000_000


def test_the_hypothesis_the_clean_up_and_how_effects_are_known_have_their_lines() -> None:
    text = render_html(cannot_say())
    assert re.search(
        r'<p id="hypothesis"><b>Hypothesis</b> <span class="st open">.*cannot say</span>: <bdi>jam-heal-short', text
    )
    assert '<dd id="cleanup"><bdi>no toxic, proxy or process left</bdi></dd>' in text
    assert "direction: read back, not measured" in text
    assert "<p>resumed on another node: 3 of 30</p>" in text
    assert "such faults touch only the sessions of this run" in text
    assert "not reached by 4 of 30" in text
    assert '<section id="recovery">' in text


def test_a_run_that_is_no_experiment_has_no_hypothesis() -> None:
    assert 'id="hypothesis"' not in render_html(go())
