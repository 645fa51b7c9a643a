"""``gauntlet stop``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["stop"]

POLL_S = 0.2


def stop(
    run: Annotated[Path, typer.Argument(help="The directory of a run that is going on.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until the run has ended.")] = True,
) -> None:
    """End a run before its time, and in order: no more turns, those under way end, faults are healed, the report is written.

    Such a run cannot say GO; what it found, it says.

    Example: [bold]gauntlet stop runs/2026-11-24T021400Z-smoke-7f3a[/bold]
    """
    import time

    from chaos.guard import tagged
    from loadtests.errors import ConfigError, GauntletError
    from loadtests.manifest import read_manifest, run_id
    from loadtests.rundir import find_run
    from loadtests.stopping import ask_to_stop

    path = find_run(run)
    manifest = read_manifest(path)
    if not manifest:
        raise ConfigError(str(path), "", "is no run directory", "a folder with a manifest.json in it")
    if (ended := manifest.get("exit")) is not None:
        raise ConfigError(str(path), "", f"the run is over: {ended}", "a run that is going on")
    if manifest.get("kind") != "run":
        raise ConfigError(
            str(path), "", f"is of the kind {manifest.get('kind')}, which ends as Locust does", "a run of gauntlet run"
        )
    if not tagged(run_id(path)):
        raise ConfigError(
            str(path), "", "nobody of that run is there any more", "gauntlet chaos cleanup, and gauntlet report"
        )
    ask_to_stop(path, "asked by gauntlet stop")
    typer.echo(f"{path.name}: asked to stop")
    while wait and read_manifest(path).get("exit") is None:
        if not tagged(run_id(path)):
            raise GauntletError(f"{path.name}: gone without an end; gauntlet report judges what there is")
        time.sleep(POLL_S)
    if wait:
        typer.echo(f"{path.name}: {read_manifest(path)['exit']}")
