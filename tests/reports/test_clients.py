"""What a session's rows tell of its client: outages and attempts, sockets, and what its turns spanned."""

from __future__ import annotations

import pytest

from loadtests.history import End, Flag, RowKind
from reports.clients import (
    KEPT_MISSTEPS,
    KEPT_OUTAGES,
    KEPT_TRIES,
    OVERLAP_NS,
    ClientAccount,
    Misstep,
    MisstepLog,
    Outage,
)
from tests.reports.stories import MS, REFERENCE, START_NS, Story


def account(story: Story, session: int = 0) -> ClientAccount:
    return story.replayed().clients[session]


def cut_once(*waits_ms: float, until_ms: float = 9e9) -> Story:
    story = Story()
    story.connect(0, 0)
    story.close(0, 100)
    at_ms = 100.0
    for wait_ms in waits_ms:
        at_ms += wait_ms
        if at_ms < until_ms:
            story.refused(0, at_ms)
        else:
            story.connect(0, at_ms)
        at_ms += 1
    return story


def test_an_outage_lasts_from_the_loss_to_the_next_ready() -> None:
    (outage,) = account(cut_once(5, 40, 90, until_ms=200)).outages
    assert (outage.close_ns, outage.ready_ns) == (START_NS + 100 * MS, START_NS + 239 * MS)
    assert (outage.attempts, outage.delays_ns, outage.before) == (3, [5 * MS, 40 * MS, 90 * MS], 0)


def test_who_never_comes_back_is_out_until_the_history_ends() -> None:
    story = cut_once(5)
    story.row(13, 0, 7_000)  # type: ignore[arg-type]  # STOP
    (outage,) = account(story).outages
    assert (outage.ready_ns, outage.end_ns) == (None, START_NS + 7_000 * MS)


def test_who_loses_a_second_socket_has_a_new_outage_and_the_first_one_is_over() -> None:
    story = Story()
    story.connect(0, 10)
    story.connect(0, 5_000)
    story.close(0, 5_100)
    story.close(0, 5_150)
    story.connect(0, 6_000)
    first, second = account(story).outages
    assert (first.close_ns, first.end_ns, first.ready_ns) == (START_NS + 5_100 * MS, START_NS + 5_150 * MS, None)
    assert (second.close_ns, second.ready_ns) == (START_NS + 5_150 * MS, START_NS + 6_002 * MS)


def test_a_connection_that_we_closed_or_that_was_never_served_is_no_outage() -> None:
    story = Story()
    story.connect(0, 0)
    story.close(0, 10, 1000, int(Flag.OURS))
    story.connect(1, 0)
    story.close(1, 10, served=False)
    assert not account(story).outages
    assert not account(story, 1).outages


def test_later_outages_know_that_there_were_earlier_ones() -> None:
    story = cut_once(5, until_ms=0)
    story.close(0, 300)
    assert [outage.before for outage in account(story).outages] == [0, 1]


def test_an_attempt_that_a_planned_message_called_for_is_none_of_the_policy() -> None:
    story = cut_once(5, 40, 90)
    story.drop(0, 147)  # meant for the moment of the second attempt
    (outage,) = account(story).outages
    assert outage.prompted == {1}
    assert [outage.delay_ms(i) for i in range(4)] == [5.0, None, 90.0, None]


def test_a_message_that_is_sent_at_last_calls_for_its_attempt_too_and_later_ones_for_none() -> None:
    story = cut_once(5, 40, 90, until_ms=200)
    story.send(0, 1, 237, late_ms=3)
    story.end(0, 1, 300)
    (outage,) = account(story).outages
    assert outage.prompted == {2}


def test_messages_dropped_meanwhile_are_counted() -> None:
    story = cut_once(5, 500, until_ms=400)
    story.drop(0, 50)
    story.drop(0, 300)
    story.drop(0, 2_000)
    (outage,) = account(story).outages
    assert outage.dropped == 1


def test_so_many_attempts_are_counted_and_only_the_first_kept() -> None:
    (outage,) = account(cut_once(*[1.0] * 200)).outages
    assert (outage.attempts, len(outage.delays_ns)) == (200, 24)


def test_each_attempt_has_its_begin_and_how_it_failed() -> None:
    story = cut_once(5)
    story.dial(0, 200)
    story.row(RowKind.OPEN, 0, 201)
    story.close(0, 300, 1000, int(Flag.OURS | Flag.NEVER_READY), served=False)
    story.connect(0, 400)
    (outage,) = account(story).outages
    at = [
        (START_NS + begun * MS, failed and START_NS + failed * MS)
        for begun, failed in ((105, 106), (200, 300), (400, 0))
    ]
    assert outage.tries_ns == at


def test_of_very_many_attempts_the_last_kept_one_keeps_its_own_end() -> None:
    (outage,) = account(cut_once(*[1.0] * (KEPT_TRIES + 5))).outages
    assert (outage.attempts, len(outage.tries_ns)) == (KEPT_TRIES + 5, KEPT_TRIES)
    assert {failed - begun for begun, failed in outage.tries_ns} == {MS}


@pytest.mark.parametrize("status", [401, 403])
def test_after_a_refusal_for_good_a_dial_is_a_misstep(status: int) -> None:
    story = Story()
    story.refused(0, 0, status)
    assert not story.replayed().missteps.kept
    story.dial(0, 50)
    assert [one.kind for one in story.replayed().missteps.kept] == ["after-fatal"]


def test_other_refusals_may_be_tried_again() -> None:
    story = Story()
    for at_ms, status in enumerate((500, 503, 429, 404, -111, 0)):
        story.refused(0, at_ms * 10, status)
    assert not story.replayed().missteps.kept


def test_a_fatal_code_sends_the_client_away_and_nobody_has_to_serve_it() -> None:
    story = Story()
    story.connect(0, 0)
    story.close(0, 100, REFERENCE.file.closes.fatal[0])
    (outage,) = account(story).outages
    assert outage.dismissed
    story.dial(0, 200)
    assert [one.kind for one in story.replayed().missteps.kept] == ["after-fatal"]


def test_sent_away_on_the_way_back_is_sent_away() -> None:
    story = cut_once()
    story.dial(0, 105)
    story.row(5, 0, 106)  # type: ignore[arg-type]  # OPEN
    story.close(0, 107, REFERENCE.file.closes.fatal[0], served=False)
    (outage,) = account(story).outages
    assert (outage.dismissed, outage.attempts) == (True, 1)


def test_our_own_close_with_such_a_code_sends_nobody_away() -> None:
    story = Story()
    story.connect(0, 0)
    story.close(0, 100, REFERENCE.file.closes.fatal[0], int(Flag.OURS))
    story.dial(0, 200)
    assert not story.replayed().missteps.kept


@pytest.mark.parametrize(("overlap_ms", "missteps"), [(OVERLAP_NS / MS, 0), (OVERLAP_NS / MS + 1, 1)])
def test_two_sockets_may_overlap_for_a_moment(overlap_ms: float, missteps: int) -> None:
    story = Story()
    story.connect(0, 0)
    story.connect(0, 100)
    story.close(0, 101 + overlap_ms)
    story.close(0, 9_000, 1000, int(Flag.OURS))
    assert [one.kind for one in story.replayed().missteps.kept] == ["two-sockets"] * missteps


def test_two_sockets_that_live_to_the_end_are_a_misstep() -> None:
    story = Story()
    story.connect(0, 0)
    story.connect(0, 100)
    story.row(13, 0, 5_000)  # type: ignore[arg-type]  # STOP
    (one,) = story.replayed().missteps.kept
    assert (one.kind, one.at_ns) == ("two-sockets", START_NS + 101 * MS)


def test_one_socket_that_lives_to_the_end_is_none() -> None:
    story = Story()
    story.connect(0, 0)
    story.row(13, 0, 5_000)  # type: ignore[arg-type]  # STOP
    assert not story.replayed().missteps.kept


def test_a_turn_spans_from_its_intended_send_to_its_end() -> None:
    one = ClientAccount(REFERENCE, 0, "direct", _nothing)
    one.sent(1, 1_000)
    assert one.span(1, 1_500) == (1_000, 1_500)
    one.closed(0, 1_200, 1006, 0)
    one.closed(0, 1_300, 1006, 0)
    one.ended(1, 1_400)
    assert one.span(1, 1_500) == (1_000, 1_400)
    assert (one.until_cut(1, 1_000), one.until_cut(2, 7)) == (1_200, 7)
    assert one.span(2, 7) == (7, 7)


def test_of_old_turns_only_now_is_known() -> None:
    one = ClientAccount(REFERENCE, 0, "direct", _nothing)
    for turn in range(1, 100):
        one.sent(turn, turn * 1_000)
        one.ended(turn, turn * 1_000 + 1)
    assert (len(one.turns), one.span(1, 7), one.span(99, 7)) == (24, (7, 7), (99_000, 99_001))


def test_an_unknown_attempt_has_no_delay() -> None:
    assert Outage(0, "direct", 0, 0, 0, 1006).delay_ms(0) is None


def test_the_end_of_a_turn_is_no_censored_one_by_itself() -> None:
    story = Story()
    story.connect(0, 0)
    story.turn(0, 1, 10, how=End.CUT_BY_STOP)
    assert story.replayed().begun == 0


def _nothing(_: Misstep) -> None:
    raise AssertionError


@pytest.mark.parametrize(("overlap_ms", "missteps"), [(100, 0), (249, 0), (251, 1), (1_000, 1)])
def test_a_quarter_of_a_second_is_a_moment(overlap_ms: float, missteps: int) -> None:
    story = Story()
    story.connect(0, 0)
    story.connect(0, 100)
    story.close(0, 101 + overlap_ms)
    assert len(story.replayed().missteps.kept) == missteps


def test_of_three_sockets_two_are_left_when_one_goes() -> None:
    """The next pair is a misstep of its own, from when there were two."""
    story = Story()
    story.connect(0, 0)
    story.connect(0, 100)
    story.close(0, 1_000, 1000, int(Flag.OURS))
    story.connect(0, 2_000)
    story.close(0, 3_000, 1000, int(Flag.OURS))
    assert [one.at_ns - START_NS for one in story.replayed().missteps.kept] == [101 * MS, 2_001 * MS]


@pytest.mark.parametrize(
    ("away_ms", "prompted"), [(0.0, {1}), (24.9, {1}), (25.0, set()), (-24.9, {1}), (-25.0, set())]
)
def test_an_attempt_near_a_planned_message_was_made_for_it(away_ms: float, prompted: set[int]) -> None:
    one = Outage(0, "direct", 0, 0, 0, 1006, dials_ns=[0, 500 * MS, 900 * MS])
    one.prompt(500 * MS + round(away_ms * MS))
    assert one.prompted == prompted


def test_of_messages_only_the_first_after_the_return_called_for_an_attempt() -> None:
    story = cut_once(5, 40, 90, until_ms=200)
    story.send(0, 1, 237, late_ms=3)
    story.send(0, 2, 147, late_ms=200)
    assert account(story).outages[0].prompted == {2}


def test_who_was_refused_for_good_stays_refused_whatever_comes_next() -> None:
    story = Story()
    story.refused(0, 0, 401)
    story.refused(0, 50)
    story.dial(0, 100)
    assert [one.kind for one in story.replayed().missteps.kept] == ["after-fatal"] * 2


@pytest.mark.parametrize("connections", [1, 2, 5])
def test_every_connection_but_the_first_is_a_reconnection(connections: int) -> None:
    story = Story()
    for at in range(connections):
        story.connect(0, at * 100)
        story.close(0, at * 100 + 50)
    assert account(story).reconnections == connections - 1


def test_who_was_never_ready_does_not_come_back() -> None:
    story = Story()
    story.dial(0, 0)
    story.refused(0, 50)
    story.connect(0, 100)
    assert account(story).reconnections == 0


def test_a_turn_that_was_over_or_never_cut_has_no_cut() -> None:
    one = ClientAccount(REFERENCE, 0, "direct", _nothing)
    one.sent(1, 1_000)
    one.ended(1, 1_100)
    one.closed(0, 1_200, 1006, 0)
    one.sent(2, 1_300)
    assert (one.until_cut(1, 7), one.until_cut(2, 8)) == (7, 8)


def test_a_session_s_own_end_is_its_outage_s_though_others_go_on() -> None:
    story = cut_once(5)
    story.row(RowKind.STOP, 0, 7_000)
    story.connect(1, 9_000)
    assert account(story).outages[0].end_ns == START_NS + 7_000 * MS


def test_of_endless_missteps_all_are_counted_and_the_first_of_each_kind_kept() -> None:
    log = MisstepLog()
    for row in range(KEPT_MISSTEPS + 9):
        log.add(Misstep("two-sockets", 0, row, 0))
    log.add(Misstep("after-fatal", 0, 7, 0))
    assert log.counts == {"two-sockets": KEPT_MISSTEPS + 9, "after-fatal": 1}
    assert (len(log.kept), log.kept[-1].kind) == (KEPT_MISSTEPS + 1, "after-fatal")


def test_of_endless_outages_those_stay_that_lasted_too_long() -> None:
    """A backend that drops whoever it serves must not fill the judge's memory, and still be late where it is."""
    budget_ns = REFERENCE.file.turn.recovery_ms * MS
    one, at_ns = ClientAccount(REFERENCE, 0, "direct", _nothing), 0
    for number in range(KEPT_OUTAGES + 50):
        one.closed(number, at_ns, 1006, int(Flag.RESUMED))
        at_ns += {KEPT_OUTAGES + 7: budget_ns + 1, KEPT_OUTAGES + 9: budget_ns}.get(number, 5)
        one.ready(at_ns)
    assert len(one.outages) == KEPT_OUTAGES + 1
    assert (one.outages[-1].before, one.outages[-1].close_row) == (KEPT_OUTAGES + 7, KEPT_OUTAGES + 7)
    one.closed(9_999, at_ns, 1006, int(Flag.RESUMED))
    assert one.outages[-1].before == KEPT_OUTAGES + 50
