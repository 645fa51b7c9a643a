"""Where findings stand in a run, and the words for them."""

from __future__ import annotations

import pytest

import reports.sieve
from loadtests.contract.decoder import UNNUMBERED_CHUNK
from loadtests.findings import KINDS, Finding
from loadtests.history import COHORTS, End, Flag, RowKind, Window
from reports.placed import PlacedFindings
from tests.reports.stories import REFERENCE, ROLES, START_NS, S, Story, window

FAULT = window(10_000, 12_000)


def placed(story: Story, *windows: Window) -> PlacedFindings:
    rows, phases = (
        story.read(),
        [("quiet", START_NS, START_NS + 10 * S), ("loud", START_NS + 10 * S, START_NS + 99 * S)],
    )
    return PlacedFindings(REFERENCE, rows, story.strings, windows, phases, START_NS, story.replayed(*windows))


def never_ended(
    at_ms: float, given_up_ms: float, user: int = 1, cohort: str = "treated", among: Story | None = None
) -> Story:
    """A turn begun and given up; ``among``: what else happened."""
    story = among or Story()
    story.connect(user, 10, cohort)
    story.send(user, 1, at_ms)
    story.event(user, 1, at_ms + 10, "started")
    story.end(user, 1, given_up_ms, End.TIMEOUT)
    story.leave(user, 60_000)
    return story


def scope(found: PlacedFindings, checker: str = "terminal") -> str:
    return found.scope(found.by_checker[checker], found.kinds[checker])


@pytest.mark.parametrize(
    ("at_ms", "given_up_ms", "fault"),
    [(1_000, 9_999, ""), (1_000, 10_001, "w1"), (11_000, 21_000, "w1"), (21_999, 31_000, "w1"), (22_001, 32_000, "")],
)
def test_what_a_whole_turn_shows_happened_from_its_send_to_its_end(
    at_ms: float, given_up_ms: float, fault: str
) -> None:
    (one,) = placed(never_ended(at_ms, given_up_ms), FAULT).by_checker["terminal"]
    assert one.fault == fault


def test_a_message_that_a_cut_swallowed_is_explained_by_the_fault_that_cut_it() -> None:
    story = Story()
    for session, cut_ms in ((1, 9_990.0), (2, 10_500.0)):
        story.connect(session, 10, "treated")
        story.send(session, 1, cut_ms - 5)
        story.close(session, cut_ms, flags=int(Flag.MID_TURN))
        story.connect(session, 13_000)
        story.end(session, 1, 30_000, End.IN_DOUBT)
        story.leave(session, 60_000)
    found = placed(story, FAULT)
    assert [one.finding.session for one in found.by_checker["silence"]] == [1]
    assert (found.excused["silence"], found.excused["close"]) == (1, 1)


def test_a_handshake_that_never_came_began_when_it_was_dialled() -> None:
    timeout_ms = REFERENCE.file.handshake.timeout_ms
    story = Story()
    story.cohorts[1] = "treated"
    story.close(1, 11_000 + timeout_ms, 1000, int(Flag.OURS | Flag.NEVER_READY), served=False)
    assert placed(story, FAULT).excused == {"silence": 1}
    late = Story()
    late.cohorts[1] = "treated"
    late.close(1, 12_001 + timeout_ms, 1000, int(Flag.OURS | Flag.NEVER_READY), served=False)
    (one,) = placed(late, FAULT).by_checker["silence"]
    assert one.fault == "w1"


def test_scope_says_how_often_where_and_to_whom() -> None:
    clear, hit = never_ended(1_000, 2_000), never_ended(11_000, 12_000)
    assert scope(placed(clear)) == "once, in 1 of 1 turns, 1 user hit, treated"
    assert scope(placed(clear, FAULT)) == "once, in 1 of 1 turns, 1 user hit, treated, clear of any fault"
    assert scope(placed(clear, FAULT), "silence") == ""
    assert scope(placed(hit, FAULT)) == "once, in 1 of 1 turns, 1 user hit, treated, only in or after w1"
    both = placed(never_ended(1_000, 2_000, 2, "control", among=hit), FAULT)
    where = "control and treated, clear of faults and in or after w1"
    assert scope(both) == f"2 times, in 2 of 2 turns, 2 users hit, {where}"


def test_where_more_was_found_than_is_kept_scope_says_so_and_forgets_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports.sieve, "KEPT_FINDINGS", 1)
    found = placed(never_ended(1_000, 2_000, 2, "control", among=never_ended(11_000, 12_000)), FAULT)
    assert (len(found.by_checker["terminal"]), found.kinds["terminal"]) == (1, {"never-ended": 2})
    where = "control and treated, clear of faults and in or after w1"
    assert scope(found) == f"2 times, in at least 1 of 2 turns, at least 1 user hit, {where}"


def test_scope_counts_users_and_turns_once_each() -> None:
    story = Story()
    for user in (1, 2):
        story.connect(user, 10, "treated")
        for turn in (1, 2):
            story.turn(user, turn, turn * 1_000, roles=("started", "done", "done", "done") if turn == user else ROLES)
        story.leave(user, 60_000)
    found = placed(story)
    assert scope(found) == "4 times, in 2 of 4 turns, 2 users hit, treated"


def test_a_row_may_be_a_witness_of_its_turn_or_of_none() -> None:
    story = Story()
    story.connect(1, 10)
    story.turn(1, 7, 100)
    found = placed(story)
    assert found.witness_at(4, "slow", "…").turn == "7"
    assert found.witness_at(4, "slow", "…", turn="").turn == ""
    assert found.witness_at(0, "slow", "…").turn == ""


def test_a_witness_says_what_when_and_in_which_phase() -> None:
    found = placed(never_ended(1_000, 2_000), FAULT)
    (one,) = found.by_checker["terminal"]
    witness = found.witness(*one)
    assert (witness.kind, witness.session, witness.turn, witness.at_s, witness.phase, witness.fault) == (
        "never-ended", "1", "1", 1.0, "quiet", "",
    )  # fmt: skip


#: what stands behind the kind's own sentence, given (event, detail, raw text)
HOLES = ("hole", "hole-at-cut", "claimed-over-hole", "claimed-behind", "partial-replay")
TEXTS = {
    "role-missing": ": agent_started",
    **dict.fromkeys(HOLES, ": from number 1, seen at agent_thinking"),
    "chunk-missing": ": number 1",
    "agent-unfinished": ": supervisor",
    "foreign": ": session 1's, in agent_thinking",
    "closed-early": ": 4000 search",
    "abnormal-close": ": 4000 search",
    "field-missing": ": reasoning in agent_thinking",
}


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_every_kind_of_finding_has_words(kind: str) -> None:
    story = Story()
    rule = REFERENCE.by_name[REFERENCE.name_of("thinking")]
    bit = 3 + rule.fields.index("reasoning")
    story.row(RowKind.EVENT, 0, 1, event=rule.index, code=4000, text=2, schema=1 << bit)
    (kind_of,) = [one for one in KINDS if one.name == kind]
    found = placed(story)
    said = found.witness(Finding(kind_of, 0, 1, 0, 0, 1), "").text
    assert said == kind_of.text + TEXTS.get(kind, ": agent_thinking")


@pytest.mark.parametrize("cohort", [COHORTS.index("direct"), len(COHORTS)])
def test_users_of_no_cohort_or_of_none_that_a_fault_may_touch_are_not_told_by_it(cohort: int) -> None:
    story = never_ended(1_000, 2_000)
    for row in story.rows:
        row["cohort"] = cohort
    assert scope(placed(story)) == "once, in 1 of 1 turns, 1 user hit"


def test_a_part_without_its_number_is_named_as_that() -> None:
    story = Story()
    story.event(1, 1, 10, "content", schema=UNNUMBERED_CHUNK)
    (kind,) = [one for one in KINDS if one.name == "field-missing"]
    name = REFERENCE.name_of("content")
    said = placed(story).witness(Finding(kind, 1, 1, 0, 0), "").text
    assert said == f"{kind.text}: the number of the chunk in {name}"


def test_a_finding_about_no_turn_has_none_in_its_witness_whatever_its_row_says() -> None:
    story = Story()
    story.connect(1, 10)
    story.turn(1, 7, 100)
    (kind,) = [one for one in KINDS if one.name == "unapproved"]
    found = placed(story)
    assert found.witness(Finding(kind, 1, 0, 4, 0), "").turn == ""
    assert found.witness(Finding(kind, 1, 7, 4, 0), "").turn == "7"


def test_a_row_by_itself_stands_clear_of_faults_and_to_the_millisecond() -> None:
    story = Story()
    story.connect(1, 1_234.5678)
    witness = placed(story).witness_at(0, "slow", "…")
    assert (witness.fault, witness.at_s) == ("", 1.235)


def test_what_a_resume_itself_shows_is_told_of_the_resume() -> None:
    story = Story()
    story.row(RowKind.CLAIM, 1, 10)
    (kind,) = [one for one in KINDS if one.name == "claimed-behind"]
    assert (
        placed(story).witness(Finding(kind, 1, 0, 0, 0, 5), "").text
        == f"{kind.text}: from number 5, seen at the resume"
    )


def test_an_agent_of_another_contract_s_strings_is_not_named() -> None:
    story = Story()
    story.event(1, 1, 10, "done")
    (kind,) = [one for one in KINDS if one.name == "agent-unfinished"]
    found = placed(story)
    assert found.witness(Finding(kind, 1, 1, 0, 0, len(story.strings) - 1), "").text.endswith(story.strings[-1])
    assert found.witness(Finding(kind, 1, 1, 0, 0, len(story.strings)), "").text.startswith(kind.text)


@pytest.mark.parametrize(
    ("sent_ms", "excused"), [(8_999, 0), (9_000, 1), (9_900, 1), (10_500, 1), (12_000, 1), (12_001, 0)]
)
def test_a_message_is_on_its_way_for_a_second_at_most(sent_ms: float, excused: int) -> None:
    """A fault that comes meanwhile may have swallowed it; one that was over before it was sent may not."""
    story = Story()
    story.connect(1, 10, "treated")
    story.send(1, 1, sent_ms)
    story.end(1, 1, 40_000, End.TIMEOUT)
    story.leave(1, 60_000)
    found = placed(story, FAULT)
    assert (found.excused["silence"], len(found.by_checker["silence"])) == (excused, 1 - excused)
