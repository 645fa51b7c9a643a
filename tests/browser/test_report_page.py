"""report.html in a real browser: what stands on the first screen, that hostile text runs nothing, that it asks for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from reports.render.html import render_html
from tests.browser.chromium import open_page
from tests.reports.judgements import EXAMPLES

pytestmark = pytest.mark.live

#: relative luminance and contrast by WCAG, over the nearest opaque background; returns what is under 4.5:1
CONTRAST = """() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = parse(c).slice(0, 3).map(v => {
      v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) { const b = getComputedStyle(e).backgroundColor, p = parse(b);
    if (p.length < 4 || p[3] === 1) return b; } return 'rgb(255,255,255)'; };
  const bad = new Set();
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length || e.closest('script,style,title,desc')) continue;
    const svg = e.namespaceURI.endsWith('svg'), style = getComputedStyle(e);
    if (svg && style.stroke !== 'none') continue;
    const a = light(svg ? style.fill : style.color), b = light(ground(e.parentElement));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.add(e.tagName + ' ' + e.textContent.slice(0, 30) + ' ' + ratio.toFixed(2));
  }
  return [...bad];
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for name, example in EXAMPLES.items():
        made[name] = folder / f"{name}.html"
        made[name].write_text(render_html(example()), encoding="utf-8")
    return made


def bottom(page: Page, selector: str) -> float:
    box = page.locator(selector).bounding_box()
    assert box, selector
    return box["y"] + box["height"]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "blocked"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_runs_nothing_is_asked_for_and_nothing_complains(
    browser: Browser, pages: dict[str, Path], name: str, scripts: bool
) -> None:
    said: list[str] = []
    with open_page(browser, pages[name], scripts=scripts) as opened:
        opened.page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        opened.page.reload(wait_until="load")
        assert (opened.errors, opened.outside, said) == ([], [], [])
        assert opened.page.locator("main script, svg script, img, iframe").count() == 0
        assert opened.page.locator("h1 #verdict").inner_text().strip()[2:] == opened.page.title().split(" · ")[0][2:]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "blocked"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_verdict_why_what_ran_and_how_sure_stand_on_the_first_screen(
    browser: Browser, pages: dict[str, Path], name: str, scripts: bool
) -> None:
    with open_page(browser, pages[name], scripts=scripts) as opened:
        for selector in ("#verdict", "#sentence", "#why", "#ran", "#sure"):
            assert bottom(opened.page, selector) <= 800, selector


@pytest.mark.parametrize("name", ["go", "no-go", "cannot-say"])
def test_events_faults_books_and_the_charts_top_too(browser: Browser, pages: dict[str, Path], name: str) -> None:
    with open_page(browser, pages[name], scripts=False) as opened:
        for selector in ("#events", "#faults", "#books"):
            assert bottom(opened.page, selector) <= 800, selector
        chart = opened.page.locator("#latency svg").bounding_box()
        assert chart
        assert chart["y"] < 780
        faults = opened.page.locator("#faults .scroll")
        assert faults.evaluate("e => e.scrollWidth <= e.clientWidth")


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("name", EXAMPLES)
def test_only_tables_and_charts_scroll_sideways(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    with open_page(browser, pages[name], scripts=True, width=width) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["no-go", "cannot-say"])
def test_text_has_contrast_in_both_themes(browser: Browser, pages: dict[str, Path], name: str, dark: bool) -> None:
    with open_page(browser, pages[name], scripts=True, dark=dark) as opened:
        assert opened.page.evaluate(CONTRAST) == []


def test_the_filter_hides_what_needs_no_look_and_is_absent_without_scripts_or_rows(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with open_page(browser, pages["no-go"], scripts=True) as opened:
        rows = opened.page.locator("#gates tbody tr:visible")
        assert rows.count() == 9
        opened.page.locator("#gates button").press("Enter")
        assert rows.count() == 4
        opened.page.locator("#gates button").press("Enter")
        assert rows.count() == 9
    for name, scripts in (("no-go", False), ("empty", True)):
        with open_page(browser, pages[name], scripts=scripts) as opened:
            assert opened.page.locator("button").count() == 0


@pytest.mark.parametrize("name", ["no-go", "hostile"])
def test_the_value_chain_stands_below_and_unfolds_without_scripts(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    with open_page(browser, pages[name], scripts=False) as opened:
        chain = opened.page.locator("#chain")
        box = chain.bounding_box()
        assert box
        assert box["y"] > 800, "the first screen is the verdict's"
        assert chain.locator("figure svg").count() == 1
        assert chain.locator("h3").all_inner_texts() == ["What users perceive", "How turns ended", "Streamed answers"]
        folded = chain.locator("details table")
        assert [folded.nth(n).is_visible() for n in range(folded.count())] == [False] * 5
        for n in range(folded.count()):
            chain.locator("summary").nth(n).press("Enter")
        assert [folded.nth(n).is_visible() for n in range(folded.count())] == [True] * 5


def test_a_witness_is_one_key_press_from_the_first_screen(browser: Browser, pages: dict[str, Path]) -> None:
    with open_page(browser, pages["no-go"], scripts=True) as opened:
        opened.page.locator("#why a").first.press("Enter")
        opened.page.wait_for_function("location.hash === '#w1'")
        assert opened.page.locator("#w1").is_visible()


def test_the_keyboard_passes_through_the_whole_page(browser: Browser, pages: dict[str, Path]) -> None:
    with open_page(browser, pages["go"], scripts=True) as opened:
        opened.page.keyboard.press("Tab")
        assert opened.page.evaluate("document.activeElement.className") == "skip"
        seen = 0
        while opened.page.evaluate("document.activeElement !== document.body") and seen < 200:
            opened.page.keyboard.press("Tab")
            seen += 1
        assert 10 < seen < 200
