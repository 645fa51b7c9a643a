from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from loadtests.conductor import selftest
from loadtests.simulation.faults import FAULTS
from tests.loadtests.cli.commands import called, refused


def test_the_matrix_and_the_figures_are_printed_and_the_exit_is_0() -> None:
    code, text = called("selftest", "--defect", "duplicate", "--seeds", "2")
    assert code == 0, text
    assert "duplicate" in text
    assert text.count("2/2") == 2
    assert "the judge is right" in text


def test_clean_runs_are_counted_with_their_faults() -> None:
    clean = selftest.figures("netra", 3)
    code, text = called("selftest", "--contract", "netra", "--runs", "3", "--seeds", "1", "--only-clean")
    assert f"netra: 3 clean runs, {clean.sessions} sessions, {clean.turns} turns, {clean.events} events" in text
    for kind in clean.kinds:
        assert f"{kind} {clean.effective[kind]}/{clean.faults[kind]}" in text
    assert f"{clean.small} smaller than promised" in text
    assert "% with a reconnect" in text
    assert code == (0 if clean.ok else 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"small": 1}, "1 smaller than promised"), ({"reconnecting": 7}, "fewer than 80% with a reconnect"),
     ({"effective": {}}, "no jam ever did anything")],
)  # fmt: skip
def test_clean_runs_that_break_a_promise_are_not_right_and_it_is_said_why(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    good = dict.fromkeys((kind.name for kind in FAULTS.values()), 3)
    clean = selftest.Figures("netra", runs=10, reconnecting=8, faults=Counter(good), effective=Counter(good))
    monkeypatch.setattr(selftest, "figures", lambda *_: clean)
    assert called("selftest", "--contract", "netra", "--only-clean")[0] == 0
    for name, value in changes.items():
        setattr(clean, name, Counter(value) if name == "effective" else value)
    code, text = called("selftest", "--contract", "netra", "--only-clean")
    assert (code, said in text, "NOT right" in text) == (1, True, True)


def test_one_seed_is_told_at_length() -> None:
    code, text = called("selftest", "--defect", "duplicate", "--contract", "reference", "--seed", "3")
    assert code == 0, text
    for part in (
        "users",
        "touched",
        "duplicate: redelivered",
        "found: duplicate; must be found: duplicate",
        "history ",
    ):
        assert part in text


def test_what_is_wrong_comes_with_the_command_that_replays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "found", lambda *_: frozenset({"order"}))
    code, text = called("selftest", "--defect", "duplicate", "--contract", "reference", "--seeds", "1")
    assert code == 1
    assert "gauntlet selftest --contract reference --defect duplicate --seed 1" in text
    assert "NOT right" in text


def test_what_is_not_expected_is_not_counted_as_found() -> None:
    code, text = called("selftest", "--defect", "late-event", "--contract", "netra", "--seeds", "1")
    (row,) = [line.split() for line in text.splitlines() if line.startswith("late-event")]
    assert (code, row) == (0, ["late-event", "netra", "–", "–", "–", "0"])


def test_too_few_occasions_are_not_right_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "MOST_TRIES", 1)
    code, text = called("selftest", "--defect", "half-read", "--contract", "reference", "--seeds", "3")
    assert (code, "an occasion in 1 of 3 runs, and 3 wanted" in text, "NOT right" in text) == (1, True, True), text


@pytest.mark.parametrize("options", [("--runs", "0"), ("--defect", "duplicate")])
def test_options_that_play_nothing_are_refused(monkeypatch: pytest.MonkeyPatch, options: tuple[str, str]) -> None:
    monkeypatch.setattr(selftest, "twin", None)  # before anything is played
    assert options[0] in refused("selftest", "--only-clean", *options)


def test_impossible_options_are_refused() -> None:
    assert "nearest" not in refused("selftest", "--defect", "duplicat")
    assert "duplicate" in refused("selftest", "--defect", "duplicat")
    assert "reference" in refused("selftest", "--contract", "referenc")
