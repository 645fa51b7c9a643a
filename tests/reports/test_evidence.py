"""What a history holds, in numbers: block by block, and whatever stands in the rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.contract import load
from loadtests.history import UNKNOWN_TURN, End, Flag, RowKind
from reports.evidence import Tally, compared
from tests.reports.stories import REFERENCE, Story, window


def told() -> Story:
    story = Story()
    for session in range(2):
        story.connect(session, 10)
        story.turn(session, 1, 100)
    story.event(1, UNKNOWN_TURN, 300, "content", cursor=-1, key=7)
    story.event(1, 0, 301, "content", cursor=-1)
    story.connect(2, 400)
    return story


def test_counts_are_those_of_the_rows_however_they_are_cut() -> None:
    rows = told().read()
    for size in (1, 3, len(rows)):
        tally = Tally(REFERENCE)
        for start in range(0, len(rows), size):
            tally.add(rows[start : start + size])
        assert (tally.events, tally.numbered, tally.keyed, tally.named, tally.pair_events) == (12, 10, 1, 11, 4)
        assert tally.sessions == {0, 1}
        assert (tally.kinds[RowKind.OPEN], tally.kinds[RowKind.SEND], tally.kinds[RowKind.CLAIM]) == (3, 2, 0)


def test_chunks_of_streams_are_counted_and_those_with_a_number_apart() -> None:
    story = told()
    for code in (0, 1, 2):
        story.event(0, 1, 150 + code, "content", code=code)
    story.event(0, 1, 160, "done", code=1)
    tally = Tally(REFERENCE)
    tally.add(story.read())
    assert (tally.chunks, tally.numbered_chunks) == (2 + 3, 2)


@pytest.mark.parametrize(("index", "numbered"), [("", 0), (", index: n", 2)])
def test_a_number_counts_only_where_the_contract_numbers_the_chunks(tmp_path: Path, index: str, numbered: int) -> None:
    """A run may be judged again by a contract that no longer promises the numbers which its rows hold."""
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"contract: 1\nname: mine\nextends: netra\nstreams: [{{event: partial_result, text: content{index}}}]\n"
    )
    contract = load(file)
    story = Story(contract)
    for code in (0, 1, 2):
        story.row(RowKind.EVENT, 0, code, event=contract.by_name["partial_result"].index, code=code)
    tally = Tally(contract)
    tally.add(story.read())
    assert (tally.chunks, tally.numbered_chunks) == (3, numbered)


def test_rows_of_no_kind_and_no_event_count_as_nothing() -> None:
    story = Story()
    story.row(99, 0, 1)  # type: ignore[arg-type]
    story.row(RowKind.EVENT, 0, 2, event=60_000)
    tally = Tally(REFERENCE)
    tally.add(story.read())
    assert (tally.events, tally.pair_events) == (1, 0)


@pytest.mark.parametrize(("throttled", "turns", "mostly"), [(0, 0, False), (5, 10, False), (6, 10, True), (1, 1, True)])
def test_mostly_throttled_is_more_than_half_of_what_was_decided(throttled: int, turns: int, mostly: bool) -> None:
    evidence = replace(told().assess().evidence, throttled_turns=throttled, turns=turns)
    assert evidence.mostly_throttled is mostly


def test_only_some_faults_cut() -> None:
    evidence = told().assess(window(1, 2, disconnects=False)).evidence
    assert not evidence.cuts
    assert replace(evidence, windows=(window(1, 2),)).cuts


def test_a_message_in_doubt_is_one_without_an_event_whose_session_is_served_again() -> None:
    story = Story()
    for session, heard in enumerate((False, True)):
        story.connect(session, 10, "treated")
        story.send(session, 1, 100)
        if heard:
            story.event(session, 1, 110, "started")
        story.close(session, 120)
        story.connect(session, 200)
        story.row(RowKind.RESEND, session, 203, turn=1)
    evidence = story.assess().evidence
    assert (evidence.doubtful, evidence.resent, evidence.reconnections, evidence.outages) == (1, 2, 2, 2)


def test_turns_are_good_decided_or_throttled_by_their_ends() -> None:
    story = Story()
    story.connect(0, 10)
    for turn, end in enumerate(End, 1):
        for again in range(turn):
            story.turn(0, 100 * turn + again, 100 * turn + again, how=end)
    ends = {end: turn for turn, end in enumerate(End, 1)}
    evidence = story.assess().evidence
    assert evidence.good_turns == ends[End.OK] + ends[End.DEGRADED]
    assert evidence.turns == sum(ends.values()) - ends[End.CUT_BY_STOP] - ends[End.IN_DOUBT]
    assert evidence.throttled_turns == ends[End.THROTTLED]


@pytest.mark.parametrize(("attempts", "outages", "long"), [(3, 10, 10), (2, 10, 0), (3, 9, 0)])
def test_outages_of_three_attempts_are_long_if_there_are_ten(attempts: int, outages: int, long: int) -> None:
    story = Story()
    for session in range(outages):
        story.connect(session, 10)
        story.back_off(session, 100, 9e9, [50.0] * (attempts - 1))
        story.row(RowKind.STOP, session, 60_000)
    assert story.assess().evidence.long_outages == long


def test_a_plan_cuts_if_one_of_its_faults_does() -> None:
    evidence = replace(told().assess().evidence, windows=(window(1, 2, disconnects=False), window(3, 4, "w2")))
    assert evidence.cuts


def test_rows_of_every_kind_are_counted() -> None:
    story = Story()
    for kind in RowKind:
        for again in range(int(kind)):
            story.row(kind, 0, again)
    tally = Tally(REFERENCE)
    tally.add(story.read())
    assert [int(tally.kinds[kind]) for kind in RowKind] == [int(kind) for kind in RowKind]


def test_a_number_may_be_nought() -> None:
    story = Story()
    for at, cursor in enumerate((-1, 0, 1)):
        story.event(0, 1, at, "content", cursor=cursor)
    tally = Tally(REFERENCE)
    tally.add(story.read())
    assert tally.numbered == 2


def test_the_last_event_of_a_contract_may_close_a_pair(tmp_path: Path) -> None:
    file = tmp_path / "more.yaml"
    file.write_text("contract: 1\nname: more\nextends: reference\nevents: {zz_closed: {role: tool-close}}\n")
    contract = load(str(file))
    story = Story(contract)
    story.row(RowKind.EVENT, 0, 1, event=contract.by_name["zz_closed"].index)
    story.row(RowKind.EVENT, 0, 2, event=contract.by_name["zz_closed"].index - 1)
    tally = Tally(contract)
    tally.add(story.read())
    assert (contract.events[-1].name, tally.pair_events) == ("zz_closed", 1)


def test_a_claim_of_continuity_is_told_from_a_declared_loss_and_from_a_served_connection() -> None:
    """One flag serves both claims and closes."""
    story = Story()
    for at, (kind, flags) in enumerate(
        [(RowKind.CLAIM, Flag.RESUMED), (RowKind.CLAIM, Flag.RESUMED), (RowKind.CLAIM, Flag(0)), (RowKind.CLAIM, Flag.RECOVERED),
         (RowKind.CLOSE, Flag.RESUMED)]
    ):  # fmt: skip
        story.row(kind, 0, at, flags=int(flags))
    rows = story.read()
    tally = Tally(REFERENCE)
    tally.add(rows[:1])
    assert tally.resumed == 1
    tally.add(rows[1:])
    assert (tally.resumed, tally.kinds[RowKind.CLAIM]) == (2, 4)


@pytest.mark.parametrize(
    ("manifest", "ids"),
    [
        ({}, set()),
        ({"experiment": ""}, set()),
        ({"experiment": None, "scope": "cohort"}, set()),
        ({"scope": "cohort"}, set()),
        ({"experiment": "flap"}, {"restored", "control"}),
        ({"experiment": "flap", "scope": "cohort"}, {"restored", "control"}),
        ({"experiment": "backend-kill", "scope": "backend"}, {"restored"}),
    ],
)
def test_an_experiment_is_held_to_its_comparisons_and_without_a_control_group_to_one(
    manifest: dict[str, str], ids: set[str]
) -> None:
    assert compared(manifest) == ids
