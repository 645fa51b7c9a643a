"""Rows judged again by the trackers that ran live: the same findings, by worker, within bounded memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import reports.replay
import reports.sieve
from loadtests.contract import load
from loadtests.findings import BY_NAME, Finding
from loadtests.history import DTYPE, UNKNOWN_TURN, End, Flag, RowKind
from loadtests.rundir import read_run
from reports.replay import OF_A_WHOLE_TURN, Replayed, as_rows, is_of_a_turn, of_own_turns, replay
from tests.reports.rundirs import Frames, Plan, write_run
from tests.reports.stories import MS, ROLES, START_NS, Story, window


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
    monkeypatch.setattr(reports.sieve, "KEPT_FINDINGS", 2)
    again = replay(read_run(write_run(tmp_path / "run", replace(SMALL, spoil=duplicated))))
    assert (len(again.findings), again.counts["worker-0"]["redelivered"]) == (2, 4)


def test_no_kind_of_finding_crowds_out_another() -> None:
    """A leak after thousands of warnings is still found, with its witness."""
    story = Story()
    for session in range(2):
        story.connect(session, 10)
    story.send(0, 1, 100)
    story.event(0, 1, 101, "started")
    many = reports.sieve.KEPT_FINDINGS + 3
    for i in range(many):
        story.event(0, 1, 102 + i / 1000, "thinking", flags=int(Flag.DEPRECATED))
    story.event(0, 1, 200, "thinking", foreign=1)
    story.end(0, 1, 210, End.CUT_BY_STOP)
    for session in range(2):
        story.leave(session, 5_000)
    again = story.replayed()
    assert again.counts["rows"] == {"deprecated": many, "foreign": 1}
    assert Counter(finding.kind.name for finding in again.findings) == {"deprecated": many - 3, "foreign": 1}
    leak = story.check("leak")
    assert (leak.verdict, leak.violations, len(leak.witnesses)) == ("invalid", 1, 1)


def closing(healed_ms: float, many: int) -> Story:
    """A backend that breaks each of many connections: before the heal a fault explains it, and long after none does."""
    story = Story()
    story.cohorts[0] = "treated"
    story.connect(1, 10)
    for number in range(many):
        story.connect(0, 100 + number * 10)
        story.close(0, 105 + number * 10)
    story.connect(0, healed_ms + 60_000)
    story.close(0, healed_ms + 60_005)
    for session in range(2):
        story.leave(session, healed_ms + 61_000)
    return story


def test_what_a_fault_explains_crowds_out_nothing_that_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports.sieve, "KEPT_FINDINGS", 3)
    story = closing(500, 20)
    check = story.check("close", window(50, 500))
    assert (check.verdict, check.violations, check.kinds) == ("invalid", 1, {"abnormal-close": 1})
    (witness,) = check.witnesses
    assert witness.at_s == pytest.approx(60.505)
    again = story.replayed(window(50, 500))
    assert (again.sieve.excuses, len(again.sieve.excused)) == ({"abnormal-close": 20}, 3)


def test_beyond_its_memory_a_check_still_counts_and_says_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports.sieve, "KEPT_FINDINGS", 6)
    check = closing(500, 20).check("close", window(60_000, 61_000))
    assert (check.violations, check.kinds, len(check.witnesses)) == (20, {"abnormal-close": 20}, 5)
    assert check.scope == "20 times, at least 1 user hit, treated, clear of any fault"
    monkeypatch.setattr(reports.sieve, "KEPT_FINDINGS", 30)
    assert (
        closing(500, 20).check("close", window(60_000, 61_000)).scope
        == "20 times, 1 user hit, treated, clear of any fault"
    )


def test_a_place_beyond_the_memory_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first stand in a fault that explains none of them, and the last is clear of it."""
    monkeypatch.setattr(reports.sieve, "KEPT_FINDINGS", 2)
    check = closing(500, 20).check("close", window(50, 500, disconnects=False))
    assert check.scope.endswith("clear of faults and in or after w1")


def test_events_out_of_order_are_counted_by_event_beyond_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports.sieve, "KEPT_FINDINGS", 1)
    story = Story()
    story.connect(0, 10)
    for turn in range(1, 5):
        story.turn(0, turn, turn * 100, roles=("thinking", *ROLES))
    story.leave(0, 5_000)
    thinking = story.contract.by_name[story.contract.name_of("thinking")].index
    again = story.replayed()
    assert (again.out_of_order, len(again.findings)) == ({thinking: 4}, 1)


def test_turns_are_counted_as_the_client_saw_them_end() -> None:
    story = Story()
    story.connect(0, 10)
    for turn, (end, roles) in enumerate(
        [(End.OK, ROLES), (End.FAILED, ROLES[:2]), (End.TIMEOUT, ROLES[:1]), (End.TIMEOUT, ()), (End.CUT_BY_STOP, ROLES),
         (End.IN_DOUBT, ())], 1,
    ):  # fmt: skip
        story.turn(0, turn, turn * 100, how=end, roles=roles)
    story.leave(0, 5_000)
    again = story.replayed()
    assert again.ends == {End.OK: 1, End.FAILED: 1, End.TIMEOUT: 2, End.CUT_BY_STOP: 1, End.IN_DOUBT: 1}
    assert (again.begun, again.ordered) == (3, 3)


@pytest.mark.parametrize(("root", "kinds"), [(1, set()), (3, {"after-end", "agent-unfinished", "role-missing"})])
def test_whose_end_a_turn_s_end_is_stands_in_the_contract(root: int, kinds: set[str]) -> None:
    """The end of a nested agent is none; of one that nobody knows to be nested it is."""
    story = Story()
    story.strings.append("researcher")
    story.connect(0, 10)
    story.send(0, 1, 100)
    for at_ms, (role, agent) in enumerate(
        [("started", root), ("thinking", root), ("started", 4 - root), ("done", 4 - root), ("tool-open", root), ("tool-close", root),
         ("done", root)], 101,
    ):  # fmt: skip
        story.event(0, 1, at_ms, role, agent=agent)
    story.end(0, 1, 110)
    story.leave(0, 5_000)
    assert {finding.kind.name for finding in story.replayed().findings} == kinds


def test_a_history_without_rows_ends_at_no_time() -> None:
    again = Story().replayed()
    assert (again.last_ns, again.findings, again.clients, again.unfinished) == (0, [], {}, 0)


def test_blocks_are_seams_that_nothing_falls_into(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story()
    for session in range(3):
        story.connect(session, 10)
        for turn in range(1, 4):
            story.turn(session, turn, turn * 100, roles=ROLES[1:] if turn == 2 else ROLES)
        story.leave(session, 5_000)
    found = []
    for size in (1, 7, 4096):
        monkeypatch.setattr(reports.replay, "BLOCK_ROWS", size)
        again = story.replayed()
        found.append((again.findings, again.ends, again.tally.events, again.last_ns))
    assert found[0] == found[1] == found[2]
    assert {finding.turn for finding in found[0][0]} == {2}


def test_a_whole_turn_s_finding_stands_where_its_turn_did_and_any_other_where_its_row_did() -> None:
    story = Story()
    story.connect(0, 10)
    story.turn(0, 1, 100, roles=ROLES[:-1], how=End.TIMEOUT)
    story.turn(0, 2, 300, roles=(*ROLES, "thinking"))
    story.leave(0, 5_000)
    placed = {end_ms: story.replayed(window(105, end_ms, cohort="direct")).sieve.places for end_ms in (106, None)}
    assert placed[106]["never-ended"] == placed[None]["never-ended"] == {("direct", "w1")}
    assert placed[None]["after-end"] == {("direct", "w1")}
    early = story.replayed(window(1, 99, cohort="direct", disconnects=False)).sieve.placed
    assert {one.finding.kind.name for one in early} >= {"never-ended", "after-end"}
    before = story.replayed(window(345, 346, cohort="direct")).sieve.places
    assert before["never-ended"] == {("direct", "")}


def test_a_finding_that_names_no_turn_of_its_session_is_of_none() -> None:
    def finding(turn: int) -> Finding:
        return Finding(BY_NAME["foreign"], 0, turn, 0, 0)

    assert [is_of_a_turn(finding(turn)) for turn in (0, 1, UNKNOWN_TURN)] == [False, True, False]


def test_events_of_own_turns_are_told_from_whatever_else_a_row_may_be() -> None:
    story = Story()
    story.connect(0, 10)
    story.send(0, 1, 100)
    story.event(0, 1, 101, "thinking")
    for turn, foreign in ((0, -1), (UNKNOWN_TURN, -1), (1, 0), (1, 7)):
        story.event(0, turn, 102, "thinking", foreign=foreign)
    rows = story.read()
    assert rows[of_own_turns(rows)]["received"].tolist() == [START_NS + 101 * MS]


def test_rows_of_any_make_are_one_array() -> None:
    rows = np.zeros(2, DTYPE)
    assert as_rows(rows) is rows
    assert as_rows(rows.tolist()).tolist() == rows.tolist()
    assert len(as_rows([])) == 0


# -- what each kind of row tells its tracker and its client's account --------------------------------------------------


def kinds_of(again: Replayed) -> set[str]:
    return {finding.kind.name for finding in again.findings}


def test_what_is_of_a_whole_turn_is_a_kind_of_finding() -> None:
    assert BY_NAME.keys() >= OF_A_WHOLE_TURN


@pytest.mark.parametrize(("cut_ms", "explained"), [(9_999, 0), (10_001, 1)])
def test_a_message_is_swallowed_between_its_send_and_its_cut(cut_ms: float, explained: int) -> None:
    story = Story()
    story.connect(0, 10, "treated")
    story.send(0, 1, 5_000)
    story.close(0, cut_ms, flags=int(Flag.MID_TURN))
    story.end(0, 1, 40_000, End.IN_DOUBT)
    story.leave(0, 50_000)
    again = story.replayed(window(10_000, 12_000))
    assert (again.sieve.excuses["silent-cut"], again.sieve.counts["silent-cut"]) == (explained, 1 - explained)


@pytest.mark.parametrize(("asked_ms", "explained"), [(19_999, 1), (20_001, 0), (None, 0)])
def test_a_ping_goes_unanswered_from_when_it_was_asked_to_the_hang_up(asked_ms: float | None, explained: int) -> None:
    """Where nobody knows since when, it is of the moment of the hang-up."""
    story = Story()
    story.connect(0, 10, "treated")
    asked_ns = 0 if asked_ms is None else START_NS + round(asked_ms * MS)
    story.row(
        RowKind.CLOSE, 0, 30_000, code=1006, intended=asked_ns, flags=int(Flag.OURS | Flag.NEVER_READY | Flag.RESUMED)
    )
    story.row(RowKind.STOP, 0, 50_000)
    again = story.replayed(window(10_000, 20_000))
    assert (again.sieve.excuses["unanswered"], again.sieve.counts["unanswered"]) == (explained, 1 - explained)


@pytest.mark.parametrize(("cut", "kind"), [(False, "hole"), (True, "hole-at-cut")])
def test_what_is_missing_behind_a_cut_is_told_from_what_is_missing_elsewhere(cut: bool, kind: str) -> None:
    story = Story()
    story.connect(0, 10)
    story.send(0, 1, 100)
    story.event(0, 1, 110, "started", cursor=1)
    if cut:
        story.close(0, 120)
        story.connect(0, 130)
    story.event(0, 1, 140, "thinking", cursor=3)
    story.leave(0, 5_000)
    assert kinds_of(story.replayed()) & {"hole", "hole-at-cut"} == {kind}


@pytest.mark.parametrize(("flags", "kinds"), [(0, set()), (int(Flag.MID_TURN), {"closed-early"})])
def test_a_clean_close_is_early_in_the_middle_of_a_turn_alone(flags: int, kinds: set[str]) -> None:
    story = Story()
    story.connect(0, 10)
    story.close(0, 100, 1000, flags)
    story.row(RowKind.STOP, 0, 200)
    assert kinds_of(story.replayed()) == kinds


@pytest.mark.parametrize(
    ("contract", "ours", "ended", "late", "doubtful"),
    [
        ("reference", False, False, False, 1), ("netra", False, False, False, 0), ("reference", True, False, False, 0),
        ("reference", False, True, False, 0), ("reference", False, False, True, 0),
    ],
)  # fmt: skip
def test_a_message_is_in_doubt_that_a_cut_may_have_swallowed_and_that_may_be_sent_again(
    contract: str, ours: bool, ended: bool, late: bool, doubtful: int
) -> None:
    """Not one that we hung up on, nor that was given up, nor that was meant when the connection was gone."""
    story = Story(load(contract))
    story.connect(0, 10)
    story.send(0, 1, 130 if late else 100)
    story.close(0, 120, flags=int(Flag.OURS) if ours else 0)
    if ended:
        story.end(0, 1, 140, End.TIMEOUT)
    story.connect(0, 200)
    assert story.replayed().doubtful == doubtful


@pytest.mark.parametrize(
    ("asked", "head", "resumed", "kinds"),
    [
        (5, 3, True, {"claimed-behind"}),
        (5, 5, True, {"claimed-over-hole"}),
        (5, 3, False, set()),
        (None, 0, True, set()),
    ],
)
def test_a_claim_is_held_against_what_was_asked(asked: int | None, head: int, resumed: bool, kinds: set[str]) -> None:
    """A declared loss claims nothing, and who asked for nothing was promised nothing."""
    story = Story()
    story.connect(0, 10)
    story.close(0, 100, flags=int(Flag.OURS))
    story.connect(0, 110)
    if asked is not None:
        story.row(RowKind.ASK, 0, 120, cursor=asked)
    story.row(RowKind.CLAIM, 0, 130, cursor=head, flags=int(Flag.RESUMED) if resumed else 0)
    story.leave(0, 5_000)
    assert kinds_of(story.replayed()) == kinds


def test_under_a_contract_without_a_resume_a_claim_says_nothing() -> None:
    story = Story(load("netra"))
    story.connect(0, 10)
    story.row(RowKind.ASK, 0, 120, cursor=5)
    story.row(RowKind.CLAIM, 0, 130, cursor=3, flags=int(Flag.RESUMED))
    story.leave(0, 5_000)
    assert kinds_of(story.replayed()) == set()


@pytest.mark.parametrize(
    ("end", "roles", "unheard"),
    [(End.OK, ROLES[:-1], 2), (End.OK, ROLES, 0), (End.TIMEOUT, ROLES[:-1], 0), (End.FAILED, ROLES[:-1], 2)],
)
def test_a_turn_ended_unheard_if_the_backend_ended_it_by_what_is_not_there(
    end: End, roles: tuple[str, ...], unheard: int
) -> None:
    story = Story()
    story.connect(0, 10)
    for turn in (1, 2):
        story.turn(0, turn, turn * 100, how=end, roles=roles)
    story.leave(0, 5_000)
    assert story.replayed().unheard == unheard


def test_a_planned_message_that_found_no_connection_called_for_an_attempt() -> None:
    story = Story()
    story.connect(0, 10)
    story.close(0, 100)
    story.refused(0, 200)
    story.refused(0, 300)
    story.drop(0, 300)
    story.row(RowKind.STOP, 0, 5_000)
    (outage,) = story.replayed().clients[0].outages
    assert (outage.dropped, outage.prompted) == (1, {1})


def test_a_message_that_was_sent_again_and_acknowledged_was_never_executed() -> None:
    """Sent again to nobody who answered, it is simply silent."""
    found = []
    for again in (True, False):
        story = Story()
        story.connect(0, 10)
        story.send(0, 1, 100)
        story.event(0, 1, 105, "other", cursor=-1)
        story.close(0, 110, flags=int(Flag.MID_TURN))
        story.connect(0, 200)
        if again:
            story.row(RowKind.RESEND, 0, 210, turn=1)
        story.end(0, 1, 9_000, End.TIMEOUT)
        story.leave(0, 10_000)
        found.append(kinds_of(story.replayed()) & {"never-executed", "silent-cut"})
    assert found == [{"never-executed"}, {"silent-cut"}]


@pytest.mark.parametrize(("cancelled", "kind"), [(True, "cancel-ignored"), (False, "never-ended")])
def test_a_turn_that_goes_on_after_its_cancel_has_ignored_it(cancelled: bool, kind: str) -> None:
    story = Story()
    story.connect(0, 10)
    story.send(0, 1, 100)
    story.event(0, 1, 110, "started")
    if cancelled:
        story.row(RowKind.CANCEL, 0, 120, turn=1)
    story.end(0, 1, 3_000, End.TIMEOUT)
    story.leave(0, 5_000)
    assert kinds_of(story.replayed()) == {kind}


def test_an_outage_that_nothing_ends_lasts_until_its_session_is_over() -> None:
    story = Story()
    for session in range(2):
        story.connect(session, 10)
    story.close(0, 100)
    story.row(RowKind.STOP, 0, 200)
    story.leave(1, 5_000)
    (outage,) = story.replayed().clients[0].outages
    assert outage.end_ns == START_NS + 200 * MS
