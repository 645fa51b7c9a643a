"""What can go wrong before a verdict, and whose fault it is.

GauntletError            anything that the harness itself reports
├── ConfigError          a file or an option says something impossible (exit 2, before any traffic)
├── PreflightError       the target cannot be tested as asked (exit 2, before any load)
└── RigError             a part of the rig is missing or broke: Toxiproxy, Locust, a browser (exit 2)
"""

from __future__ import annotations

__all__ = ["BusyError", "ConfigError", "GauntletError", "PreflightError", "RigError"]


class GauntletError(Exception):
    """Base of all errors that the command line prints as one sentence and not as a traceback."""

    exit_code = 2


class ConfigError(GauntletError):
    """Bad input: says where it stands, what is wrong, and what was expected."""

    def __init__(self, where: str, place: str, problem: str, expected: str = "") -> None:
        super().__init__(where, place, problem, expected)
        self.where, self.place, self.problem, self.expected = where, place, problem, expected

    def __str__(self) -> str:
        place = f" at {self.place}" if self.place else ""
        guess = self.expected.startswith(("did you mean", "one of"))
        expected = f"; {'' if guess else 'expected '}{self.expected}" if self.expected else ""
        return f"{self.where}{place}: {self.problem}{expected}"


class PreflightError(GauntletError):
    """The first connection or the first turn did not work; carries what was seen."""

    def __init__(self, step: str, problem: str, hint: str = "") -> None:
        super().__init__(step, problem, hint)
        self.step, self.problem, self.hint = step, problem, hint

    def __str__(self) -> str:
        return f"preflight failed at {self.step}: {self.problem}" + (f" ({self.hint})" if self.hint else "")


class RigError(GauntletError):
    """A part of the rig is missing or broke; the message says how to get it."""


class BusyError(RigError):
    """Another run is on the target, and this one never began."""
