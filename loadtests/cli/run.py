"""``gauntlet run``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Self

import typer

__all__ = ["run"]


def _labels(pairs: list[str]) -> dict[str, str]:
    from loadtests.errors import ConfigError

    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise ConfigError("--label", "", f"{pair!r}", "KEY=VALUE")
        labels[key] = value
    return labels


def run(
    scenario: Annotated[str, typer.Argument(help="A built-in scenario (smoke) or a YAML file.")],
    target: Annotated[str, typer.Option(help="The backend, ws:// or wss://; without it the embedded one.")] = "",
    contract: Annotated[str, typer.Option(help="A contract's name or a YAML file.")] = "",
    token_env: Annotated[str, typer.Option(help="Variable that holds the token; {user} in it becomes the user.")] = "",
    token_file: Annotated[Path | None, typer.Option(help="One token a line, the first for the first user.")] = None,
    token_program: Annotated[
        Path | None,
        typer.Option(
            help="Prints a user's token, given its name, again before it expires; or JSON: token, expires_in_s."
        ),
    ] = None,
    users: Annotated[int | None, typer.Option(help="Instead of the scenario's.")] = None,
    duration: Annotated[str, typer.Option(help="Such as 90s or 5m; phases are scaled by share.")] = "",
    seed: Annotated[int, typer.Option(help="Of all our randomness.")] = 1,
    processes: Annotated[int, typer.Option(help="Locust worker processes.")] = 1,
    no_chaos: Annotated[bool, typer.Option("--no-chaos", help="Without faults; their time goes to steady.")] = False,
    toxiproxy_url: Annotated[
        str, typer.Option(help="A Toxiproxy that is already there; only our own proxies are touched.")
    ] = "",
    allow_target: Annotated[
        list[str] | None, typer.Option(help="A host that load may be sent to, beside loopback.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE, kept with the run; build=… names what was judged.")
    ] = None,
    ca: Annotated[str, typer.Option(help="PEM file with the CA of a wss:// target.")] = "",
    source: Annotated[
        list[str] | None,
        typer.Option(help="An address of ours to connect from; several are dealt out to users in turn."),
    ] = None,
    resolve: Annotated[str, typer.Option(help="HOST=ADDRESS: where to connect for that host.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="The run directory, instead of runs/<time>-<scenario>-<hex>.")
    ] = None,
    web: Annotated[bool, typer.Option("--web", help="With Locust's web UI.")] = False,
    defect: Annotated[str, typer.Option(help="Plant a defect in the embedded backend.")] = "",
    nodes: Annotated[
        int | None,
        typer.Option(help="Of the embedded backend, on one log behind one port; else as the experiment says."),
    ] = None,
    experiment: Annotated[
        str,
        typer.Option(
            help="Its faults instead of the scenario's: a name (gauntlet chaos list), a YAML file, or a run's plan.json."
        ),
    ] = "",
    form: Annotated[str, typer.Option(help="Of the experiment: full, or short.")] = "",
    max_turns: Annotated[
        int | None, typer.Option(help="No more than so many turns; asked for when the target is not loopback.")
    ] = None,
    master: Annotated[
        bool, typer.Option("--master", help="Conduct worker hosts; all make one run, judged here. Needs --workers.")
    ] = False,
    workers: Annotated[int, typer.Option(help="With --master: how many worker hosts to wait for.")] = 0,
    bind: Annotated[str, typer.Option(help="With --master: ADDRESS[:PORT] where they find it; else loopback.")] = "",
    worker: Annotated[
        str, typer.Option(help="HOST[:PORT] of a master: make a part of the load, with the same options as there.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and stop.")] = False,
) -> None:
    """Run a scenario against a backend, judge every event, write the page.

    Example: [bold]gauntlet run smoke[/bold], or [bold]gauntlet run smoke --target ws://127.0.0.1:8000/ws --no-chaos[/bold],
    or [bold]gauntlet run smoke --experiment flap --form short[/bold]

    On several hosts, with one GAUNTLET_HOSTS_TOKEN in the environment of all: the same command with
    [bold]--master --workers 2 --bind 10.0.0.1[/bold] on one, and with [bold]--worker 10.0.0.1[/bold] on the others.

    Exit: 0 GO, 99 NO-GO, 3 CANNOT SAY, 2 configuration or preflight, 1 crash, 130 interrupted.
    """
    from loadtests import conductor
    from loadtests.scenario import duration_s

    options = conductor.RunOptions(
        scenario=scenario, target=target, contract=contract, token_env=token_env, users=users,
        token_file=str(token_file.resolve()) if token_file else "", token_program=str(token_program.resolve()) if token_program else "",
        duration_s=duration_s(duration) if duration else None, seed=seed, processes=processes, chaos=not no_chaos,
        toxiproxy_url=toxiproxy_url, allow_target=tuple(allow_target or ()), labels=_labels(label or []), ca=ca, resolve=resolve,
        sources=tuple(source or ()),
        out=out, web=web, defect=defect, nodes=nodes, max_turns=max_turns, experiment=experiment, form=form, dry_run=dry_run,
        master=master, workers=workers, bind=bind, worker=worker,
    )  # fmt: skip
    with _Progress() as progress:
        code = conductor.run(options, progress.say, progress.show)
    raise typer.Exit(code)


class _Progress:
    """A bar on a terminal, a line a phase elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._bar: object | None = None
        self._task: object | None = None
        self._phase = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        from rich.progress import Progress

        if isinstance(self._bar, Progress):
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """One line, or several; never read as markup."""
        self._stop()
        (sys.stdout if text.startswith("scenario ") else sys.stderr).write(text + "\n")

    def show(self, phase: str, at_s: float, total_s: float) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        if not self._console.is_terminal:
            if phase != self._phase:
                sys.stderr.write(f"{at_s:6.1f} s  {phase}\n")
            self._phase = phase
            return
        if self._bar is None:
            bar = Progress(
                TextColumn("{task.description:>18}"),
                BarColumn(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            bar.start()
            self._bar, self._task = bar, bar.add_task(phase, total=total_s)
        if isinstance(self._bar, Progress):
            self._bar.update(self._task, description=phase, completed=at_s)  # type: ignore[arg-type]  # a TaskID from above
        if phase == "draining":
            self._stop()
