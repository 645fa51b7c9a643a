"""``gauntlet contract list|show``."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["app", "list_", "show"]

app = typer.Typer(help="What backends promise, as data.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """The built-in contracts.

    Example: [bold]gauntlet contract list[/bold]
    """
    from loadtests import contract
    from loadtests.contract.compile import BUILT_IN

    for path in sorted(BUILT_IN.glob("*.yaml")):
        one = contract.load(path.stem)
        typer.echo(f"{one.name:<12} {len(one.events):>3} events, {len(one.demanded)} demanded  {one.file.title}")


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="A contract's name or a YAML file.")]) -> None:
    """One contract, whole, with what it extends merged in.

    Example: [bold]gauntlet contract show reference[/bold]
    """
    from loadtests import contract

    typer.echo(contract.load(name).text, nl=False)
