"""The command line: one file a command, errors as one sentence, exit codes as in the README."""

from __future__ import annotations

import sys

import typer

from loadtests.cli import (
    capacity,
    chaos,
    contract,
    doctor,
    locustfile,
    report,
    run,
    scenario,
    selftest,
    serve,
    show,
    stop,
    try_,
)
from loadtests.errors import GauntletError

__all__ = ["app", "main"]

app = typer.Typer(
    name="gauntlet",
    help="May this chat backend ship? Load and chaos testing for agent chat over WebSocket.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("run")(run.run)
app.command("capacity")(capacity.capacity)
app.command("try")(try_.try_)
app.command("show")(show.show)
app.command("report")(report.report)
app.command("serve")(serve.serve)
app.command("stop")(stop.stop)
app.command("selftest")(selftest.selftest)
app.command("doctor")(doctor.doctor)
app.command("locustfile")(locustfile.locustfile)
app.add_typer(chaos.app, name="chaos")
app.add_typer(contract.app, name="contract")
app.add_typer(scenario.app, name="scenario")


def main() -> None:
    """The console script. Exit 2 with a sentence on what the user can mend; a crash keeps its traceback and exits 1."""
    try:
        app()
    except GauntletError as error:
        sys.stderr.write(f"gauntlet: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("gauntlet: interrupted\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
