"""``gauntlet contract list|show|check|asyncapi|schema``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["app", "asyncapi", "check", "list_", "schema", "show"]

app = typer.Typer(help="What backends promise, as data.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="A contract's name or a YAML file.")]


@app.command("list")
def list_() -> None:
    """The built-in contracts.

    Example: [bold]gauntlet contract list[/bold]
    """
    from loadtests import contract
    from loadtests.contract.compile import built_in

    known = built_in()
    width = max(map(len, known))
    for name in known:
        one = contract.load(name)
        typer.echo(f"{one.name:<{width}} {len(one.events):>3} events, {len(one.demanded)} demanded  {one.file.title}")


@app.command("show")
def show(name: Name) -> None:
    """One contract, whole, with what it extends merged in.

    Example: [bold]gauntlet contract show reference[/bold]
    """
    from loadtests import contract

    typer.echo(contract.load(name).text, nl=False)


@app.command("check")
def check(
    name: Name,
    against: Annotated[
        Path | None, typer.Option("--against", help="A run directory: do its kept frames fit?", metavar="RUN")
    ] = None,
) -> None:
    """Validate a contract, say what it accepts, and show a turn that keeps it.

    Example: [bold]gauntlet contract check mine.yaml --against runs/2026-11-24T021400Z-smoke-7f3a[/bold]
    """
    from loadtests import contract, rundir
    from loadtests.conductor.contractcheck import fit_of, lines, verdict_of
    from loadtests.errors import ConfigError

    one = contract.load(name)
    for line in lines(one):
        typer.echo(line)
    if against is None:
        return
    path = rundir.find_run(against)
    if not (path / "rows").is_dir():
        raise ConfigError(str(path), "", "is no run directory", "a folder with rows in it")
    for line in verdict_of(fit_of(one, rundir.frames(path)), path):
        typer.echo(line)


@app.command("asyncapi")
def asyncapi(
    name: Name, format_: Annotated[Literal["yaml", "json"], typer.Option("--format", help="YAML or JSON.")] = "yaml"
) -> None:
    """The contract as an AsyncAPI 3 document.

    Example: [bold]gauntlet contract asyncapi reference > chat.yaml[/bold]
    """
    import json

    import msgspec

    from loadtests import contract
    from loadtests.contract.asyncapi import document

    made = document(contract.load(name))
    text = json.dumps(made, indent=2) + "\n" if format_ == "json" else msgspec.yaml.encode(made).decode()
    typer.echo(text, nl=False)


@app.command("schema")
def schema() -> None:
    """The JSON Schema of contract files, for an editor.

    Example: [bold]gauntlet contract schema > contract.schema.json[/bold]
    """
    from loadtests.contract.published import PUBLISHED

    typer.echo(PUBLISHED.read_text(encoding="utf-8"), nl=False)
