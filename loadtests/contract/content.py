"""What terminal and content events say beyond their ids: chunks, whole texts, outcomes, answers. Compiled readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args

from loadtests.contract.reader import Reader
from loadtests.contract.schema import ContractFile, Outcome

__all__ = ["OUTCOMES", "FinalRule", "OutcomeRule", "StreamRule", "answers", "finals", "streams"]

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
#: what a terminal event means whose contract says no more of it
BY_ROLE: Mapping[str, Outcome] = {"done": "ok", "failed": "failed"}


@dataclass(frozen=True, slots=True)
class StreamRule:
    """A stream of chunks. ``read``: frame -> (number of the chunk, its text)."""

    number: int
    start: int
    numbered: bool
    read: Callable[[bytes], tuple[int | None, str]]


@dataclass(frozen=True, slots=True)
class FinalRule:
    """Where a stream's text stands whole. ``read``: frame -> the text, None where it does not stand."""

    stream: int
    read: Callable[[bytes], str | None]


def _text_of(file: ContractFile, path: str) -> Callable[[bytes], str | None]:
    read = Reader(file.envelope, ((path, str),)).read

    def text(raw: bytes) -> str | None:
        found: str | None = read(raw)[0]
        return found

    return text


def _chunk_of(file: ContractFile, text: str, index: str) -> Callable[[bytes], tuple[int | None, str]]:
    read = Reader(file.envelope, ((text, str), (index, int)) if index else ((text, str),)).read

    def chunk(raw: bytes) -> tuple[int | None, str]:
        found = read(raw)
        return found[1] if index else None, found[0] or ""

    return chunk


def streams(file: ContractFile, index_of: Mapping[str, int]) -> dict[int, StreamRule]:
    """Event index -> the stream that it brings a chunk of."""
    return {
        index_of[one.event]: StreamRule(number, one.start, bool(one.index), _chunk_of(file, one.text, one.index))
        for number, one in enumerate(file.streams)
    }


def finals(file: ContractFile, index_of: Mapping[str, int]) -> dict[int, FinalRule]:
    """Event index -> the stream that it brings the whole of."""
    return {
        index_of[one.final.event]: FinalRule(number, _text_of(file, one.final.text))
        for number, one in enumerate(file.streams)
        if one.final is not None
    }


def answers(file: ContractFile, index_of: Mapping[str, int]) -> tuple[int, Callable[[bytes], str | None]]:
    """The event that holds a message's answer (0: the file does not say which), and how to read it."""
    if file.answer is None:
        return 0, lambda _: None
    return index_of[file.answer.event], _text_of(file, file.answer.text)


class OutcomeRule:
    """How a turn ended: by the value in its terminal event, else by that event's name, else by its role."""

    def __init__(self, file: ContractFile, index_of: Mapping[str, int]) -> None:
        outcomes = file.outcomes
        #: there is more to it than the role
        self.says = bool(outcomes.path or outcomes.events)
        self._values = {value: OUTCOMES.index(outcome) for value, outcome in outcomes.values.items()}
        self._defaults = {
            index_of[name]: OUTCOMES.index(outcomes.events.get(name, BY_ROLE[event.role]))
            for name, event in file.events.items()
            if event.role in BY_ROLE
        }
        #: event index -> number of the outcome that it says of the end to come
        self.foretold = {
            index_of[name]: OUTCOMES.index(outcome)
            for name, outcome in outcomes.events.items()
            if file.events[name].role not in BY_ROLE
        }
        kind = str | int | float | bool
        self._read = Reader(file.envelope, ((outcomes.path, kind),)).read if outcomes.path else None

    def outcome(self, index: int, raw: bytes) -> tuple[int, bool]:
        """Number of the outcome that a terminal event tells, and whether what it says is in the contract.

        To say nothing is allowed; what is no terminal counts as well ended.
        """
        default = self._defaults.get(index, 0)
        value = self._read(raw)[0] if self._read is not None else None
        if value is None:
            return default, True
        # As JSON would write it, since a file may want to say it of ``success: true``.
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return self._values.get(text, default), text in self._values
