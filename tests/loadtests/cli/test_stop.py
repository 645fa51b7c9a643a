"""``gauntlet stop``: asks, and waits until the run says how it ended."""

from __future__ import annotations

import threading
from pathlib import Path

from loadtests import manifest
from loadtests.stopping import asked_to_stop
from tests.live.gauntlet import until
from tests.loadtests.cli.commands import called, refused


def test_it_asks_and_waits_for_the_end(tmp_path: Path) -> None:
    manifest.write_manifest(tmp_path, {})

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
    manifest.write_manifest(tmp_path, {})
    assert called("stop", tmp_path, "--no-wait") == (0, f"{tmp_path.name}: asked to stop\n")
    assert asked_to_stop(tmp_path) == "asked by gauntlet stop"


def test_what_is_over_or_no_run_is_told(tmp_path: Path) -> None:
    assert "is no run directory" in refused("stop", tmp_path)
    manifest.write_manifest(tmp_path, {})
    manifest.complete(tmp_path, "ended")
    assert "the run is over: ended" in refused("stop", tmp_path)
