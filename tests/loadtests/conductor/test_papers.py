"""What a run says of itself and hands to its load processes: whole, the same for both, and without a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtests import assignment
from loadtests.acts import Act
from loadtests.conductor import folder
from loadtests.conductor.options import Prepared, RunOptions, prepare
from loadtests.conductor.papers import Papers, acts_of, windows_of
from loadtests.manifest import read_manifest

URL = "ws://127.0.0.1:7/ws"
LISTENERS = {"control": ("127.0.0.1", 1), "treated": ("127.0.0.1", 2), "treated-alt": ("127.0.0.1", 3)}
FAULTS = [
    {"at_s": 0, "for_s": 1, "fault": {"kind": "switch", "share": 0.5}},
    {"at_s": 3, "for_s": 1, "fault": {"kind": "sleep"}},
    {"at_s": 6, "for_s": 1, "fault": {"kind": "jam"}},
]


def prepared(folder_: Path, **options: Any) -> Prepared:
    phases = [{"name": "steady", "s": 5}, {"name": "acts", "s": 9, "faults": FAULTS}, {"name": "after", "s": 5}]
    body = {"scenario": 1, "name": "mine", "users": 10, "pace_ms": 1000, "prompts": ["p"], "phases": phases}
    path = folder_ / "mine.yaml"
    path.write_text(yaml.safe_dump(body))
    return prepare(RunOptions(**{"scenario": str(path), "out": folder_ / "out", **options}))


@pytest.fixture
def one(tmp_path: Path) -> Prepared:
    return prepared(tmp_path)


def test_the_load_processes_get_listeners_and_only_their_own_part_of_the_plan(one: Prepared) -> None:
    run_dir = folder.make(one)
    papers = Papers(one, run_dir, URL)
    papers.assign({})
    first = assignment.read(run_dir / "assignment.json")
    assert (first.listeners, first.acts, first.target) == ({}, [], URL)
    papers.assign(LISTENERS)
    second = assignment.read(run_dir / "assignment.json")
    assert (second.listeners, second.nonce) == (LISTENERS, first.nonce)
    assert second.acts == [
        Act("w1", "switch", "treated", 5000, 6000, {"share": 0.5}, "treated-alt"),
        Act("w2", "sleep", "treated", 8000, 9000, {"share": 1.0}),
    ]


def test_a_handshake_fault_is_handed_on_with_its_listener(tmp_path: Path) -> None:
    rows = [{"at_s": 0, "for_s": 2, "fault": {"kind": "handshake", "fault": "reset"}}]
    phases = [{"name": "s", "s": 2}, {"name": "hs", "s": 5, "faults": rows}, {"name": "after", "s": 5}]
    body = {"scenario": 1, "name": "mine", "users": 10, "pace_ms": 1000, "prompts": ["p"], "phases": phases}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(body))
    (act,) = acts_of(prepare(RunOptions(scenario=str(tmp_path / "mine.yaml"))).plan)
    assert (act.kind, act.listener, act.start_ms, act.end_ms) == ("handshake", "treated-hs", 2000, 4000)


def test_the_manifest_says_of_each_window_who_acts_and_what_it_may_do(one: Prepared) -> None:
    run_dir = folder.make(one)
    Papers(one, run_dir, URL).declare("somewhere", "2.12.0")
    said = read_manifest(run_dir)
    assert (said["chaos"], said["scope"], said["toxiproxy"], said["target"]) == (True, "cohort", "2.12.0", "somewhere")
    assert said["windows"] == windows_of(one.plan)
    found = {w["kind"]: (w["place"], w["disconnects"], w["may_disconnect"], w["swallows"]) for w in said["windows"]}
    assert found == {
        "switch": ("client", True, False, True),
        "sleep": ("client", False, True, True),
        "jam": ("listener", False, True, True),
    }
    assert "experiment" not in said


def test_the_manifest_says_what_was_asked_of_the_embedded_backend(tmp_path: Path) -> None:
    for options, asked in (({"nodes": 2}, {"nodes": 2}), ({"target": URL}, {})):
        one = prepared(tmp_path, **options, out=tmp_path / f"out-{len(asked)}")
        run_dir = folder.make(one)
        Papers(one, run_dir, URL).declare("somewhere", "2.12.0")
        assert read_manifest(run_dir)["backend"] == asked


def test_no_token_stands_in_any_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_TOKEN", "hush-hush")
    one = prepared(tmp_path, token_env="CHAT_TOKEN")
    run_dir = folder.make(one)
    papers = Papers(one, run_dir, URL)
    papers.assign(LISTENERS)
    papers.declare(URL, "")
    assert not [path for path in run_dir.rglob("*") if path.is_file() and b"hush" in path.read_bytes()]
    assert json.loads((run_dir / "assignment.json").read_bytes())["token_env"] == "CHAT_TOKEN"
