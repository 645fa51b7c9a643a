"""``gauntlet show``: what is worth a look, and one turn."""

from __future__ import annotations

from pathlib import Path

from tests.loadtests.cli.commands import called, recorded, refused

WHOLE = ("start", "think", "open", "close", "done")


def test_without_a_turn_it_lists_what_is_worth_a_look(tmp_path: Path) -> None:
    run = recorded(tmp_path, WHOLE, ("think", "start", "open", "close", "done"))
    code, said = called("show", run)
    assert code == 0
    assert "1.2" in said
    assert "order: an event where the contract's order forbids it" in said


def test_with_a_turn_it_shows_it(tmp_path: Path) -> None:
    run = recorded(tmp_path, WHOLE)
    code, said = called("show", run, "1.1")
    assert code == 0
    assert "turn 1.1 of" in said
    assert "agent_completed #5" in said


def test_a_turn_that_is_not_there_is_told(tmp_path: Path) -> None:
    run = recorded(tmp_path, WHOLE)
    assert "has no turn 1.7" in refused("show", run, "1.7")
    assert "expected SESSION.TURN" in refused("show", run, "first")
