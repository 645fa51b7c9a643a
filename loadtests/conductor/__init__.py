"""The composition root: one run from start to verdict. Imports all three packages lazily; nobody imports it but the CLI."""

from __future__ import annotations

from loadtests.conductor.options import RunOptions
from loadtests.conductor.run import run

__all__ = ["RunOptions", "run"]
