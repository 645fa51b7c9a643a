"""``gauntlet capacity``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["capacity"]


def capacity(
    scenario: Annotated[
        str, typer.Argument(help="A built-in scenario or a YAML file; its gates say what must be kept.")
    ],
    by: Annotated[
        Literal["users", "rate"], typer.Option(help="What is raised: users, or turns a second of an open scenario.")
    ] = "users",
    start: Annotated[int, typer.Option(help="The first level; else the scenario's own.")] = 0,
    least: Annotated[int, typer.Option(help="No level below this.")] = 1,
    most: Annotated[int, typer.Option(help="No level above this.")] = 10_000,
    precision: Annotated[float, typer.Option(help="How near is near enough, as a share of the level.")] = 0.1,
    repeats: Annotated[int, typer.Option(help="So many runs a level, fewer if they differ.")] = 2,
    settle: Annotated[str, typer.Option(help="Before a level is judged.")] = "3s",
    hold: Annotated[str, typer.Option(help="For so long a level is judged.")] = "10s",
    cool_down: Annotated[str, typer.Option(help="Between two runs.")] = "1s",
    target: Annotated[str, typer.Option(help="As for gauntlet run.")] = "",
    contract: Annotated[str, typer.Option(help="As for gauntlet run.")] = "",
    token_env: Annotated[str, typer.Option(help="As for gauntlet run.")] = "",
    experiment: Annotated[str, typer.Option(help="Under its faults; its phases stay as they are.")] = "",
    form: Annotated[str, typer.Option(help="Of the experiment: full, or short.")] = "",
    seed: Annotated[int, typer.Option(help="Of all our randomness.")] = 1,
    processes: Annotated[int, typer.Option(help="Locust worker processes.")] = 1,
    allow_target: Annotated[list[str] | None, typer.Option(help="As for gauntlet run.")] = None,
    max_turns: Annotated[int | None, typer.Option(help="Of each run, as for gauntlet run.")] = None,
    ca: Annotated[str, typer.Option(help="As for gauntlet run.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="A new folder for runs and page, instead of runs/<time>-<scenario>-capacity.")
    ] = None,
) -> None:
    """The most users, or turns a second, under which every gate is kept: as an interval, with the curve and what rose before the knee.

    Example: [bold]gauntlet capacity smoke --target ws://127.0.0.1:8000/ws --start 20 --hold 20s[/bold]

    Exit: 0 an interval was found, 3 nothing could be decided, 2 configuration or preflight, 130 interrupted.
    """
    from loadtests import conductor
    from loadtests.conductor.capacity import CapacityOptions
    from loadtests.conductor.capacity import capacity as search
    from loadtests.scenario import duration_s

    options = CapacityOptions(
        run=conductor.RunOptions(
            scenario=scenario, target=target, contract=contract, token_env=token_env, seed=seed, processes=processes,
            chaos=bool(experiment), allow_target=tuple(allow_target or ()), ca=ca, experiment=experiment, form=form, max_turns=max_turns,
        ),
        by=by, start=start, least=least, most=most, precision=precision, repeats=repeats, settle_s=duration_s(settle, "--settle"),
        hold_s=duration_s(hold, "--hold"), cool_down_s=duration_s(cool_down, "--cool-down"), out=out,
    )  # fmt: skip
    raise typer.Exit(search(options, lambda line: typer.echo(line, err=True), _unseen))


def _unseen(_phase: str, _at_s: float, _total_s: float) -> None:
    """How far one of many runs has come is not shown."""
