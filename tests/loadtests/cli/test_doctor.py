"""``gauntlet doctor``: a line a thing, exit 2 if something needed is missing."""

from __future__ import annotations

import pytest

from loadtests.conductor import diagnosis
from tests.loadtests.cli.commands import called, refused


@pytest.mark.parametrize(("state", "code", "sign"), [("ok", 0, "✓"), ("warn", 0, "!"), ("bad", 2, "✗")])
def test_the_exit_code_says_whether_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, state: str, code: int, sign: str
) -> None:
    monkeypatch.setattr(diagnosis, "local", lambda: [("python", "ok", "3.11"), ("thing", state, "text \x1b[2J[bold]")])
    assert called("doctor") == (code, f"✓ python       3.11\n{sign} thing        text  [2J[bold]\n")


def test_the_way_to_a_target_follows_what_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(diagnosis, "local", list)
    monkeypatch.setattr(diagnosis, "way_to", lambda *words: asked.append(words) or [("tcp", "bad", "refused")])
    code, said = called("doctor", "--target", "ws://127.0.0.1:1", "--allow-target", "h")
    assert (code, said) == (2, "✗ tcp          refused\n")
    assert asked == [("ws://127.0.0.1:1", "", "", "", "", ("h",))]


def test_a_target_that_is_none_is_told() -> None:
    assert "is no WebSocket URL" in refused("doctor", "--target", "http://h")
