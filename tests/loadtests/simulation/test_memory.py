"""A session leaves the same rows and strings in memory as in files."""

from __future__ import annotations

import json
from pathlib import Path

from loadtests.history import ROW
from loadtests.recorder import Recorder
from loadtests.simulation.memory import MemoryRecord, rows_of

VALUES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, -1, 14, 15, 16, 17, 18, 19, 20, -1, 22)


def test_rows_and_strings_are_those_of_the_recorder(tmp_path: Path) -> None:
    memory, files = MemoryRecord(["root"]), Recorder(tmp_path, "worker-0")
    for record in (memory, files):
        if isinstance(record, Recorder):
            record.names(["root"])
        for text in ("a", "b", "a", "", "x" * 300, "x" * 299):
            record.intern(text)
        assert [record.row(*VALUES), record.row(*VALUES)] == [0, 1]
        assert (record.known("b"), record.known("c")) == (3, None)
    files.close()
    assert (tmp_path / "worker-0.bin").read_bytes() == memory.packed == ROW.pack(*VALUES) * 2
    written = [json.loads(line) for line in (tmp_path / "worker-0.strings").read_text().splitlines()]
    assert memory.strings == ["", *written]


def test_roots_have_the_first_numbers() -> None:
    assert MemoryRecord(["one", "two"]).roots == {1, 2}


def test_kept_frames_say_how_long_they_were() -> None:
    memory = MemoryRecord()
    memory.keep(1, 2, 3, 4, "in", b"abc")
    memory.keep(1, 2, 3, 4, "in", b"abc", 9)
    assert [frame[-1] for frame in memory.frames] == [3, 9]
    assert len(rows_of(memory.packed)) == 0
