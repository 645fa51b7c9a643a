"""``gauntlet serve``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["serve"]

MOST_PORT = 65_535


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any free one.")] = 8000,
    db: Annotated[
        str, typer.Option(help="File of the durable event log; :memory: keeps it only while it runs.")
    ] = ":memory:",
    seed: Annotated[int, typer.Option(help="Of think and tool times, tools and nested agents.")] = 1,
    defect: Annotated[str, typer.Option(help="Plant a defect; 'list' shows them.")] = "",
    shape: Annotated[Literal["flat", "data", "payload", "wrapped"], typer.Option(help="Envelope of events.")] = "flat",
    require_token: Annotated[bool, typer.Option("--require-token", help="Refuse who has none.")] = False,
    era_file: Annotated[
        Path | None, typer.Option(help="Holds a number: tokens USER.NUMBER of a smaller one have expired.")
    ] = None,
    outcome: Annotated[
        list[str] | None, typer.Option(help="STATUS=SHARE: a share of turns that end otherwise; may be given again.")
    ] = None,
    concurrent: Annotated[
        Literal["", "queue", "reject", "parallel", "supersede"],
        typer.Option(help="What happens to a message while a turn of its thread is under way."),
    ] = "",
    event_version: Annotated[
        list[str] | None, typer.Option(help="Of events; several are mixed by turns, as during a rollout.")
    ] = None,
    at_once: Annotated[int, typer.Option(help="So many turns run at a time, and one more fails; 0: any number.")] = 0,
    nodes: Annotated[
        int,
        typer.Option(
            help="So many processes on one log, at one port; lines on stdin act on them: kill 1, start 1, roll."
        ),
    ] = 1,
    drain_spread: Annotated[
        float, typer.Option(help="Seconds over which an announced restart of a node closes its connections.")
    ] = 1.0,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate: serves wss://.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
) -> None:
    """Serve the embedded reference backend, for trying out and for tests.

    Example: [bold]gauntlet serve --port 8000 --defect lost-event[/bold]
    """
    from loadtests.backend.defects import PLANTABLE
    from loadtests.backend.options import shares_of
    from loadtests.backend.planting import defect_named
    from loadtests.backend.server import ServerOptions, run
    from loadtests.backend.supervisor import supervise
    from loadtests.errors import ConfigError

    if defect == "list":
        for name, row in PLANTABLE.items():
            typer.echo(f"{name:<24} {row.sentence}{' (needs --nodes 2)' if row.needs == 'cluster' else ''}")
        return
    if defect and defect_named(defect).needs == "cluster" and nodes < 2:
        raise ConfigError("--defect", "", f"{defect} cannot show on one node", "--nodes 2")
    if not 0 <= port <= MOST_PORT:
        raise ConfigError("--port", "", f"{port}", f"0 to {MOST_PORT}; 0 takes any free one")
    options = ServerOptions(
        host=host, port=port, db=db, seed=seed, defect=defect, shape=shape, require_token=require_token, tls_cert=tls_cert,
        tls_key=tls_key, outcomes=shares_of(outcome or []), concurrent=concurrent, event_versions=tuple(event_version or ()),
        at_once=at_once, nodes=nodes, drain_spread_s=drain_spread, era_file=era_file,
    )  # fmt: skip
    asyncio.run(run(options) if nodes == 1 else supervise(options, lifeline=False))
