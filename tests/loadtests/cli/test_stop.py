"""``gauntlet stop``: asks, and waits until the run says how it ended."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.guard import tagged
from loadtests import manifest
from loadtests.stopping import asked_to_stop
from tests.live.gauntlet import until
from tests.loadtests.cli.commands import called, refused


@pytest.fixture(autouse=True)
def somebody(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the run."""
    words = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, env={"GAUNTLET_RUN": manifest.run_id(tmp_path)}) as process:
        until(lambda: tagged(manifest.run_id(tmp_path)))
        yield process
        process.kill()


def test_a_run_whose_processes_are_gone_is_not_waited_for(tmp_path: Path, somebody: subprocess.Popen[bytes]) -> None:
    manifest.write_manifest(tmp_path, {"kind": "run"})
    thread = threading.Thread(target=lambda: (until(lambda: asked_to_stop(tmp_path)), somebody.kill()))
    thread.start()
    assert "gone without an end" in refused("stop", tmp_path)
    thread.join()
    assert "nobody of that run is there any more" in refused("stop", tmp_path)


def test_a_run_of_plain_locust_ends_as_locust_does(tmp_path: Path) -> None:
    manifest.write_manifest(tmp_path, {"kind": "plain-locust"})
    assert "which ends as Locust does" in refused("stop", tmp_path)


def test_it_asks_and_waits_for_the_end(tmp_path: Path) -> None:
    manifest.write_manifest(tmp_path, {"kind": "run"})

    def end() -> None:
        until(lambda: asked_to_stop(tmp_path))
        manifest.complete(tmp_path, "stopped: asked by gauntlet stop")

    thread = threading.Thread(target=end)
    thread.start()
    code, said = called("stop", tmp_path)
    thread.join()
    assert code == 0
    assert said.splitlines()[-1].endswith(": stopped: asked by gauntlet stop")


def test_who_does_not_wait_is_done_at_once(tmp_path: Path) -> None:
    manifest.write_manifest(tmp_path, {"kind": "run"})
    assert called("stop", tmp_path, "--no-wait") == (0, f"{tmp_path.name}: asked to stop\n")
    assert asked_to_stop(tmp_path) == "asked by gauntlet stop"


def test_what_is_over_or_no_run_is_told(tmp_path: Path) -> None:
    assert "is no run directory" in refused("stop", tmp_path)
    manifest.write_manifest(tmp_path, {"kind": "run"})
    manifest.complete(tmp_path, "ended")
    assert "the run is over: ended" in refused("stop", tmp_path)
