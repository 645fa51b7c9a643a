"""A real Chromium, found on this machine, driven by Playwright; opens pages from disk and notes what they ask for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from loadtests.errors import RigError

__all__ = ["NAMES", "Opened", "chromium", "find_chromium", "open_page", "screenshot"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A page, the errors that its scripts made, and every address outside its own file that it asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


def find_chromium() -> str:
    """The browser's program: GAUNTLET_CHROMIUM, or the first of NAMES on PATH.

    Raises:
        RigError: there is none; the message says how to get one.
    """
    if named := os.environ.get("GAUNTLET_CHROMIUM"):
        if found := shutil.which(named):
            return found
        raise RigError(f"GAUNTLET_CHROMIUM names no program: {named}")
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise RigError(
        f"no Chromium on PATH ({', '.join(NAMES)}): run `make chromium`, install one (Debian, as root: "
        "apt-get install chromium), or name one in GAUNTLET_CHROMIUM"
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    program = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(
    browser: Browser, page_path: Path, *, scripts: bool, width: int = 1280, height: int = 800, dark: bool = False
) -> Iterator[Opened]:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        java_script_enabled=scripts,
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        offline=True,
    )
    try:
        own = page_path.resolve().as_uri()
        opened = Opened(context.new_page())
        opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.page.on("console", lambda said: opened.errors.append(said.text) if said.type == "error" else None)
        opened.page.on(
            "request",
            lambda asked: None if asked.url.startswith((own, "data:", "blob:")) else opened.outside.append(asked.url),
        )
        opened.page.goto(own, wait_until="load")
        yield opened
    finally:
        context.close()


def screenshot(
    page_path: Path, png_path: Path, scripts: bool, width: int = 1280, height: int = 800, dark: bool = False
) -> None:
    """The first screen of a page from disk, as a person would see it."""
    with (
        chromium() as browser,
        open_page(browser, page_path, scripts=scripts, width=width, height=height, dark=dark) as opened,
    ):
        opened.page.screenshot(path=png_path)
