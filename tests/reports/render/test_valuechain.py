"""The value chain in words: what a release manager asks first, and tables for whoever asks more."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest

from reports.render.valuechain import lead, perceived, step_name, streamed, tables
from reports.render.wording import UNSHOWN
from tests.reports.judgements import EXAMPLES, empty, go, hostile, no_go


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


def test_the_lead_says_how_many_came_through_where_most_stopped_and_where_time_went() -> None:
    judgement = no_go()
    funnel = judgement.analytics.funnel
    stopped = tuple(
        replace(step, stopped={"timeout": 30, "cut": 1} if step.role == "tool-open" else {}) for step in funnel
    )
    said = plain(lead(replace(judgement, analytics=replace(judgement.analytics, funnel=stopped))))
    assert said == (
        "1 302 of 1 346 turns came to their end (96.7 %). Most of the others, 31, came no further than tool_executing (timeout 30, "
        "cut 1). 33 % of the time passed between tool_executing and tool_completed."
    )


def test_if_all_that_were_lost_stopped_at_one_step_it_says_all() -> None:
    made = go().analytics
    steps = tuple(replace(step, stopped={}) for step in made.funnel)
    lost = steps[0].turns - steps[-1].turns
    first = (replace(steps[0], stopped={"timeout": lost}), *steps[1:])
    assert f"All others, {lost}, came no further than sent (timeout {lost})." in lead(
        replace(go(), analytics=replace(made, funnel=first))
    )


def test_a_part_of_the_lost_that_is_no_majority_is_not_called_most() -> None:
    judgement = no_go()
    stopped = tuple(
        replace(
            step,
            stopped={"timeout": 13} if step.role == "tool-open" else {"timeout": 12} if step.role == "sent" else {},
        )
        for step in judgement.analytics.funnel
    )
    said = plain(lead(replace(judgement, analytics=replace(judgement.analytics, funnel=stopped))))
    assert "13 of the others came no further than tool_executing (timeout 13)." in said


def test_a_single_lost_turn_and_time_between_chunks_are_said_as_people_would() -> None:
    made = go().analytics
    steps = tuple(
        replace(step, turns=9, stopped={"timeout": 1} if step.role == "thinking" else {}) for step in made.funnel
    )
    steps = (replace(steps[0], turns=10), *steps[1:])
    chunks = (replace(made.followed[0], before="partial_result", after="partial_result", share=0.756),)
    said = plain(lead(replace(go(), analytics=replace(made, funnel=steps, followed=chunks))))
    assert said == (
        "9 of 10 turns came to their end (90 %). The other one came no further than agent_thinking (timeout 1). 76 % of the time "
        "passed between one partial_result and the next."
    )


def test_a_run_in_which_every_turn_came_through_names_no_step() -> None:
    made = go().analytics
    steps = tuple(replace(step, stopped={}, turns=40) for step in made.funnel)
    said = lead(replace(go(), analytics=replace(made, funnel=steps)))
    assert said.startswith("40 of 40 turns came to their end (100\u202f%). 33\u202f% of the time")


def test_users_perception_is_three_figures_and_never_is_a_word() -> None:
    made = go().analytics
    fast, medium, slow = made.layers
    layers = (replace(fast, p95_ms=131.4), replace(medium, p95_ms=340.0), replace(slow, p95_ms=None))
    said = plain(perceived(replace(go(), analytics=replace(made, layers=layers))))
    assert said == "p95 clear of faults: first sign of life 131 ms, first thing to read 340 ms, whole answer never"


def test_streams_are_a_line_only_where_there_were_some() -> None:
    assert "longest stall 3 127 ms, median 31.2 a second" in plain(streamed(go()))
    made = go().analytics
    assert (
        streamed(replace(go(), analytics=replace(made, stream=replace(made.stream, stall_max_ms=None)))).count("never")
        == 1
    )
    assert streamed(replace(go(), analytics=replace(made, stream=None))) == ""


def test_a_step_of_several_events_names_them_all_and_one_of_none_its_role() -> None:
    step = go().analytics.funnel[1]
    assert step_name(replace(step, names=("one", "two"))) == "one / two"
    assert step_name(replace(step, names=())) == "started"


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_row_is_as_wide_as_its_head_and_harmless(name: str) -> None:
    for table in tables(EXAMPLES[name]()):
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
        assert max(table.left, default=0) < len(table.columns)
        text = "".join(cell for row in table.rows for cell in row)
        assert not [char for char in text if unicodedata.category(char) in UNSHOWN]


def test_the_tables_in_the_order_in_which_people_ask() -> None:
    made = tables(go())
    assert [table.id for table in made] == ["layers", "endings", "stream", "followed", "sequences", "types", "versions"]
    assert [table.id for table in made if not table.folded] == ["layers", "endings", "stream"]
    assert tables(empty()) == ()


def test_how_turns_ended_says_what_each_counts_as() -> None:
    outcomes = {"throttled": 3, "ok": 90, "refused": 4, "abandoned": 2, "something-new": 1}
    judgement = replace(go(), books=replace(go().books, outcomes=outcomes, sent=100))
    (endings,) = (table for table in tables(judgement) if table.id == "endings")
    assert [(row[0], row[3]) for row in endings.rows] == [
        ("ok", "ok"), ("refused", "ok"), ("throttled", "censored"), ("abandoned", "failed"), ("something-new", "censored"),
    ]  # fmt: skip
    assert plain(endings.rows[1][2]) == "4 %"


def test_what_is_not_listed_is_counted() -> None:
    titles = {table.id: table.title for table in tables(go())}
    assert titles["followed"] == "What came after what (5 of 7)"
    assert titles["sequences"] == "Most frequent sequences"


def test_a_hostile_backend_cannot_fill_the_page() -> None:
    assert sum(len(cell) for table in tables(hostile()) for row in table.rows for cell in row) < 30_000


def test_a_run_judged_without_analytics_has_no_tables() -> None:
    bare = replace(go(), analytics=None)
    assert (tables(bare), perceived(bare), streamed(bare)) == ((), "", "")
