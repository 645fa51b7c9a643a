"""Rows, strings and kept frames of one process: append-only, fixed-size, flushed each second, readable after SIGKILL.

Opened after the fork, never at import. A process owns ``<name>.bin``, ``<name>.strings`` and ``<name>.frames``; when it
ends in order it adds ``<name>.json``, its own count of what it wrote and saw, which the judge reconciles.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from loadtests.history import DTYPE, NO_TEXT, NOT_FOREIGN, ORDINARY, ROW, SCHEMA, RowKind
from loadtests.secrets import Secrets

__all__ = ["FRAME_CAP_BYTES", "Recorder"]

ROW_BYTES = ROW.size
BUFFER_BYTES = 16_384 * ROW_BYTES
_pack, _pack_ordinary = ROW.pack_into, ORDINARY.pack_into
_line = msgspec.json.encode  # a line of JSON has no line break in it
TEXT_CAP = 256
STRINGS_CAP = 65_536
FRAME_CAP_BYTES = 4096
FRAMES_CAP_BYTES = 64 * 1024 * 1024  # a process keeps no more; what is left out is counted


class Recorder:
    """Writes one process's part of the history. Not for threads; a gevent hub is fine."""

    def __init__(self, folder: Path, name: str, secret: Secrets | re.Pattern[str] | None = None) -> None:
        self.folder, self.name = folder, name
        folder.mkdir(parents=True, exist_ok=True)
        #: text without any session's token, or what its server gave it in confidence
        self.redact = (secret if isinstance(secret, Secrets) else Secrets(secret)).redact
        self._buffer = bytearray(BUFFER_BYTES)
        self._used = 0  # bytes
        self.rows = 0
        self._written_strings = 0
        self.counts = np.zeros(max(RowKind) + 1, np.int64)  # of rows flushed, by kind
        self.frames_received = 0
        self._strings: dict[str, int] = {"": 0}
        #: the number of a string that was interned before, else None; on the hot path a call less
        self.known = self._strings.get
        self._new_strings: list[str] = []
        self._frame_lines: list[bytes] = []
        self._frame_bytes = 0
        self.frames_left_out = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._files = {end: os.open(folder / f"{name}.{end}", flags, 0o644) for end in ("bin", "strings", "frames")}
        self.on_flush: Any = None

    def row(
        self, kind: int, cohort: int, flags: int, event: int, schema: int, session: int, connection: int, turn: int,
        raw: int, agent: int, tool: int, execution: int, foreign: int, code: int, size: int, labels: int, text: int,
        intended: int, sent: int, received: int, cursor: int, key: int,
    ) -> int:  # fmt: skip
        """Append one row; returns its number in this process."""
        used = self._used
        if used == BUFFER_BYTES:
            self.flush()
            used = 0
        _pack(
            self._buffer, used, kind, cohort, flags, event, schema, session, connection, turn, raw, agent, tool,
            execution, foreign, code, size, labels, text, intended, sent, received, cursor, key,
        )  # fmt: skip
        self._used = used + ROW_BYTES
        number = self.rows
        self.rows = number + 1
        return number

    def ordinary(
        self, head: bytes, who: bytes, names: bytes, execution: int, size: int, labels: int, when: bytes, received: int,
        cursor: int,
    ) -> int:  # fmt: skip
        """``row`` for nine received frames in ten, from ``history.Parts``: half as many values to convert."""
        used = self._used
        if used == BUFFER_BYTES:
            self.flush()
            used = 0
        _pack_ordinary(
            self._buffer,
            used,
            head,
            who,
            names,
            execution,
            NOT_FOREIGN,
            size,
            labels,
            NO_TEXT,
            when,
            received,
            cursor,
            0,
        )
        self._used = used + ROW_BYTES
        self.frames_received += 1
        number = self.rows
        self.rows = number + 1
        return number

    def intern(self, text: str) -> int:
        """The number of a string; capped in length and count, secrets removed."""
        number = self._strings.get(text)
        return number if number is not None else self._intern(text)

    def _intern(self, text: str) -> int:
        kept = self.redact(text)[:TEXT_CAP]  # in this order: half a token would not be recognised
        if len(self._strings) >= STRINGS_CAP:
            kept = "(too many different strings)"
        number = self._strings.get(kept)
        if number is None:
            number = self._strings[kept] = len(self._new_strings) + self._written_strings + 1
            self._new_strings.append(kept)
        if len(self._strings) < STRINGS_CAP and kept != text and len(text) <= TEXT_CAP:
            self._strings[text] = number
        return number

    def keep(
        self, session: int, turn: int, row: int, at_ns: int, direction: str, raw: bytes, size: int | None = None
    ) -> None:
        """Keep one frame so that a witness can be read."""
        if self._frame_bytes > FRAMES_CAP_BYTES:
            self.frames_left_out += 1
            return
        text = self.redact(raw.decode("utf-8", "replace"))[:FRAME_CAP_BYTES]
        record = {
            "session": session, "turn": turn, "row": row, "at_ns": at_ns, "direction": direction,
            "size": len(raw) if size is None else size, "text": text,
        }  # fmt: skip
        line = _line(record)
        self._frame_bytes += len(line)
        self._frame_lines.append(line)

    def flush(self) -> None:
        """Everything so far to the files: strings first, since rows refer to them."""
        if self._new_strings:
            lines = "".join(json.dumps(text) + "\n" for text in self._new_strings)
            _write_all(self._files["strings"], lines.encode())
            self._written_strings += len(self._new_strings)
            self._new_strings = []
        if self._used:
            block = memoryview(self._buffer)[: self._used]
            if self.on_flush is not None:
                self.on_flush(block)
            self.counts += np.bincount(np.frombuffer(block, DTYPE)["kind"], minlength=len(self.counts))
            _write_all(self._files["bin"], block)
            self._used = 0
        if self._frame_lines:
            _write_all(self._files["frames"], b"\n".join([*self._frame_lines, b""]))
            self._frame_lines = []

    def close(self, books: Mapping[str, Any] | None = None) -> None:
        """Flush, then write the process's own account of it."""
        if not self._files:
            return
        self.flush()
        account = {
            "schema": SCHEMA,
            "rows": self.rows,
            "kinds": {RowKind(kind).name: count for kind, count in enumerate(self.counts.tolist()) if count},
            "frames_received": self.frames_received,
            "frames_left_out": self.frames_left_out,
            "strings": self._written_strings,
            **(books or {}),
        }
        partial = self.folder / f"{self.name}.json.partial"
        partial.write_text(json.dumps(account, sort_keys=True))
        partial.rename(self.folder / f"{self.name}.json")
        for file in self._files.values():
            os.close(file)
        self._files = {}

    def names(self, texts: Sequence[str]) -> frozenset[int]:
        """The numbers of some strings, interned now so that they are known from the start."""
        return frozenset(self.intern(text) for text in texts)


def _write_all(file: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
