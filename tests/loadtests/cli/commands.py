"""Commands as called in one process, with the error that ``main`` would print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loadtests.cli import app
from loadtests.errors import GauntletError
from tests.loadtests.histories import Bench

__all__ = ["called", "recorded", "refused"]


def called(*arguments: str | Path) -> tuple[int, str]:
    """Exit code, and what it printed."""
    done = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, [str(one) for one in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def refused(*arguments: str | Path) -> str:
    """The sentence of a command that must not work."""
    with pytest.raises(GauntletError) as caught:
        called(*arguments)
    assert caught.value.exit_code == 2
    return str(caught.value)


def recorded(folder: Path, *turns: Sequence[str]) -> Path:
    """A run directory of one session with these turns."""
    bench = Bench(folder)
    talk = bench.session().ready()
    for roles in turns:
        talk.begin("What does it cost?")
        talk.say(*roles)
    talk.close(1000, ours=True).stop()
    bench.recorder.close({"users": 1, "turns": len(turns), "errors": {}, "provisional": {}})
    return folder
