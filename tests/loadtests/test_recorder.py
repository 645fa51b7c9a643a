"""Rows, strings and frames on disk: everything comes back, whatever moment the process died at."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtests import recorder as module
from loadtests.assignment import secret_pattern
from loadtests.history import DTYPE, ROW, Parts, RowKind
from loadtests.recorder import Recorder
from loadtests.rundir import frames, read_run
from loadtests.secrets import Secrets
from tests.loadtests.histories import compiled, write_frame_of_run

FIELDS = DTYPE.names or ()


def write(one: Recorder, **values: int) -> int:
    row = dict.fromkeys(FIELDS, 0) | {"kind": int(RowKind.EVENT), "foreign": -1, "cursor": -1} | values
    return one.row(*(row[name] for name in FIELDS))


def run_of(folder: Path) -> Path:
    write_frame_of_run(folder, compiled("reference"))
    return folder


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    one = Recorder(run_of(tmp_path) / "rows", "worker-0")
    biggest = {
        "kind": 14, "cohort": 2, "flags": 65_535, "schema": 65_535, "session": 0xFFFFFF, "turn": 0xFFFF_FFFF, "foreign": -1,
        "execution": 0xFFFF_FFFF, "code": -104, "size": 1 << 24, "cursor": (1 << 62) - 1, "key": (1 << 64) - 1,
    }  # fmt: skip
    numbers = [write(one, session=i, raw=one.intern(f"type {i % 3}"), received=i) for i in range(5)]
    numbers.append(write(one, **biggest))
    one.close()
    data = read_run(tmp_path)
    assert numbers == list(range(6))
    assert [data.strings[i] for i in data.rows["raw"][:5]] == ["type 0", "type 1", "type 2", "type 0", "type 1"]
    assert {name: int(data.rows[-1][name]) for name in biggest} == biggest
    assert data.problems == []


def test_an_ordinary_event_is_the_same_row_from_its_parts(tmp_path: Path) -> None:
    one = Recorder(tmp_path, "worker-0")
    parts = Parts(
        Parts.pack_head(int(RowKind.EVENT), 2, 7), Parts.pack_who(9, 3, 0xFFFF_FFF0), Parts.pack_names(4, 5, 6), 0xFFFF_FFFF, 240, 8,
        Parts.pack_when(10, 11), 12, (1 << 62) - 1,
    )  # fmt: skip
    assert (one.ordinary(*parts), one.row(*parts.values())) == (0, 1)
    one.close()
    first, second = np.frombuffer((tmp_path / "worker-0.bin").read_bytes(), DTYPE).tolist()
    assert first == second
    named = dict(zip(FIELDS, first, strict=True))
    assert named == {
        "kind": RowKind.EVENT, "cohort": 2, "flags": 0, "event": 7, "schema": 0, "session": 9, "connection": 3, "turn": 0xFFFF_FFF0,
        "raw": 4, "agent": 5, "tool": 6, "execution": 0xFFFF_FFFF, "foreign": -1, "code": 0, "size": 240, "labels": 8, "text": 0,
        "intended": 10, "sent": 11, "received": 12, "cursor": (1 << 62) - 1, "key": 0,
    }  # fmt: skip
    assert one.frames_received == 1


def test_its_own_account_counts_rows_by_kind(tmp_path: Path) -> None:
    one = Recorder(tmp_path, "worker-3")
    for kind in (RowKind.SEND, RowKind.EVENT, RowKind.EVENT):
        write(one, kind=int(kind))
    one.frames_received = 2
    one.close({"turns": 1})
    account = json.loads((tmp_path / "worker-3.json").read_text())
    assert account == {
        "schema": 1, "rows": 3, "kinds": {"SEND": 1, "EVENT": 2}, "frames_received": 2, "frames_left_out": 0, "strings": 0, "turns": 1,
    }  # fmt: skip


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    one = Recorder(tmp_path, "worker-0")
    one.close()
    one.close({"turns": 9})
    assert "turns" not in json.loads((tmp_path / "worker-0.json").read_text())


def test_a_recorder_never_writes_over_another(tmp_path: Path) -> None:
    Recorder(tmp_path, "worker-0").close()
    with pytest.raises(FileExistsError):
        Recorder(tmp_path, "worker-0")


def test_a_full_buffer_is_written_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUFFER_BYTES", 4 * ROW.size)
    one = Recorder(run_of(tmp_path) / "rows", "worker-0")
    for i in range(11):
        write(one, session=i)
    assert (tmp_path / "rows" / "worker-0.bin").stat().st_size == 8 * ROW.size
    one.close()
    assert read_run(tmp_path).rows["session"].tolist() == list(range(11))


def test_each_block_is_handed_on_before_it_is_written(tmp_path: Path) -> None:
    one = Recorder(tmp_path, "worker-0")
    blocks: list[bytes] = []
    one.on_flush = blocks.append
    write(one)
    one.flush()
    one.flush()
    assert [len(block) for block in blocks] == [ROW.size]


def test_cut_near_its_end_it_reads_whole_and_in_order(tmp_path: Path) -> None:
    """SIGKILL leaves any prefix of each file; a number beyond the last string must not become another text."""
    one = Recorder(run_of(tmp_path) / "rows", "worker-0")
    for i in range(4):
        write(one, raw=one.intern(f"type {i}"), session=i)
        one.keep(i, 0, i, 0, "in", b'{"n":%d}' % i)
        one.flush()
    os.sync()
    parts = {end: (tmp_path / "rows" / f"worker-0.{end}").read_bytes() for end in ("bin", "strings", "frames")}
    for end, whole in parts.items():
        for length in range(max(0, len(whole) - 100), len(whole) + 1, 7 if end == "bin" else 3):
            (tmp_path / "rows" / f"worker-0.{end}").write_bytes(whole[:length])
            data = read_run(tmp_path)
            kept = data.rows["session"].tolist()
            assert kept == list(range(len(kept)))
            assert all(data.strings[raw] in {f"type {i}", ""} for i, raw in enumerate(data.rows["raw"]))
            kept = [frame["row"] for frame in frames(tmp_path)]
            assert kept == list(range(len(kept)))
        (tmp_path / "rows" / f"worker-0.{end}").write_bytes(whole)


def test_half_a_row_is_a_problem_only_of_a_process_that_said_it_had_ended(tmp_path: Path) -> None:
    one = Recorder(run_of(tmp_path) / "rows", "worker-0")
    write(one)
    one.flush()
    path = tmp_path / "rows" / "worker-0.bin"
    path.write_bytes(path.read_bytes() + b"half")
    assert read_run(tmp_path).problems == []
    one.close()
    assert read_run(tmp_path).problems == ["worker-0.bin ends in the middle of a row"]


def test_two_processes_share_a_folder_and_not_a_numbering(tmp_path: Path) -> None:
    folder = run_of(tmp_path) / "rows"
    child = os.fork()
    name = "worker-1" if child == 0 else "worker-0"
    one = Recorder(folder, name)
    texts = ["shared", "only there"] if child == 0 else ["only here", "shared"]
    for text in texts:
        write(one, raw=one.intern(text), session=int(name[-1]))
    one.close()
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    data = read_run(tmp_path)
    assert (data.workers, data.first_row) == (["worker-0", "worker-1"], [0, 2])
    assert [data.strings[raw] for raw in data.rows["raw"]] == ["only here", "shared", "shared", "only there"]
    assert len(data.strings) == len(set(data.strings)) == 4


def test_strings_are_interned_once(tmp_path: Path) -> None:
    one = Recorder(tmp_path, "worker-0")
    assert one.intern("") == 0
    first = one.intern("a")
    one.flush()
    assert (one.intern("a"), one.intern("b")) == (first, first + 1)
    assert one.names(["a", "c"]) == {first, first + 2}


def test_strings_are_capped_in_length(tmp_path: Path) -> None:
    one = Recorder(tmp_path, "worker-0")
    assert one.intern("x" * 5000) == one.intern("x" * 5001) == one.intern("x" * module.TEXT_CAP)


def test_strings_are_capped_in_number_and_told_apart_up_to_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STRINGS_CAP", 5)
    one = Recorder(run_of(tmp_path) / "rows", "worker-0")
    for text in "abcdefgh":
        write(one, raw=one.intern(text))
    write(one, raw=one.intern("a"))
    one.close()
    data = read_run(tmp_path)
    rest = "(too many different strings)"
    assert [data.strings[raw] for raw in data.rows["raw"]] == [*"abcd", rest, rest, rest, rest, "a"]


@pytest.mark.parametrize("text", ["line\nbreak", '"quoted"', "\x00\x1b[2J", "\u2028", "emoji 🎲", "\ud800"])
def test_no_text_breaks_the_files(tmp_path: Path, text: str) -> None:
    one = Recorder(run_of(tmp_path) / "rows", "worker-0")
    write(one, raw=one.intern(text))
    write(one, raw=one.intern("after"))
    one.keep(1, 1, 0, 0, "in", text.encode("utf-8", "surrogatepass"))
    one.close()
    data = read_run(tmp_path)
    assert [data.strings[raw] for raw in data.rows["raw"]] == [text, "after"]
    assert len(list(frames(tmp_path))) == 1


def test_tokens_are_redacted_before_they_are_capped(tmp_path: Path) -> None:
    secret = re.compile("hush-gauntlet-\\d+")
    one = Recorder(run_of(tmp_path) / "rows", "worker-0", secret=secret)
    write(one, raw=one.intern("it is hush-gauntlet-12!"))
    one.keep(1, 1, 0, 0, "out", b"x" * (module.FRAME_CAP_BYTES - 6) + b"hush-gauntlet-12")
    one.close()
    data = read_run(tmp_path)
    assert data.strings[data.rows["raw"][0]] == "it is [redacted]!"
    assert "hush" not in next(frames(tmp_path))["text"]


def test_a_token_that_the_length_cap_would_cut_is_redacted_whole(tmp_path: Path) -> None:
    one = Recorder(run_of(tmp_path) / "rows", "worker-0", secret=re.compile("hush-gauntlet-\\d+"))
    write(one, raw=one.intern("x" * (module.TEXT_CAP - 6) + "hush-gauntlet-12"))
    one.close()
    assert b"hush" not in (tmp_path / "rows" / "worker-0.strings").read_bytes()


def test_a_token_of_any_user_is_kept_out_of_strings_and_frames_as_a_url_or_json_spells_it(tmp_path: Path) -> None:
    one = Recorder(run_of(tmp_path) / "rows", "worker-0", secret=secret_pattern("s3cr+t/Tok{user}=="))
    write(one, raw=one.intern("GET /ws?token=s3cr%2Bt/Tokgauntlet-7%3D%3D failed"))
    one.keep(1, 1, 0, 0, "in", rb'{"url": "s3cr+t\/Tokgauntlet-31==", "again": "s3cr%2Bt%2FTokgauntlet-4%3D%3D"}')
    one.close()
    data = read_run(tmp_path)
    assert data.strings[data.rows["raw"][0]] == "GET /ws?token=[redacted] failed"
    assert next(frames(tmp_path))["text"] == '{"url": "[redacted]", "again": "[redacted]"}'


def test_what_is_learned_while_it_runs_is_kept_out_from_then_on(tmp_path: Path) -> None:
    secrets = Secrets(secret_pattern("hush-{user}"))
    one = Recorder(run_of(tmp_path) / "rows", "worker-0", secrets)
    one.intern("before")
    secrets.learn("tick-3t/8")
    write(one, raw=one.intern("hush-gauntlet-1 and tick-3t%2F8"))
    one.keep(1, 1, 0, 0, "in", b"x" * (module.FRAME_CAP_BYTES - 4) + rb"tick-3t\/8")
    one.close()
    data = read_run(tmp_path)
    assert data.strings[data.rows["raw"][0]] == "[redacted] and [redacted]"
    assert "tick" not in next(frames(tmp_path))["text"]


def test_kept_frames_are_capped_and_what_is_left_out_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FRAMES_CAP_BYTES", 10_000)
    one = Recorder(run_of(tmp_path) / "rows", "worker-0")
    for i in range(5):
        one.keep(1, 1, i, 0, "in", b"z" * 1_000_000)
    one.close()
    kept: list[dict[str, Any]] = list(frames(tmp_path))
    assert [(len(frame["text"]), frame["size"], frame["worker"]) for frame in kept] == [
        (4096, 1_000_000, "worker-0")
    ] * 3
    assert json.loads((tmp_path / "rows" / "worker-0.json").read_text())["frames_left_out"] == 2
