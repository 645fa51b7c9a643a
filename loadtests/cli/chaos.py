"""``gauntlet chaos list|plan|shrink|cleanup``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app", "cleanup", "list_", "plan", "shrink"]

app = typer.Typer(
    help="Faults and experiments: what there is, what would happen, what a failure needs of it, and cleaning up.",
    no_args_is_help=True,
)
#: by whom a fault is made, in words
PLACES = {
    "listener": "the network, between client and backend (Toxiproxy)",
    "handshake": "the network, for new connections only (Toxiproxy, a listener of their own)",
    "client": "our own sessions, nobody else's",
    "backend": "the embedded backend's process; every session meets it",
    "command": "your own commands; every session meets it",
}


@app.command("list")
def list_() -> None:
    """The faults, by whom they are made and what each can be asked for; then the experiments.

    Example: [bold]gauntlet chaos list[/bold]
    """
    import msgspec

    from chaos import experiment
    from chaos.faults import FAULTS

    for place, words in PLACES.items():
        typer.echo(f"faults by {words}")
        for kind, fault in FAULTS.items():
            if fault.place == place:
                fields = ", ".join(field.encode_name for field in msgspec.structs.fields(fault)) or "nothing to set"
                typer.echo(f"  {kind:<16} {_meaning(fault)} [{fields}]")
        typer.echo("")
    typer.echo("experiments, for gauntlet run SCENARIO --experiment NAME")
    for name in experiment.names():
        one, _ = experiment.load(name)
        typer.echo(f"  {name:<16} {one.title}")


def _meaning(fault: type) -> str:
    """The first sentence of its own text, or of its module's, which begins with its name."""
    own = vars(fault).get("__doc__") or str(sys.modules[fault.__module__].__doc__).partition(": ")[2]
    return " ".join(own.split()).partition(". ")[0].rstrip(".")


@app.command("plan")
def plan(
    what: Annotated[
        str,
        typer.Argument(metavar="EXPERIMENT", help="An experiment, or a scenario with faults: a name or a YAML file."),
    ],
    seed: Annotated[int, typer.Option(help="Of the plan.")] = 1,
    form: Annotated[str, typer.Option(help="Of an experiment: full, or short.")] = "",
) -> None:
    """The timed plan of its faults, as JSON; the same bytes for the same input and seed, and those of a run's plan.json.

    Example: [bold]gauntlet chaos plan flap --seed 7 --form short[/bold]
    """
    from loadtests.conductor.planning import plan_named

    typer.echo(plan_named(what, seed, form).to_json(), nl=False)


@app.command("shrink")
def shrink(
    run: Annotated[
        Path, typer.Argument(help="The directory of a run in which checkers found something, under faults.")
    ],
    by: Annotated[str, typer.Option(help="How plans are tried: simulation (virtual time), or live.")] = "simulation",
    confirm: Annotated[int, typer.Option(min=0, help="Live runs of the smallest plan; 0: none.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="A new folder for plans and live runs, instead of RUN/shrunk.")
    ] = None,
    target: Annotated[str, typer.Option(help="The backend, if the run was not against the embedded one.")] = "",
    allow_target: Annotated[list[str] | None, typer.Option(help="As for gauntlet run.")] = None,
    token_env: Annotated[str, typer.Option(help="As for gauntlet run.")] = "",
) -> None:
    """Reduce a failing plan to the windows, times and strengths that the same findings need; print what replays it.

    Example: [bold]gauntlet chaos shrink runs/2026-11-24T021400Z-smoke-swarm-7f3a[/bold]

    Exit: 0 it fails live too (or was not asked to), 3 it could not be reproduced.
    """
    from loadtests.conductor.replays import Target
    from loadtests.conductor.shrinking import ShrinkOptions, by_of
    from loadtests.conductor.shrinking import shrink as shrunk
    from loadtests.rundir import find_run

    options = ShrinkOptions(
        run=find_run(run), out=out, by=by_of(by), confirm=confirm,
        target=Target(url=target, allowed=tuple(allow_target or ()), token_env=token_env),
    )  # fmt: skip
    raise typer.Exit(shrunk(options, typer.echo, _unseen))


def _unseen(_phase: str, _at_s: float, _total_s: float) -> None:
    """How far a run has come, of many, is not shown."""


@app.command("cleanup")
def cleanup(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    toxiproxy_url: Annotated[
        str, typer.Option(help="The Toxiproxy that the run used, if it was not ours and its manifest does not say.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Also of a run that is alive, which then fails.")] = False,
) -> None:
    """End what a run may have left behind: its processes, its proxies in a Toxiproxy that is not ours, its commands' effects.

    Example: [bold]gauntlet chaos cleanup runs/2026-11-24T021400Z-smoke-7f3a[/bold]
    """
    from chaos.cleanup import cleanup as clean
    from loadtests.rundir import find_run

    cleaned = clean(find_run(run), [toxiproxy_url] if toxiproxy_url else [], force=force)
    for line in cleaned.lines:
        typer.echo(line)
    raise typer.Exit(1 if cleaned.left else 0)
