"""The open demo wire, whose frames name no turn: what they cannot break is not asked for, and a sound server is GO."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.foreign_server import foreign_server
from tests.live.gauntlet import gauntlet, scenario

pytestmark = pytest.mark.live

SHORT: dict[str, float] = {"warm-up": 1.0, "steady": 3.0, "cool-down": 1.0}


def test_a_sound_demo_is_go_and_its_frames_of_no_turn_are_listed_as_not_checked(tmp_path: Path) -> None:
    """The server gives each run an id of its own, which the contract does not read."""
    file = scenario(tmp_path / "short.yaml", SHORT)
    with foreign_server() as server:
        ended = gauntlet("run", file, "--no-chaos", "--contract", "netra-demo", "--target", server.url, cwd=tmp_path)
    assert (ended.code, ended.verdict["verdict"], ended.ids) == (0, "go", set()), ended
    assert ended.verdict["books"]["ok"] == ended.verdict["books"]["sent"] > 100
    assert (ended.checks["phantom"]["verdict"], ended.checks["phantom"]["required"]) == ("not-exercised", False)
    assert any(line.startswith("phantom ") for line in ended.verdict["not_checked"])
    assert {id_ for id_, check in ended.checks.items() if check["verdict"] == "valid"} >= {
        "complete", "order", "pairing", "terminal", "silence", "vocabulary", "schema", "leak", "close", "self",
    }  # fmt: skip
