"""The journal is on disk before the deed, and reads back whole up to where a crash cut it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from loadtests.journal import Journal, read_journal


def test_records_come_back_in_order_with_their_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "history.jsonl")
    before = time.monotonic_ns()
    journal.append("note", text="one\ntwo")
    journal.append("clock", at_ns=7, mono_ns=1)
    first, second = read_journal(tmp_path / "history.jsonl")
    assert (first["type"], first["text"]) == ("note", "one\ntwo")
    assert before <= first["at_ns"] <= time.monotonic_ns()
    assert second == {"type": "clock", "at_ns": 7, "mono_ns": 1}
    journal.close()


def test_no_file_is_no_records(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none.jsonl") == []


def test_cut_anywhere_the_whole_records_before_it_stay(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    journal = Journal(path)
    for i in range(3):
        journal.append("note", n=i)
    journal.close()
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        kept = [record["n"] for record in read_journal(path)]
        assert kept == list(range(len(kept)))
        assert len(kept) >= whole[:length].count(b"\n")


@pytest.mark.parametrize("line", [b"[]\n", b"7\n", b"\xff\xfe\n", b"\n", b"{half\n"])
def test_lines_that_are_no_records_are_left_out(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"type":"a"}\n' + line + b'{"type":"b"}\n')
    assert [record["type"] for record in read_journal(path)] == ["a", "b"]


def test_no_number_that_json_does_not_know_gets_in(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "history.jsonl")
    with pytest.raises(ValueError):
        journal.append("note", value=float("nan"))
    assert read_journal(tmp_path / "history.jsonl") == []


def test_a_journal_is_appended_to_and_never_begun_again(tmp_path: Path) -> None:
    for i in range(2):
        journal = Journal(tmp_path / "history.jsonl")
        journal.append("note", n=i)
        journal.close()
    assert [record["n"] for record in read_journal(tmp_path / "history.jsonl")] == [0, 1]


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "history.jsonl")

    def write(who: int) -> None:
        for i in range(20):
            journal.append("note", who=who, n=i)

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = read_journal(tmp_path / "history.jsonl")
    for who in range(4):
        assert [record["n"] for record in records if record["who"] == who] == list(range(20))
