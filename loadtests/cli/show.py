"""``gauntlet show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["show"]


def show(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    turn: Annotated[
        str, typer.Argument(help="SESSION.TURN, as a finding names it; without it, what there is to see.")
    ] = "",
) -> None:
    """One turn of a run: its frames with their times, the fault windows around it, and the rules that judged it.

    Example: [bold]gauntlet show runs/2026-11-24T021400Z-smoke-7f3a 17.4[/bold]
    """
    from rich.console import Console

    from loadtests.conductor.oneturn import list_turns, show_turn
    from loadtests.rundir import find_run

    console = Console()
    path = find_run(run)
    if turn:
        show_turn(path, turn, console)
    else:
        list_turns(path, console)
