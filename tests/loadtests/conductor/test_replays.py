"""What a failing run found is read from its folder, and a run under another plan is asked for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.conductor import replays
from loadtests.conductor.options import RunOptions, prepare
from loadtests.conductor.replays import Live, Target, command_of, failure_of
from loadtests.errors import ConfigError
from tests.loadtests.conductor.failures import failed, storm


def test_a_failure_is_its_ids_but_for_what_the_harness_has_against_itself(tmp_path: Path) -> None:
    plan = storm(cuts=2)
    read = failure_of(failed(tmp_path, plan, ids=("honesty", "self", "loss")))
    assert (read.ids, read.plan, read.seed, read.defect) == ({"honesty", "loss"}, plan, 3, "replay-skips")


def test_without_findings_or_windows_there_is_nothing_to_shrink(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no checker found anything"):
        failure_of(failed(tmp_path / "a", storm(cuts=2), ids=("self",)))
    bare = failed(tmp_path / "b", storm(cuts=2))
    plan = json.loads((bare / "plan.json").read_text())
    (bare / "plan.json").write_text(json.dumps({**plan, "windows": []}))
    with pytest.raises(ConfigError, match="there are no fault windows"):
        failure_of(bare)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"checks": 3}', '{"checks": [{"verdict": "invalid"}]}'])
def test_a_broken_verdict_is_said(tmp_path: Path, text: str) -> None:
    run = failed(tmp_path, storm(cuts=2))
    (run / "verdict.json").write_text(text)
    with pytest.raises(ConfigError, match="is no judged run directory"):
        failure_of(run)


@pytest.mark.parametrize(
    ("found", "same"),
    [({"honesty"}, True), ({"honesty", "self"}, True), ({"honesty", "loss"}, False), (set(), False), (None, False)],
)
def test_a_live_run_fails_when_it_finds_the_same_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: set[str] | None, same: bool
) -> None:
    def run(options: RunOptions, *_: object) -> int:
        assert options.out is not None
        options.out.mkdir()
        if found is not None:
            checks = [{"id": one, "verdict": "invalid"} for one in found]
            (options.out / "verdict.json").write_text(json.dumps({"checks": checks}))
        return 0

    monkeypatch.setattr(replays, "run", run)
    plan = storm(cuts=2)
    failure = failure_of(failed(tmp_path, plan))
    live = Live(failure, Target(), tmp_path, lambda _: None, lambda *_: None)
    assert live.fails(plan) is same
    assert (tmp_path / "live-1.json").read_text() == plan.to_json()


@pytest.mark.parametrize(("url", "nodes"), [("", 2), ("ws://127.0.0.1:1/ws", None)])
def test_only_the_embedded_backend_is_started_with_nodes_again(tmp_path: Path, url: str, nodes: int | None) -> None:
    failure = failure_of(failed(tmp_path, storm(cuts=2), defect="", backend={"nodes": 2}))
    live = Live(failure, Target(url=url), tmp_path, lambda _: None, lambda *_: None)
    options = live.run_options(tmp_path / "plan.json")
    assert options.nodes == nodes
    prepare(options)  # a target and a number of nodes would contradict each other


def test_who_interrupts_one_run_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "run", lambda *_: 130)
    failure = failure_of(failed(tmp_path, storm(cuts=2)))
    with pytest.raises(KeyboardInterrupt):
        Live(failure, Target(), tmp_path, lambda _: None, lambda *_: None).fails(failure.plan)


def test_the_command_holds_all_that_the_run_was_told() -> None:
    options = RunOptions(
        scenario="r/scenario.yaml", contract="r/contract.yaml", experiment="my plan.json", seed=9, processes=2, target="wss://chat",
        allow_target=("chat",), token_env="MINE", nodes=2,
    )  # fmt: skip
    assert command_of(options) == (
        "gauntlet run r/scenario.yaml --contract r/contract.yaml --experiment 'my plan.json' --seed 9 --processes 2 --nodes 2 "
        "--target wss://chat --allow-target chat --token-env MINE"
    )
