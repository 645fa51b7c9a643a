"""What a frame's content says beyond its ids: a chunk of a text, the text as a whole, an outcome, an answer. Pure.

Content is not kept in rows, so what it shows is settled here, live, and goes into the row as a number or a flag.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.contract.compile import Contract
from loadtests.contract.decoder import UNDECLARED_OUTCOME
from loadtests.flight import Flight
from loadtests.history import OUTCOMES, End, Flag
from loadtests.turn import DONE, FAILED

__all__ = ["ANSWERED", "END_OF", "Content"]

#: how a turn ended, by the number of its outcome
END_OF = tuple(End[name.upper()] for name in OUTCOMES)
#: turns from which an answer may be expected
OK = End.OK
ANSWERED = (OK, End.DEGRADED)
MOST_CHUNKS = 65_536  # of one text
MOST_CHARS = 4_000_000  # of one turn's texts; longer ones are not compared
TEXT_DIFFERS, POOR_ANSWER = int(Flag.TEXT_DIFFERS), int(Flag.POOR_ANSWER)


class Content:
    """``indices``: the events whose content has to be read at all."""

    __slots__ = ("_contract", "_roles", "indices")

    def __init__(self, contract: Contract, roles: Sequence[int]) -> None:
        self._contract = contract
        self._roles = roles
        ends = {i for i, role in enumerate(roles) if role in (DONE, FAILED)} if contract.says_outcome else set()
        self.indices = frozenset({*contract.stream_of, *contract.final_of, *ends, contract.answer_event} - {0})

    def read(self, flight: Flight, index: int, raw: bytes) -> tuple[int, int, int]:
        """The row's ``code``, flags, and schema bits."""
        contract, code, flags, bits, ended = self._contract, 0, 0, 0, OK
        if index in contract.stream_of:
            code = self._chunk(flight, index, raw)
        if index in contract.final_of and self._differs(flight, index, raw):
            flags |= TEXT_DIFFERS
        if self._roles[index] in (DONE, FAILED):
            outcome, listed = contract.outcome(index, raw)
            code, ended = outcome + 1, END_OF[outcome]
            if not listed:
                bits = UNDECLARED_OUTCOME
        if index == contract.answer_event and flight.expect is not None and ended in ANSWERED:
            answer = contract.read_answer(raw)
            if answer is None or not flight.expect.met_by(answer):
                flags |= POOR_ANSWER
        return code, flags, bits

    def _chunk(self, flight: Flight, index: int, raw: bytes) -> int:
        stream = self._contract.stream_of[index]
        number, text = stream.read(raw)
        numbered = stream.numbered and number is not None and 0 <= number < MOST_CHUNKS
        texts = flight.texts = flight.texts or {}
        pieces = texts.setdefault(stream.number, {})
        place = number if numbered and number is not None else len(pieces)
        if len(pieces) < MOST_CHUNKS and flight.chars <= MOST_CHARS and place not in pieces:
            pieces[place] = text  # the first of a kind: a repeated chunk is a finding of its own
            flight.chars += len(text)
        return place + 1 if numbered else 0

    def _differs(self, flight: Flight, index: int, raw: bytes) -> bool:
        final = self._contract.final_of[index]
        pieces = (flight.texts or {}).get(final.stream)
        if not pieces or len(pieces) >= MOST_CHUNKS or flight.chars > MOST_CHARS:
            return False  # this turn did not stream its answer, or more than we hold
        whole = final.read(raw)
        return whole is not None and "".join(pieces[place] for place in sorted(pieces)) != whole
