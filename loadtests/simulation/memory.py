"""A recorder in memory: the rows, strings and frames that ``loadtests.recorder`` would write, without a file. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from loadtests.history import DTYPE, NO_TEXT, NOT_FOREIGN, ORDINARY, ROW

__all__ = ["KeptFrame", "MemoryRecord", "rows_of"]

TEXT_CAP = 256

#: session, turn, row, at_ns, direction, payload, size
KeptFrame = tuple[int, int, int, int, str, bytes, int]


class MemoryRecord:
    """One run's history. ``roots``: strings that must have the first numbers."""

    def __init__(self, roots: Iterable[str] = ()) -> None:
        self._packed: list[bytes] = []
        self._pack, self._pack_ordinary = ROW.pack, ORDINARY.pack
        self._strings: dict[str, int] = {"": 0}
        self.strings: list[str] = [""]
        self.known = self._strings.get
        self.frames_received = 0
        self.frames: list[KeptFrame] = []
        self.roots = frozenset(self.intern(text) for text in roots)

    def row(self, *values: int) -> int:
        """Append one row; returns its number."""
        packed = self._packed
        packed.append(self._pack(*values))
        return len(packed) - 1

    def ordinary(
        self, head: bytes, who: bytes, names: bytes, execution: int, size: int, labels: int, when: bytes, received: int,
        cursor: int,
    ) -> int:  # fmt: skip
        """Append the row of one ordinary received frame, from ``history.Parts``."""
        self.frames_received += 1
        packed = self._packed
        packed.append(
            self._pack_ordinary(
                head, who, names, execution, NOT_FOREIGN, size, labels, NO_TEXT, when, received, cursor, 0
            )
        )
        return len(packed) - 1

    def intern(self, text: str) -> int:
        number = self._strings.get(text)
        if number is not None:
            return number
        kept = text[:TEXT_CAP]
        number = self._strings.get(kept)
        if number is None:
            number = self._strings[kept] = len(self.strings)
            self.strings.append(kept)
        return number

    def keep(
        self, session: int, turn: int, row: int, at_ns: int, direction: str, raw: bytes, size: int | None = None
    ) -> None:
        self.frames.append((session, turn, row, at_ns, direction, raw, len(raw) if size is None else size))

    @property
    def packed(self) -> bytes:
        """All rows, as they would stand in a file."""
        return b"".join(self._packed)


def rows_of(packed: bytes) -> np.ndarray[Any, np.dtype[Any]]:
    """Packed rows, to be read."""
    return np.frombuffer(packed, DTYPE)
