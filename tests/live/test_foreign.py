"""A server by another hand: good in every shape, and under faults nothing false is said of it and nothing is missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.foreign_server import ForeignServer, foreign_server
from tests.live.gauntlet import CHAOS, Ended, gauntlet, scenario, together
from tests.live.truth import Compared, compare

pytestmark = pytest.mark.live

SHAPES = ("flat", "data", "payload", "wrapped")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Ended, Compared]]:
    def run(shape: str) -> tuple[Ended, Compared]:
        folder = tmp_path_factory.mktemp(shape)
        with foreign_server("-shape", shape, truth=folder / "truth.jsonl") as server:
            ended = gauntlet(
                "run", "smoke", "--no-chaos", "--users", "30", "--duration", "8s", "--target", server.url, cwd=folder
            )
            return ended, compare(ended.run, server.emitted())

    return together({shape: lambda shape=shape: run(shape) for shape in SHAPES})  # type: ignore[misc]  # bound at once


@pytest.mark.parametrize("shape", SHAPES)
def test_without_chaos_it_is_go_in_every_shape(shapes: dict[str, tuple[Ended, Compared]], shape: str) -> None:
    ended, compared = shapes[shape]
    assert (ended.code, ended.ids, compared.findings) == (0, set(), 0), ended
    assert compared.unfound == []


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Compared]:
    """With tokens, so that it knows who comes back; pauses between events, so that a cut hits turns in flight."""
    folder = tmp_path_factory.mktemp("cut")
    truth = folder / "truth.jsonl"
    with foreign_server("-gap", "80ms", truth=truth) as server:
        ended = run_under_chaos(folder, server)
        return ended, compare(ended.run, server.emitted())


def run_under_chaos(folder: Path, server: ForeignServer) -> Ended:
    env = {"CHAT_TOKEN": "{user}.x.y"}
    file = scenario(folder / "cut.yaml", CHAOS, contract="netra")
    return gauntlet("run", file, "--target", server.url, "--token-env", "CHAT_TOKEN", env=env, cwd=folder)


def test_under_chaos_the_run_is_whole_and_the_fault_bit(cut: tuple[Ended, Compared]) -> None:
    ended, _ = cut
    assert ended.code in {0, 99}, ended
    assert ended.checks["self"]["verdict"] == "valid"
    (fault,) = ended.verdict["faults"]
    assert (fault["effect"], fault["disconnected"]) == ("confirmed", 15)


def test_under_chaos_every_finding_is_true(cut: tuple[Ended, Compared]) -> None:
    assert cut[1].untrue == []


def test_under_chaos_every_event_that_was_written_and_lost_is_a_finding(cut: tuple[Ended, Compared]) -> None:
    assert cut[1].unfound == []


def test_a_loss_makes_it_no_go_and_none_makes_it_go(cut: tuple[Ended, Compared]) -> None:
    ended, compared = cut
    assert ended.code == (99 if compared.findings else 0), (compared, ended)
