"""A run is asked to stop by a file, once, and whoever broke it is no reason to go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.stopping import FILE, ask_to_stop, asked_to_stop, is_asked


def test_whoever_asks_first_says_why(tmp_path: Path) -> None:
    assert (is_asked(tmp_path), asked_to_stop(tmp_path)) == (False, "")
    ask_to_stop(tmp_path, "one")
    ask_to_stop(tmp_path, "two")
    assert (is_asked(tmp_path), asked_to_stop(tmp_path)) == (True, "one")
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000])
def test_what_cannot_be_read_stops_as_well(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / FILE).write_bytes(raw)
    assert asked_to_stop(tmp_path) == "nobody said why"
