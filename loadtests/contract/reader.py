"""Reads a few named values out of a frame, for what only some events carry: a chunk, a text, an outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loadtests.contract.envelope import BROKEN, Opener, any_json, places_of
from loadtests.contract.paths import Records
from loadtests.contract.schema import Envelope

__all__ = ["Reader"]


class Reader:
    """``read`` gives the values at some paths, None for what is absent or of another type; it never raises.

    A path is read like a field of the contract: a plain name in any container, a dotted one from the root.
    """

    def __init__(self, envelope: Envelope, wanted: Sequence[tuple[str, Any]]) -> None:
        self._wanted = tuple(wanted)
        self._opener = Opener(envelope)
        #: one text frame, as bytes
        self.read: Callable[[bytes], tuple[Any, ...]] = self._fast(envelope) or self.read_slowly

    def _fast(self, envelope: Envelope) -> Callable[[bytes], tuple[Any, ...]] | None:
        records = Records()
        for path in envelope.merge:
            records.branch(path)
        if envelope.recovered:
            records.leaf(envelope.recovered, bool)
        for path, kind in self._wanted:
            for place in places_of(envelope, path):
                records.leaf(place, kind)
        typed, slowly = records.decoder(), self.read_slowly
        if typed is None:
            return None
        #: all that a value may be, the one that wins first
        values = "".join(
            f"({', '.join(map(records.expression, reversed(places_of(envelope, path))))},)," for path, _ in self._wanted
        )
        look: Callable[[Any], Any] = eval(f"lambda root: ({values})")  # noqa: S307
        recovered: Callable[[Any], Any] = eval(  # noqa: S307
            f"lambda root: {records.expression(envelope.recovered) if envelope.recovered else None}"
        )

        def read(raw: bytes) -> tuple[Any, ...]:
            try:
                if not raw.isascii():
                    raw.decode()  # the typed decoder skips what it does not need, bad UTF-8 too
                root = typed(raw)
            except BROKEN:
                return slowly(raw)
            if recovered(root):
                return slowly(raw)
            return tuple([next((value for value in found if value is not None), None) for found in look(root)])

        return read

    def read_slowly(self, raw: bytes) -> tuple[Any, ...]:
        """The definition, over plain dictionaries."""
        try:
            frame = any_json(raw)
        except BROKEN:
            return (None,) * len(self._wanted)
        if not isinstance(frame, dict):
            return (None,) * len(self._wanted)
        opened = self._opener.open(frame)
        return tuple(value if _fits(value := opened.find(path), kind) else None for path, kind in self._wanted)


def _fits(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))
