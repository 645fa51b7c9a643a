"""What one load generator process must know, as one JSON file in the run directory. Never a secret: a token's variable
is named, its value stays in the environment.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import quote, quote_plus

import msgspec

from loadtests.acts import Act
from loadtests.errors import ConfigError

__all__ = [
    "ENVIRONMENT",
    "LEAST_SECRET",
    "Assignment",
    "read",
    "secret_pattern",
    "spelled",
    "token_for",
    "token_template",
]

#: names the assignment's file
ENVIRONMENT = "GAUNTLET_ASSIGNMENT"
USER = "{user}"
LEAST_SECRET = 4  # shorter ones would redact ordinary text


class Assignment(msgspec.Struct, frozen=True):
    run_dir: str
    nonce: str
    seed: int
    contract: str
    scenario: str
    target: str
    users: int
    #: cohort name -> [host, port] to dial; empty: the target itself
    listeners: dict[str, tuple[str, int]] = {}
    treated_share: float = 0.0
    workers: int = 1
    #: number of this host's first load process among all of them
    first: int = 0
    token_env: str = ""
    token_file: str = ""
    token_program: str = ""
    ca: str = ""
    #: our own addresses, dealt out to users in turn; empty: the system's choice
    sources: tuple[str, ...] = ()
    resolve: str = ""
    #: wait for ``start.json`` before the first turn, so that all processes and the faults share one time axis
    barrier: bool = True
    #: faults that our own sessions make
    acts: list[Act] = []


def read(path: str | Path) -> Assignment:
    return msgspec.json.decode(Path(path).read_bytes(), type=Assignment)


def token_template(variable: str) -> str | None:
    """The value of ``--token-env``'s variable.

    Raises:
        ConfigError: named, and not set.
    """
    if not variable:
        return None
    value = os.environ.get(variable, "")
    if not value:
        raise ConfigError("--token-env", "", f"the environment has no {variable}", "a variable that holds the token")
    return value


def token_for(template: str | None, user: int) -> str | None:
    """``{user}`` becomes the session's user name."""
    return template.replace(USER, f"gauntlet-{user}") if template else None


def secret_pattern(template: str | None) -> re.Pattern[str] | None:
    """Finds any session's token in text, so that it can be removed: as it is, as a URL has it, as JSON has it."""
    if not template or len(template.replace(USER, "")) < LEAST_SECRET:
        return None
    return re.compile(r"gauntlet-\d+".join(map(spelled, template.split(USER))))


def spelled(text: str) -> str:
    """A pattern for a text as it is, as a URL has it, as JSON has it."""
    return "".join(map(_spellings, text))


def _spellings(char: str) -> str:
    """One character of a token as a pattern. A server may echo it out of a URL, or out of JSON that escapes slashes."""
    escaped = json.dumps(char)[1:-1]
    forms = {char, escaped, quote(char, safe=""), quote(char, safe="").lower(), quote_plus(char)}
    if not char.isalnum():
        forms |= {f"\\{char}", f"\\u{ord(char):04x}", f"\\u{ord(char):04X}"}
    # The longest first: a shorter one would leave the rest of an escape behind.
    patterns = [re.escape(form) for form in sorted(forms, key=lambda form: (-len(form), form))]
    return patterns[0] if len(patterns) == 1 else f"(?:{'|'.join(patterns)})"
