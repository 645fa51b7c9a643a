"""``gauntlet report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    contract: Annotated[str, typer.Option(help="Judge by this contract instead of the run's own.")] = "",
    gates: Annotated[Path | None, typer.Option(help="YAML with gates, instead of the scenario's.")] = None,
) -> None:
    """Judge a recorded run again. The first verdict is never written over: a new one goes to RUN/judged/N.

    Example: [bold]gauntlet report runs/2026-11-24T021400Z-smoke-7f3a --gates stricter.yaml[/bold]
    """
    from loadtests.conductor.report import judge_again
    from loadtests.conductor.run import EXIT_CODES
    from loadtests.rundir import find_run

    raise typer.Exit(EXIT_CODES[judge_again(find_run(run), contract or None, gates)])
