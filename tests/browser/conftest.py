"""A browser for a page test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import chromium


# One a test and not one a session: while it lives, Playwright's loop runs in this thread, and no other test's may.
@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running
