"""``gauntlet run``: options become a run's options; a dry run says all and does nothing; mistakes are told first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadtests import conductor
from loadtests.conductor import RunOptions
from tests.loadtests.cli.commands import called, refused


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RunOptions]:
    options: list[RunOptions] = []

    def run(one: RunOptions, say: Any, progress: Any) -> int:
        options.append(one)
        say("judging what was recorded")
        progress("steady", 1.0, 2.0)
        progress("steady", 1.5, 2.0)
        return 99

    monkeypatch.setattr(conductor, "run", run)
    return options


def test_options_are_handed_on(asked: list[RunOptions], tmp_path: Path) -> None:
    code, _ = called(
        "run", "nightly", "--target", "ws://h", "--contract", "c", "--token-env", "T", "--users", "7", "--duration", "1m30s",
        "--seed", "4",
        "--processes", "2", "--no-chaos", "--toxiproxy-url", "http://t", "--allow-target", "h", "--allow-target", "i",
        "--label", "build=a=b",
        "--ca", "ca.pem", "--resolve", "h=1", "--out", tmp_path, "--web", "--defect", "silent", "--nodes", "3", "--experiment", "flap",
        "--form", "short", "--dry-run",
    )  # fmt: skip
    assert code == 99
    assert asked == [
        RunOptions(
            scenario="nightly", target="ws://h", contract="c", token_env="T", users=7, duration_s=90.0, seed=4, processes=2, chaos=False,
            toxiproxy_url="http://t", allow_target=("h", "i"), labels={"build": "a=b"}, ca="ca.pem", resolve="h=1", out=tmp_path, web=True,
            defect="silent", nodes=3, experiment="flap", form="short", dry_run=True,
        )
    ]  # fmt: skip


def test_without_options_there_are_defaults(asked: list[RunOptions]) -> None:
    called("run", "smoke")
    assert asked == [RunOptions(scenario="smoke")]


def test_without_a_terminal_each_phase_is_one_line(asked: list[RunOptions]) -> None:
    assert called("run", "smoke")[1].count("steady") == 1


def test_a_dry_run_says_everything_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = called("run", "smoke", "--dry-run", "--defect", "silent")
    assert code == 0
    for words in (
        "scenario  smoke",
        "with defect silent",
        "contract  reference",
        "60 users in 1 process",
        "30 users treated",
        "w1 latency",
        "gates",
    ):
        assert words in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("smok",), "did you mean 'smoke'?"),
        (("smoke", "--contract", "nettra"), "did you mean 'netra'?"),
        (("smoke", "--label", "build"), "--label: 'build'; expected KEY=VALUE"),
        (("smoke", "--label", "=x"), "expected KEY=VALUE"),
        (("smoke", "--duration", "soon"), "a duration such as 90s"),
        (("smoke", "--defect", "silence"), "did you mean 'silent'?"),
        (("smoke", "--target", "ws://chat.example"), "--allow-target chat.example"),
        (("smoke", "--users", "0"), "at least 1"),
        (("smoke", "--experiment", "flapp"), "did you mean 'flap'?"),
        (("smoke", "--form", "short"), "only an experiment has forms"),
        (("smoke", "--nodes", "0"), "--nodes: 0; expected 1 to 16"),
        (("smoke", "--defect", "zombie-after-kill"), "--nodes 2"),
        (("smoke", "--processes", "0"), "--processes: 0; expected at least 1"),
        (("smoke", "--token-env", "NO_SUCH"), "the environment has no NO_SUCH"),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refused("run", *arguments)
    assert list(tmp_path.iterdir()) == []
