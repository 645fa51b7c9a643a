"""What a dry run says, and the warning about gates that no run of this size could decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadtests.conductor.dryrun import describe, doubts, undecidable
from loadtests.conductor.options import Prepared, RunOptions, prepare
from loadtests.metrics import Gate, parse_gates
from loadtests.scenario import BUILT_IN


def prepared(**options: Any) -> Prepared:
    return prepare(RunOptions(scenario="smoke", **options))


def gate(one: Prepared, metric: str, rule: str) -> Gate:
    names = [phase.name for phase in one.declared.phases]
    faults = ["w1", "latency", "w2", "down", "jam"]
    return parse_gates({metric: [rule]}, one.contract, names, "here", faults=faults)[0]


@pytest.mark.parametrize(
    ("metric", "rule", "turns", "words"),
    [
        ("turn.total", "p(95)<1", 1000, ""),
        ("turn.total", "p(95)<1", 58, "cannot be decided by about 58 samples"),
        ("turn.total", "p(95)<1", 59, ""),
        ("turn.total{cohort:control}", "p(95)<1", 100, "cannot be decided by about 50 samples"),
        ("turn.total{phase:steady}", "p(95)<1", 100, "cannot be decided by about 26 samples"),
        ("turn.total{cohort:treated,phase:down}", "p(90)<1", 900, ""),
        # clear of faults: all of control, and of the treated only what comes before the first or after the last grace
        ("turn.total{fault:none}", "p(99)<1", 100, "cannot be decided by about 72 samples"),
        ("turn.total{fault:none,cohort:control}", "p(99)<1", 100, "about 50 samples"),
        ("turn.total{fault:none,cohort:treated}", "p(99)<1", 100, "about 22 samples"),
        ("turn.total{fault:none,phase:down}", "p(99)<1", 900, "about 30 samples"),
        ("turn.total{fault:w1}", "p(99)<1", 90, "about 12 samples"),
        ("turn.total{fault:down}", "p(99)<1", 90, "about 13 samples"),
        ("recovery.session{fault:down}", "p(99)<1", 0, "about 30 samples"),
        ("recovery.session{fault:latency}", "p(99)<1", 0, "about 0 samples"),
        ("arrivals.achieved{fault:none}", "rate>0.99", 100, "about 100 samples"),
        ("connect.ready{cohort:treated}", "p(95)<1", 0, "about 30 samples"),
        ("connect.ready{phase:steady}", "p(95)<1", 0, ""),
        ("turn.total{fault:jam}", "p(95)<1", 1000, "not checked: this run has no such fault"),
        ("turn.success", "rate>0.999", 1000, "cannot be decided by about 1000 samples"),
        ("connect.ready", "p(90)<1", 0, ""),
        ("connect.ready", "p(99)<1", 0, "cannot be decided by about 60 samples"),
        ("recovery.session", "p(90)<1", 0, ""),
        ("recovery.session", "p(95)<1", 0, "cannot be decided by about 30 samples"),
        ("findings.order", "count==0", 0, ""),
        ("turn.total{cohort:direct}", "p(95)<1", 1000, "no such cohort"),
    ],
)
def test_a_gate_that_cannot_be_decided_is_told(metric: str, rule: str, turns: int, words: str) -> None:
    one = prepared()
    said = undecidable(gate(one, metric, rule), one, turns)
    assert (words in said) if words else said == ""


def test_without_chaos_some_gates_are_not_checked() -> None:
    one = prepared(chaos=False)
    assert "no such phase" in undecidable(gate(one, "turn.total{phase:recovery-down}", "p(90)<1"), one, 1000)
    assert "no fault cuts connections" in undecidable(gate(one, "recovery.session", "p(90)<1"), one, 1000)
    assert "no such cohort" in undecidable(gate(one, "turn.total{cohort:control}", "p(90)<1"), one, 1000)
    assert undecidable(gate(one, "turn.total{phase:steady}", "p(90)<1"), one, 1000) == ""


def test_only_gates_that_are_checked_and_too_big_for_the_run_are_doubted(tmp_path: Path) -> None:
    assert list(doubts(prepared())) == []
    assert list(doubts(prepared(chaos=False, users=30, duration_s=15.0))) == []
    said = list(doubts(prepared(chaos=False, users=20, duration_s=5.0)))
    assert "turn.total{fault:none} p(95)<5000 cannot be decided by about 51 samples, even if none is bad" in said
    assert not [line for line in said if "not checked" in line]


def test_the_built_in_main_job_is_decidable_as_it_is() -> None:
    assert "cannot be decided" not in describe(prepared())


def test_it_says_who_where_how_much_and_what_breaks() -> None:
    said = describe(prepared(seed=9, processes=2, defect="silent"))
    for words in (
        "60 users in 2 processes",
        "seed 9",
        "with defect silent",
        "30 users treated, 30 control",
        "w1 latency",
        "w2 down",
        "in 45 s",
    ):
        assert words in said
    assert "16.0 to    22.0 s  latency" in said


def test_seconds_and_faults_are_said_in_words() -> None:
    said = describe(prepared(duration_s=15.0))
    assert "turns in 15 s" in said
    assert "w1 latency 150 ms, jitter 20 ms, direction down" in said
    assert "{'" not in said


def test_no_credential_of_the_target_is_shown(tmp_path: Path) -> None:
    contract = tmp_path / "keyed.yaml"
    contract.write_text("contract: 1\nname: keyed\nextends: netra\nendpoint: {query: {token: hush}}\n")
    said = describe(prepared(target="ws://127.0.0.1:1/ws", contract=str(contract), chaos=False))
    assert "ws://127.0.0.1:1/ws" in said
    assert "hush" not in said


def test_an_experiment_is_told_with_its_hypothesis_and_each_of_its_windows() -> None:
    said = describe(prepared(experiment="jam-heal-short", form="short"))
    assert "test      jam-heal-short, short form: " in said
    assert "w1 jam" in said
    assert "w2 jam" in said
    assert "not checked: this run has no such phase" in said


def test_where_everybody_is_hit_no_control_group_is_promised() -> None:
    one = prepared(experiment="backend-kill", form="short")
    said = describe(one)
    assert "all users meet the faults, no control" in said
    assert "no such cohort" in undecidable(gate(one, "turn.total{cohort:control}", "p(90)<1"), one, 1000)


def test_limits_of_its_own_are_told(tmp_path: Path) -> None:
    text = (BUILT_IN / "smoke.yaml").read_text() + "\nabort: {error_rate: 0.5, share_hit: 0.8}\n"
    (tmp_path / "mine.yaml").write_text(text)
    said = describe(prepare(RunOptions(scenario=str(tmp_path / "mine.yaml"))))
    assert "stops itself at error rate over 0.5 or share hit over 0.8" in said
    assert "stops itself" not in describe(prepared())
