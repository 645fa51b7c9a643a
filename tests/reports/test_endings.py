"""The one table of endings: every ending of a turn stands in it once, and what derives from it is what each reader means."""

from __future__ import annotations

import pytest

from loadtests.history import OUTCOMES, End
from reports.endings import BY_CLIENT, CENSORED, ENDINGS, FAILED, GOOD, LEFT, LEFT_OUT, UNENDED, counting_as
from reports.faultlines import NOT_LOST
from reports.gates import PARTIAL
from reports.render.series import OUTCOMES as STACKED
from reports.render.valuechain import COUNTS_AS
from reports.render.wording import BEHIND
from reports.steadiness import GOOD as ANSWERED
from reports.steadiness import IDLE


def test_every_ending_is_there_under_a_name_of_its_own() -> None:
    assert list(ENDINGS) == list(End)
    assert len({one.name for one in ENDINGS.values()}) == len(End)


def test_what_the_backend_said_is_what_a_terminal_event_can_say() -> None:
    assert {one.name for one in ENDINGS.values() if one.said} == set(OUTCOMES)
    assert set(BY_CLIENT) == {End.TIMEOUT, End.CUT_BY_STOP, End.IN_DOUBT, End.ABANDONED}


def test_every_ending_stands_in_one_column_of_the_books() -> None:
    assert GOOD == counting_as("ok") == ("ok", "degraded", "refused")
    assert FAILED == counting_as("failed") == ("failed", "timeout", "abandoned")
    assert counting_as("censored") == ("cut", "in-doubt", "throttled", "cancelled", "rejected")
    assert (*counting_as("censored"), LEFT) == LEFT_OUT
    assert sorted((*GOOD, *FAILED, *LEFT_OUT)) == sorted([*(one.name for one in ENDINGS.values()), LEFT])


def test_only_the_run_s_end_and_a_fault_censor_what_the_client_ended() -> None:
    assert set(CENSORED) == {End.CUT_BY_STOP, End.IN_DOUBT}
    assert set(UNENDED) == {"timeout", "abandoned"}


@pytest.mark.parametrize(
    ("derived", "meant"),
    [(PARTIAL, {"degraded", "refused"}), (NOT_LOST, {"ok", "degraded", "refused", "cut", "throttled", "cancelled", "rejected", LEFT}),
     (BEHIND["ok"], {"degraded", "refused"}), (BEHIND["failed"], {"timeout", "abandoned"}), (BEHIND["censored"], set(LEFT_OUT)),
     (ANSWERED, {End.OK, End.DEGRADED, End.REFUSED}), (IDLE, {End.CANCELLED, End.IN_DOUBT})],
    ids=["partial", "not lost", "behind ok", "behind failed", "behind censored", "answered", "idle"],
)  # fmt: skip
def test_what_derives_from_the_table_is_what_was_meant(derived: tuple[str, ...], meant: set[str]) -> None:
    assert len(derived) == len(meant)
    assert set(derived) == meant


def test_the_chart_stacks_good_ones_lowest_and_the_page_says_what_each_counts_as() -> None:
    assert (*GOOD, *FAILED, *LEFT_OUT) == STACKED
    assert {name: COUNTS_AS[name] for name in ("degraded", "abandoned", "throttled")} == {
        "degraded": "ok", "abandoned": "failed", "throttled": "censored",
    }  # fmt: skip
