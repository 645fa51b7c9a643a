"""Findings of one cause stand together: the cause is what the others come from, and its consequences are counted beneath."""

from __future__ import annotations

import random

import pytest

from loadtests.findings import BY_NAME, KINDS, Finding
from loadtests.history import UNKNOWN_TURN
from reports.causes import FIRST, Group, grouped
from reports.judgement import Cause, Check
from reports.placed import Placed
from reports.verdict import causes


def found(kind: str, session: int, turn: int = 1, fault: str = "", row: int = 0) -> Placed:
    return Placed(Finding(BY_NAME[kind], session, turn, row, 0), fault)


def test_every_finding_that_counts_has_its_place_among_causes() -> None:
    assert set(FIRST) == {kind.name for kind in KINDS if not kind.warning}
    assert len(FIRST) == len(set(FIRST))


def test_nothing_has_no_cause() -> None:
    assert grouped([]) == ()


@pytest.mark.parametrize(
    ("kinds", "cause"),
    [
        (["never-ended", "hole"], "hole"),
        (["role-missing", "unapproved"], "unapproved"),
        (["wrong-execution", "field-missing"], "field-missing"),
        (["never-ended", "abnormal-close"], "abnormal-close"),
        (["redelivered", "executed-twice"], "executed-twice"),
        (["text-differs", "chunk-missing"], "chunk-missing"),
        (["poor-answer", "misplaced"], "misplaced"),
        (["hole-at-cut", "claimed-over-hole", "silent"], "claimed-over-hole"),
    ],
)
def test_in_one_turn_the_first_is_the_cause(kinds: list[str], cause: str) -> None:
    (group,) = grouped(found(kind, 3) for kind in kinds)
    assert (group.kind, group.id, group.count, group.turns, group.users) == (cause, BY_NAME[cause].checker, 1, 1, 1)
    assert {kind for _, kind, _ in group.consequences} == set(kinds) - {cause}
    assert all(BY_NAME[kind].checker == id_ for id_, kind, _ in group.consequences)


def test_what_shares_neither_turn_nor_window_is_not_one_cause() -> None:
    groups = grouped([found("hole", 1, 1), found("never-ended", 1, 2), found("never-ended", 2, 1)])
    assert [(group.kind, group.count, group.consequences) for group in groups] == [
        ("never-ended", 2, ()),
        ("hole", 1, ()),
    ]


def test_one_session_in_one_window_is_one_cause_over_all_its_turns() -> None:
    (group,) = grouped(
        [found("hole-at-cut", 1, 3, "w2"), found("never-ended", 1, 4, "w2"), found("silent", 1, 5, "w2")]
    )
    assert (group.kind, group.turns, group.users, group.window) == ("hole-at-cut", 3, 1, "w2")


def test_another_session_in_that_window_has_a_cause_of_its_own_and_the_same_kind_is_told_once() -> None:
    (group,) = grouped([found("hole", s, s, "w2") for s in range(1, 6)] + [found("never-ended", 2, 9, "w2")])
    assert (group.count, group.turns, group.users, group.window) == (5, 6, 5, "w2")
    assert group.consequences == (("terminal", "never-ended", 1),)


def test_a_chain_of_turns_and_windows_is_one() -> None:
    (group,) = grouped([found("silent", 1, 1, "w1"), found("role-missing", 1, 1, "w2"), found("hole", 1, 7, "w2")])
    assert (group.kind, group.count, group.window) == ("hole", 1, "w2")


def test_a_cause_in_two_windows_stands_in_none() -> None:
    (group,) = grouped([found("hole", 1, 1, "w1"), found("hole", 2, 1, "w2")])
    assert (group.count, group.window) == (2, "")


def test_what_names_no_turn_joins_no_turn() -> None:
    groups = grouped([found("unknown-turn", 1, UNKNOWN_TURN), found("never-ready", 1, 0), found("hole", 1, 0)])
    assert [group.turns for group in groups] == [0, 0, 0]


def test_warnings_cause_nothing() -> None:
    assert grouped([found("deprecated", 1)]) == ()


def test_the_order_in_which_findings_come_changes_nothing() -> None:
    every = [found(kind.name, i % 3, i % 5, ("", "w1", "w2")[i % 3], i) for i, kind in enumerate(KINDS * 3)]
    dice = random.Random(1)
    for _ in range(20):
        mixed = every.copy()
        dice.shuffle(mixed)
        assert _sorted(grouped(mixed)) == _sorted(grouped(every))


def _sorted(groups: tuple[Group, ...]) -> list[tuple[object, ...]]:
    return [(g.kind, g.count, g.turns, g.users, g.window, sorted(g.consequences)) for g in groups]


# -- as reasons of a verdict -------------------------------------------------------------------------------------------


def check(id_: str, **kinds: int) -> Check:
    return Check(
        id=id_, subject="backend", verdict="invalid", required=True, samples=9, violations=sum(kinds.values()),
        kinds={kind.replace("_", "-"): count for kind, count in kinds.items()}, warnings=0, reason=f"{id_} is broken", witnesses=(),
    )  # fmt: skip


def told(checks: list[Check], placed: list[Placed]) -> tuple[Cause, ...]:
    return causes(checks, [], grouped(placed))


def test_a_checker_whose_findings_all_follow_stands_beneath_its_cause() -> None:
    placed = [found("hole", s, 1) for s in range(3)] + [found("never-ended", s, 1) for s in range(2)]
    (cause,) = told([check("terminal", never_ended=2), check("loss", hole=3)], placed)
    assert (cause.id, cause.kind, cause.turns, cause.title) == ("loss", "hole", 3, "loss: loss is broken")
    assert cause.counted == (("terminal", "never-ended", 2),)
    assert cause.consequences == ("terminal: a turn began and never ended, 2 times",)


def test_a_checker_with_findings_of_its_own_stands_by_itself_too() -> None:
    placed = [found("hole", 1, 1), found("never-ended", 1, 1), found("never-ended", 2, 1)]
    causes_ = told([check("terminal", never_ended=2), check("loss", hole=1)], placed)
    assert [(cause.id, cause.counted) for cause in causes_] == [
        ("terminal", ()),
        ("loss", (("terminal", "never-ended", 1),)),
    ]


def test_two_kinds_of_one_checker_are_one_cause() -> None:
    placed = [found("after-end", 1), found("second-end", 1), found("never-ended", 2)]
    (cause,) = told([check("terminal", after_end=1, second_end=1, never_ended=1)], placed)
    assert (cause.id, cause.counted, cause.turns) == ("terminal", (), 2)


def test_a_finding_of_no_tracker_is_a_cause_by_its_check() -> None:
    (cause,) = told([check("reconnect", not_back=4)], [])
    assert (cause.id, cause.kind, cause.turns) == ("reconnect", "not-back", 0)


def test_of_causes_that_touch_as_many_turns_the_more_frequent_comes_first() -> None:
    often = [found("misplaced", 1, 1, row=row) for row in range(3)]
    assert [one.kind for one in grouped([found("hole", 2, 1), *often])] == ["misplaced", "hole"]


def test_as_often_and_in_as_many_turns_the_order_of_causes_decides() -> None:
    assert [one.kind for one in grouped([found("silent", 2), found("hole", 1)])] == ["hole", "silent"]


def test_of_a_cause_in_one_window_the_reason_names_it_and_of_two_none() -> None:
    (one,) = told([check("loss", hole=2)], [found("hole", 1, 1, "w1"), found("hole", 2, 1, "w1")])
    (two,) = told([check("loss", hole=2)], [found("hole", 1, 1, "w1"), found("hole-at-cut", 2, 1, "w2")])
    (clear,) = told([check("loss", hole=1)], [found("hole", 1)])
    assert (one.window, two.window, clear.window) == ("w1", "", "")


def test_a_finding_of_no_tracker_stands_in_no_window_and_is_told_by_its_most_frequent_kind() -> None:
    (cause,) = told([check("retries", unbounded=1, never_retried=3)], [])
    assert (cause.kind, cause.window) == ("never-retried", "")
    assert causes([check("self")], [])[0].kind == ""


def test_a_single_consequence_is_told_without_a_count() -> None:
    placed = [found("hole", 1), found("never-ended", 1)]
    (cause,) = told([check("loss", hole=1)], placed)
    assert cause.consequences == ("terminal: a turn began and never ended",)
