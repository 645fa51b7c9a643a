"""Judging a run directory and writing what people and machines read; the original verdict is never written over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.errors import GauntletError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reports.judgement import Judgement

__all__ = ["judge_again", "report"]


def report(run_dir: Path, say: Callable[[str], None]) -> str:
    """Judge a run for the first time, write everything, print the verdict; returns it."""
    from reports.judge import judge

    say("judging what was recorded")
    judgement = judge(run_dir)
    _write(judgement, run_dir)
    _parquet(run_dir)
    _print(judgement, run_dir / "report.html")
    return judgement.verdict


def judge_again(run_dir: Path, contract_name: str | None, gates_file: Path | None, out: Path | None = None) -> str:
    """Judge a recorded run, with other rules or a newer judge; writes beside the original, never over it.

    Raises:
        GauntletError: no run directory, or a mistake in the rules given.
    """
    from reports.judge import judge

    judgement = judge(run_dir, contract_name, gates_file)
    first = not (run_dir / "verdict.json").exists()
    again = run_dir if first and not contract_name and gates_file is None else _next(out or run_dir / "judged")
    try:
        again.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GauntletError(f"{again}: {error.strerror}") from None
    _write(judgement, again)
    if again == run_dir:
        _parquet(run_dir)
    _print(judgement, again / "report.html")
    return judgement.verdict


def _next(folder: Path) -> Path:
    number = 1
    while (folder / str(number)).exists():
        number += 1
    return folder / str(number)


def _write(judgement: Judgement, folder: Path) -> None:
    from reports.render import write_reports

    write_reports(judgement, folder)
    partial = folder / "turns.parquet.partial"
    judgement.turns.to_parquet(partial, compression="zstd")
    partial.rename(folder / "turns.parquet")


def _parquet(run_dir: Path) -> None:
    from loadtests.rundir import read_run
    from reports.frames import events_frame

    partial = run_dir / "events.parquet.partial"
    events_frame(read_run(run_dir)).to_parquet(partial, compression="zstd")
    partial.rename(run_dir / "events.parquet")


def _print(judgement: Judgement, page: Path) -> None:
    from rich.console import Console

    from reports.render.console import print_verdict

    print_verdict(judgement, Console(), str(page))
