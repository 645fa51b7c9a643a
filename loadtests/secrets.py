"""What must not be shown: every user's token, and what a server gave in confidence while the process ran.

One for a process, since what one session was given may come back in what another one sees.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from loadtests.assignment import LEAST_SECRET, spelled

__all__ = ["REDACTED", "Secrets"]

REDACTED = "[redacted]"
MOST_LEARNED = 4096  # of single-use ones, and at least again of those that last as long as their session
MOST_UNINDEXED = 64
#: a part of a session's URL that is as long as this and has a digit is a ticket, not a word
LEAST_PART = 12
GRAM = LEAST_SECRET
_RUN = re.compile(f"[0-9A-Za-z]{{{GRAM},}}")


@dataclass(slots=True)
class _Learned:
    text: str
    #: no escape touches its characters, so it is in a text whatever the spelling; lower case; "" if there is none
    run: str
    pattern: re.Pattern[str] | None = None  # of those that were looked for

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        if self.pattern is None:
            self.pattern = re.compile(spelled(self.text))
        return (found.span() for found in self.pattern.finditer(text))


class Secrets:
    """``pattern`` finds the tokens that are known beforehand; the rest is learned. Bounded: the oldest are forgotten.

    ``users``: how many there are, who may each have a token and a ticket of their own.
    """

    def __init__(self, pattern: re.Pattern[str] | None = None, users: int = 0) -> None:
        self._pattern = pattern
        self._most_lasting = MOST_LEARNED + 4 * users
        self._single_use: dict[str, _Learned] = {}
        self._lasting: dict[str, _Learned] = {}
        self._unindexed: dict[str, _Learned] = {}
        #: never forgotten: whoever learns them knows how many there are
        self._kept: dict[str, _Learned] = {}
        # By the last characters of the run: tickets of a kind begin alike.
        self._index: dict[str, dict[str, _Learned]] = {}

    def keep(self, text: str) -> None:
        """Never show this text again, however many others there are."""
        if len(text) >= LEAST_SECRET and text not in self._kept:
            one = self._kept[text] = _learned(text)
            if one.run:
                self._index.setdefault(one.run[-GRAM:], {})[text] = one

    def learn(self, text: str, *, lasting: bool = False, spare: str = "") -> None:
        """Never show this text again, nor what is secret in it if it is a URL. ``spare``: what stays to be seen."""
        for part in (text, *_parts(text)):
            if len(part) >= LEAST_SECRET and part != spare:
                self._add(part, lasting)

    def _add(self, text: str, lasting: bool) -> None:
        one = _learned(text)
        place, most = (self._lasting, self._most_lasting) if lasting else (self._single_use, MOST_LEARNED)
        if not one.run:
            place, most = self._unindexed, MOST_UNINDEXED
        elif text in self._kept or (not lasting and text in self._lasting):
            return
        known = place.pop(text, None)
        place[text] = known or one
        if known:
            return
        if one.run:
            self._index.setdefault(one.run[-GRAM:], {})[text] = one
        if len(place) > most:
            self._forget(place.pop(next(iter(place))))

    def _forget(self, one: _Learned) -> None:
        if not one.run or one.text in self._single_use or one.text in self._lasting or one.text in self._kept:
            return
        of_gram = self._index[one.run[-GRAM:]]
        del of_gram[one.text]
        if not of_gram:
            del self._index[one.run[-GRAM:]]

    def redact(self, text: str) -> str:
        """Text without any of them, however a URL or JSON spells it."""
        spans = [found.span() for found in self._pattern.finditer(text)] if self._pattern else []
        for one in self._candidates(text):
            spans += one.find(text)
        if not spans:
            return text
        # One may hold another, or overlap it: what is left of either would be half a secret.
        out: list[str] = []
        at = hidden = 0
        for start, end in sorted(spans):
            if start >= hidden:
                out += text[at:start], REDACTED
            at = hidden = max(hidden, end)
        return "".join([*out, text[at:]])

    def _candidates(self, text: str) -> Iterator[_Learned]:
        yield from self._unindexed.values()
        yield from (one for one in self._kept.values() if not one.run)
        if self._index:
            low = text.lower()
            for gram in self._index.keys() & {low[i : i + GRAM] for i in range(len(low) - GRAM + 1)}:
                yield from (one for one in self._index[gram].values() if one.run in low)


def _learned(text: str) -> _Learned:
    runs = _RUN.findall(text)
    return _Learned(text, max(reversed(runs), key=len).lower() if runs else "")


def _parts(text: str) -> Iterator[str]:
    """What is secret in a session's URL and may be seen without the rest."""
    try:
        parts = urlsplit(text)
        if not parts.scheme or not parts.netloc:
            return
        found = [parts.password or "", *(value for _, value in parse_qsl(parts.query)), *parts.path.split("/")]
    except ValueError:
        return
    yield from (part for part in found if len(part) >= LEAST_PART and any(char.isdigit() for char in part))
