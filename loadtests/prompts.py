"""What users say, what they expect of the answer, and when they interfere with a turn of their own. Pure.

A prompt may tell a code word (``{nonce}``) that a later one asks for: an answer without it has forgotten the thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, cast

import msgspec

from loadtests.configfile import nearest
from loadtests.conversation import Ask
from loadtests.dice import LateDice
from loadtests.errors import ConfigError

__all__ = ["CodeWord", "Expect", "Expectation", "Interference", "Prompt", "Prompter", "check", "spoken"]

NONCE = "{nonce}"
COLUMN = re.compile(r"\{(\w+)\}")
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an answer that is none of refused, throttled or failed must be like."""

    min_chars: Annotated[int, msgspec.Meta(ge=0)] = 0
    #: a regular expression that is found somewhere in the answer
    pattern: str = ""
    #: the last code word that the user told stands in the answer; void until the turn that told it has ended well
    recalls: bool = False


class Prompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    say: Annotated[str, msgspec.Meta(min_length=1)]
    expect: Expect | None = None


class Interference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For a share of the turns, a time after the send, uniform between two bounds."""

    share: Share = 0.0
    after_ms: tuple[Annotated[float, msgspec.Meta(ge=0)], Annotated[float, msgspec.Meta(ge=0)]] = (50.0, 400.0)


class CodeWord:
    """A word that a message tells; ``known`` once its turn has ended well."""

    __slots__ = ("known", "word")

    def __init__(self, word: str = "") -> None:
        self.word = word
        self.known = False


class Expectation:
    """One turn's. ``nonce``: the code word that it goes by; empty for none."""

    __slots__ = ("_min_chars", "_nonce", "_pattern")

    def __init__(self, expect: Expect, nonce: str) -> None:
        self._min_chars = expect.min_chars
        self._pattern = re.compile(expect.pattern) if expect.pattern else None
        self._nonce = nonce if expect.recalls else ""

    def met_by(self, answer: str) -> bool:
        """Whether an answer is what the message asked for."""
        return (
            len(answer) >= self._min_chars
            and (self._pattern is None or self._pattern.search(answer) is not None)
            and self._nonce in answer
        )


def spoken(prompts: Sequence[str | Prompt]) -> Sequence[Prompt]:
    """A text is a prompt without more; what is spoken already is the same list, so that thousands of users share one."""
    if not any(isinstance(one, str) for one in prompts):
        return cast("Sequence[Prompt]", prompts)
    return [Prompt(one) if isinstance(one, str) else one for one in prompts]


class Prompter:
    """One user's messages, the same for the same seed and user."""

    __slots__ = (
        "_asked", "_cancel", "_dice", "_first", "_overlap", "_person", "_prompts", "_thread", "_user", "_word",
    )  # fmt: skip

    def __init__(
        self, prompts: Sequence[str | Prompt], seed: int, user: int, cancel: Interference, overlap: Interference,
        person: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """``person``: what fills ``{column}`` in what is said."""
        self._person = dict(person or {})
        self._prompts = spoken(prompts)
        self._dice = LateDice(f"prompts:{seed}:{user}")
        self._user = user
        self._cancel, self._overlap = cancel, overlap
        self._asked = 0
        #: the last code word told on this thread, and on the first one, which alone a user comes back to
        self._thread, self._word = "", CodeWord()
        self._first = ("", self._word)

    @property
    def prompts(self) -> Sequence[Prompt]:
        """What is said one after the other."""
        return self._prompts

    def ask(self) -> Ask:
        """The next message."""
        self._asked += 1
        one = self._prompts[(self._user + self._asked) % len(self._prompts)]
        ask = self.ask_of(one.say, one.expect)
        if not (self._cancel.share or self._overlap.share):
            return ask
        drawn = self._dice.random()
        if drawn < self._cancel.share:
            return ask._replace(cancel_after_ms=self._dice.uniform(*self._cancel.after_ms))
        if drawn < self._cancel.share + self._overlap.share:
            after_ms = self._dice.uniform(*self._overlap.after_ms)
            return ask._replace(second=f"And one thing more: {ask.content}", second_after_ms=after_ms)
        return ask

    def ask_of(self, say: str, expect: Expect | None = None) -> Ask:
        """A message of this text."""
        said = say
        for column, value in self._person.items():
            said = said.replace(f"{{{column}}}", value)
        tells = None
        if NONCE in said:
            tells = self._word = CodeWord(f"{self._dice.getrandbits(40):010x}")
            said = said.replace(NONCE, tells.word)
        return Ask(said, Expectation(expect, self._word.word if self._word.known else "") if expect else None, tells)

    def switch(self, thread: str) -> None:
        """What is said from now on is said on another thread, where only what was told there is known."""
        if self._thread in {"", self._first[0]}:
            self._first = (self._thread or thread, self._word)
        self._thread, self._word = thread, self._first[1] if thread == self._first[0] else CodeWord()


def check(prompts: Sequence[str | Prompt], where: str, people: Sequence[Mapping[str, str]] = ()) -> None:
    """What the file's shape alone cannot say.

    Raises:
        ConfigError: a pattern that is none; people who differ in their columns, or a prompt that asks for one that there is not.
    """
    columns = list(people[0]) if people else []
    for i, person in enumerate(people):
        if set(person) != set(columns):
            raise ConfigError(
                where, f"people[{i}]", f"has {', '.join(person) or 'nothing'}", f"the columns {', '.join(columns)}"
            )
    if NONCE[1:-1] in columns:
        raise ConfigError(where, "people", "a column 'nonce'", "another name: {nonce} is the code word")
    for i, one in enumerate(prompts):
        asked = COLUMN.findall(one if isinstance(one, str) else one.say) if people else []
        for name in (name for name in asked if name not in {*columns, NONCE[1:-1]}):
            raise ConfigError(where, f"prompts[{i}]", f"no column {name!r} in people", nearest(name, columns))
        if isinstance(one, Prompt) and one.expect is not None:
            try:
                re.compile(one.expect.pattern)
            except re.error as error:
                place = f"prompts[{i}].expect.pattern"
                raise ConfigError(where, place, f"{one.expect.pattern!r}: {error}", "a regular expression") from None
