"""``gauntlet locustfile``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import typer

__all__ = ["locustfile"]


def locustfile() -> None:
    """Print the locustfile's path.

    Example: [bold]locust -f "$(gauntlet locustfile)" --host ws://127.0.0.1:8000/ws[/bold]
    """
    # Found and not imported: importing it would patch the sockets of this process.
    spec = find_spec("loadtests")
    typer.echo(Path(str(spec.origin if spec else "")).parent / "locustfile.py")
