"""``gauntlet capacity``: its options reach the search, and what is wrong is told before any traffic."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests import conductor
from loadtests.conductor import capacity as module
from loadtests.conductor.capacity import CapacityOptions
from tests.loadtests.cli.commands import called, refused


def test_its_options_reach_the_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[CapacityOptions] = []

    def search(options: CapacityOptions, *_: object) -> int:
        seen.append(options)
        return 3

    monkeypatch.setattr(module, "capacity", search)
    words = (
        "--by",
        "rate",
        "--start",
        "5",
        "--most",
        "90",
        "--hold",
        "1m",
        "--experiment",
        "flap",
        "--out",
        tmp_path,
        "--max-turns",
        "9",
    )
    assert called("capacity", "smoke", *words)[0] == 3
    (one,) = seen
    assert (one.by, one.start, one.most, one.hold_s, one.settle_s, one.out) == ("rate", 5, 90, 60, 3, tmp_path)
    assert one.run == conductor.RunOptions(scenario="smoke", chaos=True, experiment="flap", max_turns=9)


def test_a_mistake_is_told() -> None:
    assert "--hold" in refused("capacity", "smoke", "--hold", "soon")
    assert "no scenario 'smok'" in refused("capacity", "smok")
