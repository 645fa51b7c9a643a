"""The browser that judges the pages does what the page tests take for granted."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from loadtests.errors import RigError
from tests.browser.chromium import find_chromium, open_page, screenshot

PAGE = """<!doctype html><meta charset="utf-8"><title>t</title>
<style>body { background: #fff } @media (prefers-color-scheme: dark) { body { background: #000 } }</style>
<p id="p">plain</p><noscript>none</noscript><img src="http://127.0.0.1:9/x.png">
<script>document.getElementById("p").textContent = innerWidth + "x" + innerHeight</script>"""


@pytest.fixture
def page_path(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text(PAGE, encoding="utf-8")
    return path


@pytest.mark.live
@pytest.mark.parametrize(("scripts", "text"), [(True, "640x480"), (False, "plain")])
def test_scripts_run_only_when_asked_for(browser: Browser, page_path: Path, scripts: bool, text: str) -> None:
    with open_page(browser, page_path, scripts=scripts, width=640, height=480) as opened:
        assert opened.page.inner_text("#p") == text


@pytest.mark.live
def test_what_a_page_asks_for_outside_itself_is_noted_and_not_fetched(browser: Browser, page_path: Path) -> None:
    with open_page(browser, page_path, scripts=False) as opened:
        assert opened.outside == ["http://127.0.0.1:9/x.png"]


@pytest.mark.live
def test_a_dark_screen_is_dark(browser: Browser, page_path: Path) -> None:
    ask = "getComputedStyle(document.body).backgroundColor"
    seen = {}
    for dark in (False, True):
        with open_page(browser, page_path, scripts=True, dark=dark) as opened:
            seen[dark] = opened.page.evaluate(ask)
    assert seen == {False: "rgb(255, 255, 255)", True: "rgb(0, 0, 0)"}


@pytest.mark.live
def test_a_screenshot_has_the_size_asked_for(page_path: Path, tmp_path: Path) -> None:
    screenshot(page_path, tmp_path / "shot.png", scripts=False, width=320, height=200)
    head = (tmp_path / "shot.png").read_bytes()[:24]
    assert (head[1:4], int.from_bytes(head[16:20]), int.from_bytes(head[20:24])) == (b"PNG", 320, 200)


def test_without_a_chromium_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GAUNTLET_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RigError, match="apt-get install chromium"):
        find_chromium()


def test_a_named_chromium_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAUNTLET_CHROMIUM", "no-such-browser")
    with pytest.raises(RigError, match="no-such-browser"):
        find_chromium()
