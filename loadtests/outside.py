"""The one way out of a journey: functions that a scenario names, what they are given, and how they are found.

A function gets a ``Here``. It may simply return; raise ``StepFailed``, or fail an ``assert``, to say that the journey has failed;
or be a generator that yields steps as they stand in a scenario (``{"send": "…"}``) and is sent a new ``Here`` after each::

    def check_the_bill(here):
        here = yield {"send": f"What did {here.person['name']} spend?"}
        here = yield {"await": "done"}
        assert "€" in here.answer

It runs in a thread of its own and may block. Any other exception is a mistake of the function, and counts against the harness.
"""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.errors import ConfigError
from loadtests.journey import Outside

__all__ = ["Function", "Here", "StepFailed", "check_functions", "folder_of", "load_function"]

CHECK_S = 60.0
EXPECTED = "a function that can be imported"
CHECK = """
import sys
from loadtests.errors import ConfigError
from loadtests.journey import Outside
from loadtests.outside import load_function
for folder, call in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        load_function(Outside(call, folder=folder))
    except ConfigError as error:
        print(f"{call} {error.problem}")
        sys.exit(9)
"""


class StepFailed(Exception):  # noqa: N818  # what a user raises is a verdict, and no error of theirs
    """Raised by a function: the journey has failed, and why."""


@dataclass(frozen=True, slots=True)
class Here:
    """Where a user stands when a function is called. All of it is a copy: nothing can be broken by changing it."""

    #: the user's number in the run, and its row of ``people``
    user: int
    person: Mapping[str, str]
    #: the thread that the next turn would go on
    thread: str
    #: how many turns the user has sent; how the last one ended (``ok``, ``failed``, ``timeout``, …), empty: it has not
    turns: int = 0
    end: str = ""
    #: what the backend answered last, as far as the contract says where that stands
    answer: str = ""
    #: the answer to the last step http: its status, and its text as far as it was read; 0: there was none
    status: int = 0
    text: str = ""
    #: the user's own, for its whole life: whatever functions put there
    notes: dict[str, Any] = field(default_factory=dict)


Function = Callable[[Here], Any]


def folder_of(call: str, folder: Path) -> str:
    """Where a function's module lies, if that is beside the scenario; empty: Python has to know."""
    top = folder / call.partition(":")[0].partition(".")[0]
    return str(folder.resolve()) if top.with_suffix(".py").is_file() or (top / "__init__.py").is_file() else ""


def load_function(one: Outside) -> Function:
    """Import it.

    Raises:
        ConfigError: there is no such module or function, or the module does not load.
    """
    module, _, name = one.call.partition(":")
    if one.folder and one.folder not in sys.path:
        sys.path.append(one.folder)  # behind all others: a file of the user's never stands in for one of ours
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever it is, it is the module's
        raise ConfigError(
            "python", one.call, f"cannot be imported: {type(error).__name__}: {error}", EXPECTED
        ) from None
    if not callable(found):
        raise ConfigError("python", one.call, f"module {module} has no function {name!r}", EXPECTED)
    if inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found):
        raise ConfigError("python", one.call, "is async, and nobody would wait for it", "an ordinary function")
    function: Function = found
    return function


def check_functions(calls: Iterable[tuple[str, Outside]], where: str) -> None:
    """Whether all of them are there; ``calls``: (place in the file, function) each. In a process of their own, since whoever
    imports a stranger's module does whatever it does.

    Raises:
        ConfigError: the first that is not.
    """
    for place, one in {one.call: (place, one) for place, one in calls}.values():
        command = [sys.executable, "-P", "-c", CHECK, one.folder, one.call]
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=CHECK_S, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            raise ConfigError(where, place, f"{one.call} was not imported within {CHECK_S:g} s", EXPECTED) from None
        if done.returncode:
            said = (done.stdout if done.returncode == 9 else done.stderr).strip().splitlines()
            raise ConfigError(where, place, said[-1] if said else f"{one.call} ends Python", EXPECTED)
