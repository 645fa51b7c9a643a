"""Rows judged again by the trackers that ran live: the same findings, by worker, within bounded memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import reports.replay
from loadtests.history import RowKind
from loadtests.rundir import read_run
from reports.replay import replay
from tests.reports.rundirs import Frames, Plan, write_run


def duplicated(_: int, turn: int, frames: Frames) -> Frames:
    return [*frames[:2], frames[1], *frames[2:]] if turn == 2 else frames


def unended(session: int, turn: int, frames: Frames) -> Frames:
    return frames[:-1] if (session, turn) == (1, 2) else frames


SMALL = Plan(users=4, phases=(("steady", 3.0),))


def test_a_good_run_replays_to_nothing(tmp_path: Path) -> None:
    again = replay(read_run(write_run(tmp_path / "run", SMALL)))
    assert (again.findings, again.counts, again.unfinished) == ([], {"worker-0": Counter()}, 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_each_worker_found_live_is_found_again_in_its_rows(tmp_path: Path, workers: int) -> None:
    data = read_run(write_run(tmp_path / "run", replace(SMALL, workers=workers, spoil=duplicated)))
    again = replay(data)
    assert sum(counts["redelivered"] for counts in again.counts.values()) == 4
    for worker, account in data.accounts.items():
        assert account is not None
        assert Counter(account["provisional"]) == again.counts[worker]


def test_a_finding_points_at_the_row_that_shows_it(tmp_path: Path) -> None:
    data = read_run(write_run(tmp_path / "run", replace(SMALL, workers=2, spoil=duplicated)))
    thinking = data.contract.by_name[data.contract.name_of("thinking")].index
    for finding in replay(data).findings:
        row = data.rows[finding.row]
        assert (row["kind"], row["session"], row["turn"], row["event"]) == (
            RowKind.EVENT, finding.session, finding.turn, thinking,
        )  # fmt: skip


def test_what_only_the_end_shows_is_found_again(tmp_path: Path) -> None:
    plan = replace(SMALL, phases=(("steady", 30.0),), pace_ms=6000, script=unended)
    again = replay(read_run(write_run(tmp_path / "run", plan)))
    assert [(f.kind.name, f.session, f.turn) for f in again.findings if f.kind.checker == "terminal"] == [
        ("never-ended", 1, 2)
    ]


def test_sessions_whose_end_is_not_in_the_rows_are_counted_and_not_settled(tmp_path: Path) -> None:
    data = read_run(write_run(tmp_path / "run", replace(SMALL, spoil=unended)))
    again = replay(replace(data, rows=data.rows[data.rows["kind"] != RowKind.STOP]))
    assert again.unfinished == 4


def test_beyond_its_memory_only_the_counts_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports.replay, "KEPT_FINDINGS", 2)
    again = replay(read_run(write_run(tmp_path / "run", replace(SMALL, spoil=duplicated))))
    assert (len(again.findings), again.counts["worker-0"]["redelivered"]) == (2, 4)
