"""``gauntlet report``: a run judged again, with its verdict as the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.conductor import report as module
from tests.loadtests.cli.commands import called, refused


@pytest.mark.parametrize(("verdict", "code"), [("go", 0), ("no-go", 99), ("cannot-say", 3)])
def test_the_verdict_is_the_exit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verdict: str, code: int) -> None:
    asked: list[object] = []
    monkeypatch.setattr(module, "judge_again", lambda *words: asked.append(words) or verdict)
    assert called("report", tmp_path, "--contract", "netra", "--gates", tmp_path / "g.yaml")[0] == code
    assert called("report", tmp_path)[0] == code
    assert asked == [(tmp_path, "netra", tmp_path / "g.yaml"), (tmp_path, None, None)]


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    assert "is no run directory" in refused("report", tmp_path)
