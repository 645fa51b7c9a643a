"""``gauntlet try``: one turn, every frame as it comes, and what the contract says of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.loadtests.servers import closed_port

pytestmark = pytest.mark.live


def tried(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, since it runs on gevent."""
    command = [sys.executable, "-P", "-c", "from loadtests.cli import main; main()", "try", "hello", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL, env={**os.environ, "COLUMNS": "150"}
    )  # fmt: skip


def test_against_the_embedded_backend_it_traces_a_turn() -> None:
    done = tried()
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("reference on ws://", "connection_established", "agent_started", "agent_completed", "✓ turn"):
        assert words in done.stdout


def test_nobody_there_is_exit_2_with_the_step_that_failed() -> None:
    with closed_port() as port:
        done = tried("--target", f"ws://127.0.0.1:{port}")
    assert done.returncode == 2
    assert "✗ tcp" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_host_that_was_not_allowed_is_not_spoken_to() -> None:
    done = tried("--target", "ws://192.0.2.1:9")
    assert (done.returncode, "--allow-target 192.0.2.1" in done.stderr) == (2, True)
