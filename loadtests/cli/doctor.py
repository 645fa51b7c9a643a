"""``gauntlet doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["doctor"]


def doctor(
    target: Annotated[
        str, typer.Option(help="Walk the way to this backend too: DNS, TCP, TLS, upgrade, auth, handshake, one turn.")
    ] = "",
    contract: Annotated[str, typer.Option(help="A contract's name or a YAML file.")] = "",
    token_env: Annotated[str, typer.Option(help="Variable that holds the token.")] = "",
    ca: Annotated[str, typer.Option(help="PEM file with the CA of a wss:// target.")] = "",
    resolve: Annotated[str, typer.Option(help="HOST=ADDRESS: where to connect for that host.")] = "",
    allow_target: Annotated[
        list[str] | None, typer.Option(help="A host that may be spoken to, beside loopback.")
    ] = None,
) -> None:
    """What is here, what is missing, and how to get it; with --target, the first step on the way there that fails.

    Example: [bold]gauntlet doctor --target ws://127.0.0.1:8000/ws[/bold]
    """
    from rich.console import Console
    from rich.text import Text

    from loadtests.conductor.diagnosis import local, way_to
    from loadtests.plaintext import printable

    console = Console()
    findings = list(local())
    if target:
        findings += way_to(target, contract, token_env, ca, resolve, tuple(allow_target or ()))
    bad = False
    for name, state, text in findings:
        sign, style = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "bad": ("✗", "bold red")}[state]
        console.print(Text(f"{sign} ", style=style) + Text(f"{name:<12} {printable(text)}"))
        bad = bad or state == "bad"
    raise typer.Exit(2 if bad else 0)
