"""``gauntlet scenario``: the built-in ones, one as a whole that reads back the same, and the schema."""

from __future__ import annotations

import json
from pathlib import Path

from loadtests import scenario
from tests.loadtests.cli.commands import called


def test_the_built_in_scenarios_are_listed() -> None:
    code, said = called("scenario", "list")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()] == scenario.names()
    assert "60 users" in said


def test_what_is_shown_is_the_whole_scenario(tmp_path: Path) -> None:
    code, said = called("scenario", "show", "smoke")
    path = tmp_path / "shown.yaml"
    path.write_text(said)
    assert (code, scenario.load(str(path))[0]) == (0, scenario.load("smoke")[0])


def test_the_schema_is_printed() -> None:
    code, said = called("scenario", "schema")
    assert (code, json.loads(said)["title"]) == (0, "Gauntlet scenario, format 1")
