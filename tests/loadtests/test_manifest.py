"""The manifest: complete at the start, completed at the end, readable whatever happened between."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from loadtests.manifest import PACKAGES, complete, new_nonce, new_run_dir, read_manifest, write_manifest

FACTS = {"scenario": "smoke", "users": 60, "pace_ms": 2000, "target": "ws://h/ws", "seed": 1}


def test_a_nonce_is_found_in_text_and_never_the_same() -> None:
    made = {new_nonce() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch("gx[0-9a-f]{8}", nonce) for nonce in made)


def test_a_run_directory_says_when_and_what(tmp_path: Path) -> None:
    one, two = new_run_dir(tmp_path, "smoke"), new_run_dir(tmp_path, "smoke")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}Z-smoke-[0-9a-f]{4}", one.name)
    assert one != two
    assert (one / "rows").is_dir()


def test_the_start_says_everything_but_the_end(tmp_path: Path) -> None:
    write_manifest(tmp_path, FACTS)
    one = read_manifest(tmp_path)
    assert {key: one[key] for key in FACTS} == FACTS
    assert (one["exit"], one["schema"], set(one["versions"])) == (None, 1, set(PACKAGES))
    assert one["versions"]["locust"].startswith("2.")


def test_the_end_is_added_and_the_start_stays(tmp_path: Path) -> None:
    write_manifest(tmp_path, FACTS)
    complete(tmp_path, "interrupted", preflight={"fit": "fits"})
    one = read_manifest(tmp_path)
    assert (one["exit"], one["users"], one["preflight"]) == ("interrupted", 60, {"fit": "fits"})
    assert one["clock_end"]["monotonic_ns"] >= one["clock"]["monotonic_ns"]
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_no_path_of_this_machine_gets_into_argv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/gauntlet", "run", "smoke"])
    write_manifest(tmp_path, FACTS)
    assert read_manifest(tmp_path)["argv"] == ["gauntlet", "run", "smoke"]


@pytest.mark.parametrize("text", [None, "", "{", "[]", '"x"'])
def test_a_manifest_that_cannot_be_read_is_an_empty_one(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    assert read_manifest(tmp_path) == {}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"seed": 2}, True),
        ({"labels": {"build": "x"}}, True),
        ({"users": 61}, False),
        ({"target": "ws://other/ws"}, False),
    ],
)
def test_runs_are_comparable_if_they_did_the_same(tmp_path: Path, change: dict[str, object], same: bool) -> None:
    keys = []
    for facts in (FACTS, {**FACTS, **change}):
        write_manifest(tmp_path, facts)
        keys.append(json.loads((tmp_path / "manifest.json").read_text())["comparability_key"])
    assert (keys[0] == keys[1]) is same
