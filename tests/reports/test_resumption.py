"""After a cut: when the interrupted turn went on and when a new one began, each from the later of loss and heal."""

from __future__ import annotations

import pandas as pd
import pytest

from reports.judgement import Curve
from reports.resumption import resumptions
from tests.reports.stories import START_NS, Story, window

DOWN = window(5_000, 7_000)


def told(story: Story, turns: list[tuple[int, int, float, float]]) -> tuple[Curve, Curve]:
    """``turns``: (session, turn, sent ms, end ms), as the turns' frame would have them."""
    frame = pd.DataFrame(
        [(session, turn, sent / 1000, end / 1000) for session, turn, sent, end in turns],
        columns=["session", "turn", "sent_s", "end_s"],
    )
    recovered = story.assess(DOWN).recovered
    return resumptions(story.read(), frame, recovered, START_NS)["w1"]


def cut_mid_turn(*, goes_on_ms: float | None, begins_ms: float | None, back_ms: float = 7_200) -> tuple[Curve, Curve]:
    story, turns = Story(), [(0, 1, 4_900.0, goes_on_ms or 9_000.0)]
    story.connect(0, 100, "treated")
    story.send(0, 1, 4_900)
    story.event(0, 1, 4_950, "started")
    story.close(0, 5_100)
    story.connect(0, back_ms)
    if goes_on_ms is not None:
        story.event(0, 1, goes_on_ms, "done")
    if begins_ms is not None:
        turns.append((0, 2, begins_ms - 50, begins_ms + 100))
        story.event(0, 2, begins_ms, "started")
        story.event(0, 2, begins_ms + 90, "done")
    story.row(13, 0, 20_000)  # type: ignore[arg-type]  # STOP
    return told(story, turns)


@pytest.mark.parametrize(
    ("goes_on_ms", "begins_ms", "went_on", "began"),
    [
        (7_300, 8_500, (0.3, 0), (1.5, 0)),
        (6_500, 6_800, (0.0, 0), (0.0, 0)),
        (None, 8_500, (None, 1), (1.5, 0)),
        (7_300, None, (0.3, 0), (None, 1)),
    ],
)
def test_each_is_timed_and_what_never_came_is_kept(
    goes_on_ms: float | None,
    begins_ms: float | None,
    went_on: tuple[float | None, int],
    began: tuple[float | None, int],
) -> None:
    first, new = cut_mid_turn(goes_on_ms=goes_on_ms, begins_ms=begins_ms)
    assert (first.p50_s, first.missing, first.users) == (*went_on, 1)
    assert (new.p50_s, new.missing, new.users) == (*began, 1)


def test_who_was_idle_at_the_cut_has_no_turn_to_go_on_with() -> None:
    story = Story()
    for user in (0, 1):
        story.connect(user, 100, "treated")
        story.turn(user, 1, 1_000)
        story.close(user, 5_100)
        story.connect(user, 7_100 + user)
        story.turn(user, 2, 8_000 + 500 * user)
        story.leave(user, 20_000)
    first, new = told(story, [(0, 1, 1_000, 1_050), (0, 2, 8_000, 8_050), (1, 1, 1_000, 1_050), (1, 2, 8_500, 8_550)])
    assert first.users == 0
    assert (new.users, new.p50_s, new.p95_s) == (2, 1.01, 1.51)


def test_without_a_cut_there_is_nothing_to_time() -> None:
    story = Story()
    story.connect(0, 100, "treated")
    story.turn(0, 1, 1_000)
    story.leave(0, 20_000)
    frame = pd.DataFrame([(0, 1, 1.0, 1.05)], columns=["session", "turn", "sent_s", "end_s"])
    assert resumptions(story.read(), frame, story.assess(DOWN).recovered, START_NS) == {}
