"""Options of the mission-critical suite: which backend it runs against."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gauntlet")
    group.addoption("--target", default="", help="Run -m mission_critical against this ws:// or wss:// URL.")
    group.addoption("--contract", default="", help="The target's contract: a name or a YAML file.")
    group.addoption("--token-env", default="", help="Variable that holds the token; {user} in it becomes the user.")
