"""The command line as a whole: every command helps with an example, and what goes wrong has its exit code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from loadtests import cli
from loadtests.errors import ConfigError
from tests.loadtests.cli.commands import called


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, (*words, name))
        else:
            yield *words, name


ALL = sorted(commands(typer.main.get_command(cli.app)))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_helps_with_an_example(words: tuple[str, ...]) -> None:
    code, said = called(*words, "--help")
    assert code == 0
    assert "Example" in said
    assert f"gauntlet {' '.join(words)}" in said or f"$(gauntlet {' '.join(words)})" in said


def test_without_a_command_it_says_what_there_is() -> None:
    code, said = called()
    assert code == 2
    assert [words[0] for words in ALL if words[0] not in said] == []


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("f.yaml", "a", "is wrong"), 2, "gauntlet: f.yaml at a: is wrong\n"),
        (KeyboardInterrupt(), 130, "gauntlet: interrupted\n"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, words: str
) -> None:
    def app() -> None:
        raise error

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert (caught.value.code, capsys.readouterr().err) == (code, words)


def test_a_crash_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def app() -> None:
        raise LookupError("ours")

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(LookupError):
        cli.main()


def test_neither_help_nor_dry_run_imports_locust_or_gevent_or_pandas() -> None:
    """It patches sockets, and a command that only talks should be quick."""
    script = (
        "import sys\nfrom loadtests.cli import app\n"
        "try:\n    app(['run', 'smoke', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('locust', 'gevent', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
