"""A run stops of itself only for what the last seconds show, and only where its scenario says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.conductor.abort import LEAST_TURNS, OVER_S, Lookout
from loadtests.history import End, Flag, RowKind
from loadtests.limits import Limits
from loadtests.recorder import Recorder
from loadtests.scenario import Abort

NOW_NS = 100 * 1_000_000_000


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "rows", "worker-0")


def ended(recorder: Recorder, end: End, count: int, *, ago_s: float = 1.0, first: int = 0) -> None:
    for session in range(first, first + count):
        row(recorder, RowKind.END, session, ago_s, code=int(end))
    recorder.flush()


def row(recorder: Recorder, kind: RowKind, session: int, ago_s: float = 1.0, *, code: int = 0, flags: int = 0) -> None:
    at_ns = NOW_NS - int(ago_s * 1e9)
    recorder.row(int(kind), 2, flags, 0, 0, session, 1, 1, 0, 0, 0, 0, -1, code, 0, 0, 0, 0, 0, at_ns, -1, 0)
    recorder.flush()


def lookout(recorder: Recorder, users: int = 100, **limits: float) -> Lookout:
    return Lookout(Abort(**limits), recorder.folder, users)


@pytest.mark.parametrize("end", [End.FAILED, End.TIMEOUT])
def test_too_many_turns_that_end_badly(recorder: Recorder, end: End) -> None:
    one = lookout(recorder, error_rate=0.5)
    ended(recorder, End.OK, 50)
    ended(recorder, end, 50)
    assert one.trouble(NOW_NS) == ""
    ended(recorder, end, 1)
    assert one.trouble(NOW_NS) == "error rate 0.50 in the last 10 s, and abort.error_rate is 0.5"


@pytest.mark.parametrize("end", [End.CUT_BY_STOP, End.IN_DOUBT, End.ABANDONED, End.DEGRADED, End.REJECTED])
def test_what_is_no_failure_is_no_error(recorder: Recorder, end: End) -> None:
    one = lookout(recorder, error_rate=0.1)
    ended(recorder, end, 100)
    assert one.trouble(NOW_NS) == ""


def test_few_turns_are_no_rate(recorder: Recorder) -> None:
    one = lookout(recorder, error_rate=0.1)
    ended(recorder, End.FAILED, LEAST_TURNS - 1)
    assert one.trouble(NOW_NS) == ""
    ended(recorder, End.FAILED, 1)
    assert one.trouble(NOW_NS)


def test_what_is_long_ago_is_forgotten(recorder: Recorder) -> None:
    one = lookout(recorder, error_rate=0.1, share_hit=0.1)
    ended(recorder, End.FAILED, 100, ago_s=OVER_S + 1)
    assert one.trouble(NOW_NS) == ""


@pytest.mark.parametrize(
    "hit",
    [
        lambda recorder, session: row(recorder, RowKind.CLOSE, session, code=1006),
        lambda recorder, session: row(recorder, RowKind.FAILED, session),
        lambda recorder, session: row(recorder, RowKind.END, session, code=int(End.TIMEOUT)),
    ],
)
def test_sessions_are_hit_by_a_cut_a_refusal_or_a_turn_that_ended_badly(
    recorder: Recorder, hit: Callable[[Recorder, int], None]
) -> None:
    one = lookout(recorder, users=10, share_hit=0.3)
    for session in (1, 2, 3, 3, 3):
        hit(recorder, session)
    assert one.trouble(NOW_NS) == ""
    hit(recorder, 4)
    assert one.trouble(NOW_NS) == "4 of 10 sessions hit in the last 10 s, and abort.share_hit is 0.3"


def test_a_goodbye_of_ours_hits_nobody(recorder: Recorder) -> None:
    one = lookout(recorder, users=2, share_hit=0.1)
    row(recorder, RowKind.CLOSE, 1, code=1000, flags=int(Flag.OURS))
    assert one.trouble(NOW_NS) == ""


def test_rows_of_all_processes_count(recorder: Recorder, tmp_path: Path) -> None:
    one = lookout(recorder, error_rate=0.5)
    ended(recorder, End.FAILED, LEAST_TURNS // 2)
    assert one.trouble(NOW_NS) == ""
    ended(Recorder(tmp_path / "rows", "worker-1"), End.FAILED, LEAST_TURNS // 2)
    assert one.trouble(NOW_NS)


def test_half_a_row_waits_for_its_other_half(recorder: Recorder) -> None:
    one = lookout(recorder, error_rate=0.5)
    ended(recorder, End.FAILED, LEAST_TURNS)
    (file,) = recorder.folder.glob("*.bin")
    whole = file.read_bytes()
    half = len(whole) - len(whole) // LEAST_TURNS // 2
    file.write_bytes(whole[:half])
    assert one.trouble(NOW_NS) == ""
    file.write_bytes(whole)
    assert one.trouble(NOW_NS)


def test_what_was_used_is_counted_from_the_beginning(recorder: Recorder) -> None:
    one = Lookout(Abort(), recorder.folder, 10, Limits(tokens=100))
    for used_in, used_out, ago_s in ((30, 20, OVER_S + 5), (-1, 0, 1.0), (20, 29, 1.0)):
        row(recorder, RowKind.SEND, 1, ago_s)
        at_ns = NOW_NS - int(ago_s * 1e9)
        recorder.row(
            int(RowKind.END), 2, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, at_ns, used_in, used_out
        )  # fmt: skip
    recorder.flush()
    assert (one.trouble(NOW_NS), one.spent()) == ("", "")
    recorder.row(int(RowKind.END), 2, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, NOW_NS, 1, 0)
    recorder.flush()
    assert (one.trouble(NOW_NS), one.spent()) == ("", "limits.tokens: 100 tokens of 100")
    assert Lookout(Abort(), recorder.folder, 10, Limits(turns=3)).trouble(NOW_NS) == ""


def test_without_limits_nothing_is_even_read(tmp_path: Path) -> None:
    assert Lookout(Abort(), tmp_path / "nowhere", 1).trouble(NOW_NS) == ""
