"""What a frame's content says beyond its ids: a chunk of a text, the text as a whole, an outcome, an answer. Pure.

Content is not kept in rows, so what it shows is settled here, live, and goes into the row as a number or a flag.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.contract.compile import Contract
from loadtests.contract.content import StreamRule
from loadtests.contract.decoder import UNDECLARED_OUTCOME, UNNUMBERED_CHUNK
from loadtests.flight import Flight
from loadtests.history import OUTCOMES, End, Flag
from loadtests.turn import DONE, FAILED

__all__ = ["ANSWERED", "END_OF", "Content"]

#: how a turn ended, by the number of its outcome
END_OF = tuple(End[name.upper()] for name in OUTCOMES)
OK = End.OK
#: turns from which an answer may be expected
ANSWERED = (OK, End.DEGRADED)
MOST_CHUNKS = 65_536  # of one text
MOST_CHARS = 4_000_000  # of one turn's texts; longer ones are not compared
TEXT_DIFFERS, POOR_ANSWER = int(Flag.TEXT_DIFFERS), int(Flag.POOR_ANSWER)


class Content:
    """Of one session. ``tail_chars``: how much of a text's end is put before the chunk that follows it."""

    __slots__ = ("_contract", "_roles", "_tail_chars", "_tails")

    def __init__(self, contract: Contract, roles: Sequence[int], tail_chars: int) -> None:
        self._contract = contract
        self._roles = roles
        self._tail_chars = tail_chars
        #: turn (0: none in flight) -> stream -> the text's end so far
        self._tails: dict[int, dict[int, str]] = {}

    def read(self, flight: Flight, index: int, raw: bytes, cursor: int, key: int) -> tuple[int, int, int, str]:
        """The row's ``code``, flags, and schema bits, and what a chunk says, behind the end of what came before it.

        ``cursor``, ``key``: by which an event is known if it comes again.
        """
        contract, code, flags, bits, said, ended = self._contract, 0, 0, 0, "", OK
        if index in contract.stream_of:
            code, bits, said = self._chunk(flight, index, raw, cursor, key)
        if index in contract.foretold:
            flight.foretold = contract.foretold[index]
        if index in contract.final_of and self._differs(flight, index, raw):
            flags |= TEXT_DIFFERS
        if self._roles[index] in (DONE, FAILED):
            outcome, listed = contract.outcome(index, raw)
            if flight.foretold >= 0 and self._roles[index] == DONE:
                outcome = flight.foretold
            code, ended = outcome + 1, END_OF[outcome]
            if not listed:
                bits = UNDECLARED_OUTCOME
        if index == contract.answer_event and ended in ANSWERED and (flight.expect or flight.answer is not None):
            answer = contract.read_answer(raw)
            flight.answer = flight.answer if answer is None else answer
            if flight.expect is not None and (answer is None or not flight.expect.met_by(answer)):
                flags |= POOR_ANSWER
        return code, flags, bits, said

    def read_stray(self, index: int, raw: bytes) -> str:
        """The same of a chunk that belongs to no turn in flight."""
        stream = self._contract.stream_of.get(index)
        return "" if stream is None else self._joined(0, stream, stream.read(raw)[1])

    def forget(self, turn: int) -> None:
        """What comes of it from now on is put behind nothing."""
        self._tails.pop(turn, None)

    def _joined(self, turn: int, stream: StreamRule, text: str) -> str:
        tails = self._tails.setdefault(turn, {})
        said = tails.get(stream.number, "") + text
        tails[stream.number] = said[-self._tail_chars :]
        return said

    def _chunk(self, flight: Flight, index: int, raw: bytes, cursor: int, key: int) -> tuple[int, int, str]:
        stream = self._contract.stream_of[index]
        number, text = stream.read(raw)
        texts = flight.texts = flight.texts or {}
        pieces = texts.setdefault(stream.number, {})
        place, code, bits = (cursor if cursor >= 0 else len(pieces)), 0, 0
        if stream.numbered:
            if number is None or number < 0:  # taken for the next one, so that this is all that is wrong with it
                bits, number = UNNUMBERED_CHUNK, max(pieces, default=stream.start - 1) + 1
            if number < MOST_CHUNKS:
                place, code = number, number + 1
        # The first of a kind: a repeated chunk is a finding of its own.
        if len(pieces) < MOST_CHUNKS and flight.chars <= MOST_CHARS and place not in pieces and not flight.met(key):
            pieces[place] = text
            flight.chars += len(text)
        return code, bits, self._joined(flight.number, stream, text)

    def _differs(self, flight: Flight, index: int, raw: bytes) -> bool:
        final = self._contract.final_of[index]
        pieces = (flight.texts or {}).get(final.stream)
        if not pieces or len(pieces) >= MOST_CHUNKS or flight.chars > MOST_CHARS:
            return False  # this turn did not stream its answer, or more than we hold
        whole = final.read(raw)
        return whole is not None and "".join(pieces[place] for place in sorted(pieces)) != whole
