"""What each planted defect makes of a resume; where the resume gives no occasion it is left honest."""

from __future__ import annotations

import pytest

from loadtests.backend import spoilt_replays as replays
from loadtests.backend.eventlog import Claim, Entry
from loadtests.backend.spoilt_replays import ReplayHook
from loadtests.contract.schema import Role

ROLES: dict[str, Role] = {
    "begun": "started", "thought": "thinking", "call": "tool-open", "result": "tool-close", "end": "done",
}  # fmt: skip


def claim(had: int, *missed: str) -> Claim:
    """Of a client that has so many events, and missed these."""
    kinds = ["thought"] * had + list(missed)
    entries = tuple(
        Entry(stream="s", seq=n, user="u", thread="t", kind=kind, at_s=0.0, frame=b"")
        for n, kind in enumerate(kinds, 1)
    )
    return Claim(resumed=True, stream="s", after=had, head=len(kinds), missed=entries[had:], had=entries[:had])


@pytest.mark.parametrize(
    ("hook", "had", "missed", "sent"),
    [
        (replays.repeats_last, 2, ["call"], [2, 3]),
        (replays.repeats_last, 2, [], None),
        (replays.repeats_last, 0, ["call"], None),
        (replays.repeats_all, 2, ["call"], [1, 2, 3]),
        (replays.repeats_all, 2, [], [1, 2]),
        (replays.repeats_all, 0, ["call"], None),
        (replays.skips_one, 1, ["call"], []),
        (replays.skips_one, 1, ["call", "result", "end"], [2, 4]),
        (replays.skips_one, 1, [], None),
        (replays.keeps_the_last, 1, ["call", "result", "end"], [4]),
        (replays.keeps_the_last, 1, ["call"], None),
        (replays.replays_nothing, 1, ["call"], []),
        (replays.replays_nothing, 1, [], None),
        (replays.reversed_order, 0, ["begun", "thought", "call"], [1, 3, 2]),
        (
            replays.reversed_order,
            0,
            ["begun", "thought", "begun", "call", "call", "call", "result"],
            [1, 2, 3, 6, 5, 4, 7],
        ),
        (replays.reversed_order, 1, ["thought", "call", "result", "end"], [3, 2, 4, 5]),
        (replays.reversed_order, 1, ["call", "result", "end"], None),
        (replays.reversed_order, 1, [], None),
    ],
)
def test_a_replay_is_spoilt_like_this(hook: ReplayHook, had: int, missed: list[str], sent: list[int] | None) -> None:
    spoilt = hook(claim(had, *missed), ROLES)
    assert (None if spoilt is None else [entry.seq for entry in spoilt]) == sent


@pytest.mark.parametrize(("after", "anew", "behind"), [(0, None, None), (1, 0, None), (5, 0, 4)])
def test_a_log_knows_less_than_the_client(after: int, anew: int | None, behind: int | None) -> None:
    one = Claim(resumed=True, stream="s", after=after, head=9)
    assert (replays.begins_anew(one), replays.is_behind(one)) == (anew, behind)


def test_what_may_overtake_says_nothing_that_depends_on_what_came_before() -> None:
    assert not replays.OVERTAKERS & {"started", "tool-close", "done", "failed"}
