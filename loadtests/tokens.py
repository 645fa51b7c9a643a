"""Where each user's token comes from: a variable with ``{user}`` in it, a file with a line for each user, or a program that is
asked for each and again before what it gave expires. Tokens stay in memory; what is written down names the source alone.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from loadtests.assignment import secret_pattern, token_for, token_template
from loadtests.errors import ConfigError

__all__ = ["OPTIONS", "Source", "TokenError", "Tokens", "known_tokens", "parsed"]

#: the options that name a source, of which there is one at most
OPTIONS = ("--token-env", "--token-file", "--token-program")
PROGRAM_S = 30.0
#: a token is fetched again when a fifth of its life, but not more than this, is left
MOST_MARGIN_S, MARGIN = 30.0, 0.2
MOST_BYTES = 64 * 1024


class TokenError(Exception):
    """A program gave no token. Its words are not shown: they may hold one."""


class Source(NamedTuple):
    """Where tokens come from, as it stands in files; all empty: no credentials are offered."""

    env: str = ""
    file: str = ""
    program: str = ""

    @property
    def option(self) -> str:
        """As it was given; empty for none."""
        return next((name for name, value in zip(OPTIONS, self, strict=True) if value), "")

    def check(self, users: int) -> None:
        """All that can be known before traffic.

        Raises:
            ConfigError: more than one source, a variable that is not set, too few lines, or no program.
        """
        if sum(map(bool, self)) > 1:
            given = [name for name, value in zip(OPTIONS, self, strict=True) if value]
            raise ConfigError(given[1], "", f"{given[0]} is given as well", "one source of tokens")
        token_template(self.env)
        if self.file and (lines := len(_lines(self.file))) < users:
            raise ConfigError(self.file, "", f"{lines} tokens for {users} users", "a line for each user")
        if self.program and not (Path(self.program).is_file() and os.access(self.program, os.X_OK)):
            raise ConfigError("--token-program", "", f"{self.program} is no program", "an executable file")


class _Held(NamedTuple):
    token: str
    #: when to ask again, on the monotonic clock
    until_s: float


class Tokens:
    """One process's. ``learn`` is told every token before anybody can use it, since it must never be shown."""

    def __init__(
        self, source: Source, learn: Callable[[str], None], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises:
        ConfigError: a variable that is not set, or a file that cannot be read.
        """
        self._program, self._learn, self._now_s = source.program, learn, now_s
        self._template = token_template(source.env)
        self._lines = _lines(source.file) if source.file else []
        self._held: dict[int, _Held] = {}
        for line in self._lines:
            learn(line)

    @property
    def changes(self) -> bool:
        """A user's next token may be another one."""
        return bool(self._program)

    def due(self) -> list[int]:
        """Users whose token is to be fetched again; ``of`` does."""
        now_s = self._now_s()
        return [user for user, held in self._held.items() if now_s >= held.until_s]

    def of(self, user: int) -> str | None:
        """A user's token, at least for a while; None: no credentials. May wait for a program.

        Raises:
            TokenError: it gave none.
        """
        if self._lines:
            return self._lines[user % len(self._lines)]
        if not self._program:
            return token_for(self._template, user)
        held = self._held.get(user)
        if held is None or self._now_s() >= held.until_s:
            held = self._held[user] = self._ask(user)
        return held.token

    def _ask(self, user: int) -> _Held:
        asked_s = self._now_s()
        try:
            done = subprocess.run(
                [self._program, f"gauntlet-{user}"], stdin=subprocess.DEVNULL, capture_output=True, timeout=PROGRAM_S, check=False
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise TokenError(f"the token program did not answer within {PROGRAM_S:g} s") from None
        except OSError as error:
            raise TokenError(f"the token program could not be run: {error.strerror}") from None
        if done.returncode:
            raise TokenError(f"the token program exited with {done.returncode}")
        token, life_s = parsed(done.stdout[:MOST_BYTES].decode("utf-8", "replace"), time.time())
        if not token:
            raise TokenError("the token program printed no token")
        self._learn(token)
        margin_s = min(MOST_MARGIN_S, MARGIN * life_s) if life_s is not None else 0.0
        return _Held(token, asked_s + life_s - margin_s if life_s is not None else float("inf"))


def known_tokens(source: Source) -> re.Pattern[str] | None:
    """Finds those that are known beforehand by their pattern; others are learned."""
    return secret_pattern(token_template(source.env))


def parsed(printed: str, wall_s: float) -> tuple[str, float | None]:
    """The token in what a program printed, and its life in seconds; None: nobody said.

    It may print the token alone, or ``{"token": …, "expires_in_s": …}``; a JSON Web Token says itself when it expires (RFC 7519,
    4.1.4), whatever its signature.
    """
    text = printed.strip()
    said = _json(text)
    token = str(said.get("token") or "") if said is not None else text
    life_s = said.get("expires_in_s") if said is not None else None
    if isinstance(life_s, int | float) and not isinstance(life_s, bool):
        return token, max(0.0, float(life_s))
    expires_s = (_claims(token) or {}).get("exp")
    if isinstance(expires_s, int | float) and not isinstance(expires_s, bool):
        return token, max(0.0, expires_s - wall_s)
    return token, None


def _json(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _claims(token: str) -> dict[str, Any] | None:
    """The payload of a JSON Web Token; None: it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        text = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)).decode()
    except ValueError:
        return None
    return _json(text)


def _lines(path: str) -> list[str]:
    """One token a line; what is empty is none.

    Raises:
        ConfigError: the file cannot be read, or has none.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no UTF-8 text"
        raise ConfigError(path, "", f"cannot be read: {reason}", "one token a line") from None
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise ConfigError(path, "", "holds no token", "one token a line")
    return found
