"""``gauntlet try``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated

import typer

__all__ = ["try_"]


def try_(
    message: Annotated[str, typer.Argument(help="What to say.")],
    target: Annotated[str, typer.Option(help="The backend; without it the embedded one.")] = "",
    contract: Annotated[str, typer.Option(help="A contract's name or a YAML file.")] = "",
    token_env: Annotated[str, typer.Option(help="Variable that holds the token.")] = "",
    ca: Annotated[str, typer.Option(help="PEM file with the CA of a wss:// target.")] = "",
    resolve: Annotated[str, typer.Option(help="HOST=ADDRESS: where to connect for that host.")] = "",
    allow_target: Annotated[
        list[str] | None, typer.Option(help="A host that may be spoken to, beside loopback.")
    ] = None,
    defect: Annotated[str, typer.Option(help="Plant a defect in the embedded backend.")] = "",
    seed: Annotated[int, typer.Option(help="Of the embedded backend.")] = 1,
) -> None:
    """One turn, traced live: every frame as it comes, and what the contract says of it.

    Example: [bold]gauntlet try "How much did we spend last month?" --target ws://127.0.0.1:8000/ws[/bold]
    """
    from rich.console import Console
    from rich.text import Text

    from loadtests import conductor, manifest
    from loadtests.assignment import Assignment
    from loadtests.conductor.options import prepare
    from loadtests.plaintext import printable
    from loadtests.probe import Frame, probe_assignment

    options = conductor.RunOptions(
        scenario="smoke", target=target, contract=contract, token_env=token_env, ca=ca, resolve=resolve, defect=defect, seed=seed,
        allow_target=tuple(allow_target or ()), chaos=False,
    )  # fmt: skip
    prepared = prepare(options)
    console = Console()

    def show(frame: Frame) -> None:
        line = Text(f"{frame.at_ms:>9,.1f} ms  {frame.event or '(?)':<24} ")
        line.append(frame.standing if frame.standing != "approved" else "", style="yellow")
        line.append(f" {printable(frame.text)}", style="dim")
        console.print(line, no_wrap=True, overflow="ellipsis")
        for finding in frame.findings:
            console.print(Text(f"{'':>13}✗ {finding}", style="bold red"))

    with _backend(target, defect, seed) as url:
        one = Assignment(
            run_dir="", nonce=manifest.new_nonce(), seed=seed, contract=options.contract or ("netra" if target else "reference"),
            scenario="smoke", target=url, users=1, token_env=token_env, ca=ca, resolve=resolve,
        )  # fmt: skip
        console.print(f"{prepared.contract.name} on {url.partition('?')[0]}", markup=False)
        report = probe_assignment(one, message, show)
    for name, ok, took_ms, text in report.steps:
        mark = Text("✓ " if ok else "✗ ", style="green" if ok else "bold red")
        console.print(mark + Text(f"{name:<10} {took_ms:>8,.1f} ms  {text}"))
    if report.fit != "fits":
        console.print(Text(f"✗ {report.fit}: {report.problem or 'nothing came'}", style="bold red"))
        raise typer.Exit(2 if report.fit != "silent" else 99)
    broken = any(frame.findings for frame in report.frames) or report.outcome != "ok"
    raise typer.Exit(99 if broken else 0)


@contextlib.contextmanager
def _backend(target: str, defect: str, seed: int) -> Iterator[str]:
    """The target's address, or that of an embedded backend for as long as this lasts."""
    if target:
        yield target
        return
    import tempfile
    from pathlib import Path

    from loadtests.conductor.processes import Backend

    with tempfile.TemporaryDirectory() as folder:
        backend = Backend(Path(folder), {}, seed, defect, "", "try")
        try:
            yield backend.url
        finally:
            backend.stop()
