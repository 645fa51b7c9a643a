"""``gauntlet chaos list|plan|cleanup``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app", "cleanup", "list_", "plan"]

app = typer.Typer(help="Faults: what there is, what would happen, and cleaning up.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """The faults, and what each can be asked for.

    Example: [bold]gauntlet chaos list[/bold]
    """
    import msgspec

    from chaos.faults import FAULTS

    for kind, fault in FAULTS.items():
        fields = ", ".join(field.encode_name for field in msgspec.structs.fields(fault)) or "nothing to set"
        typer.echo(f"{kind:<10} {(fault.__doc__ or '').strip().splitlines()[0] if fault.__doc__ else ''} [{fields}]")


@app.command("plan")
def plan(
    scenario: Annotated[str, typer.Argument(help="A built-in scenario or a YAML file.")],
    seed: Annotated[int, typer.Option(help="Of the plan.")] = 1,
) -> None:
    """The timed plan of a scenario's faults, as JSON; the same bytes for the same scenario and seed.

    Example: [bold]gauntlet chaos plan smoke --seed 7[/bold]
    """
    from loadtests import conductor
    from loadtests.conductor.options import prepare

    typer.echo(prepare(conductor.RunOptions(scenario=scenario, seed=seed)).plan.to_json(), nl=False)


@app.command("cleanup")
def cleanup(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    toxiproxy_url: Annotated[str, typer.Option(help="The Toxiproxy that the run used, if it was not ours.")] = "",
) -> None:
    """End what a run may have left behind: its processes, and its proxies in a Toxiproxy that is not ours.

    Example: [bold]gauntlet chaos cleanup runs/2026-11-24T021400Z-smoke-7f3a[/bold]
    """
    from chaos.guard import sweep
    from loadtests.errors import ConfigError
    from loadtests.manifest import run_id
    from loadtests.rundir import find_run

    run = find_run(run)
    if not (run / "plan.json").is_file():
        raise ConfigError(str(run), "", "is no run directory", "a folder with plan.json")
    swept = sweep(run_id(run), [toxiproxy_url] if toxiproxy_url else [])
    typer.echo(
        f"{swept.killed} processes ended, {swept.proxies} proxies deleted, {len(swept.left)} left, {swept.clean_ms:.0f} ms"
    )
    for left in swept.left:
        typer.echo(f"left: {left}", err=True)
    raise typer.Exit(1 if swept.left else 0)
