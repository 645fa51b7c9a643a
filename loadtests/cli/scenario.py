"""``gauntlet scenario list|show|schema``."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["app", "list_", "schema", "show"]

app = typer.Typer(help="How much is asked of a backend, as data.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """The built-in scenarios.

    Example: [bold]gauntlet scenario list[/bold]
    """
    from loadtests import scenario

    known = [scenario.load(name)[0] for name in scenario.names()]
    width = max(len(one.name) for one in known)
    for one in known:
        typer.echo(f"{one.name:<{width}} {one.users:>6} users {round(one.total_s):>6} s  {one.title}")


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="A scenario's name or a YAML file.")]) -> None:
    """One scenario, whole, with what it does not say filled in.

    Example: [bold]gauntlet scenario show nightly > mine.yaml[/bold]
    """
    import msgspec

    from loadtests import scenario

    typer.echo(msgspec.yaml.encode(scenario.load(name)[0]).decode(), nl=False)


@app.command("schema")
def schema() -> None:
    """The JSON Schema of scenario files, for an editor.

    Example: [bold]gauntlet scenario schema > scenario.schema.json[/bold]
    """
    from loadtests.scenarioschema import PUBLISHED

    typer.echo(PUBLISHED.read_text(encoding="utf-8"), nl=False)
