"""A server's own count against its clients' connections: dead ones kept, live ones dropped, and time for both to settle."""

from __future__ import annotations

from typing import Any

import pytest

from reports.peers import STEP_NS, Moments, PeerFinding, View, dead_peers, views_of
from tests.reports.stories import Story

S = 1_000_000_000
OPENED, CLOSED, RELEASE = [1 * S, 2 * S, 3 * S], [20 * S], 5 * S


@pytest.mark.parametrize(
    ("at_s", "sessions", "kinds"),
    [
        (0.5, 0, []),
        (0.5, 1, ["kept-dead"]),
        (10, 3, []),
        (10, 2, ["dropped-live"]),
        (10, 4, ["kept-dead"]),
        (3.5, 2, []),
        (4, 2, []),
        (4.05, 2, ["dropped-live"]),
        (19.5, 2, []),
        (24.9, 3, []),
        (25.0, 3, []),
        (25.05, 3, ["kept-dead"]),
        (25.05, 2, []),
    ],
)
def test_a_count_is_held_against_what_was_connected(at_s: float, sessions: int, kinds: list[str]) -> None:
    found = dead_peers([View(round(at_s * S), sessions)], Moments(OPENED), Moments(CLOSED), RELEASE)
    assert [one.kind for one in found] == kinds


@pytest.mark.parametrize(
    ("at_ns", "sessions", "finding"),
    [
        (10 * S, 4, PeerFinding("kept-dead", 10 * S, "the backend holds 4 sessions, and 3 clients are or lately were connected", -1)),
        (10 * S, 2, PeerFinding("dropped-live", 10 * S, "the backend holds 2 sessions, and 3 clients are connected", -1)),
    ],
)  # fmt: skip
def test_a_wrong_count_is_told_in_words_and_of_no_client_s_row(at_ns: int, sessions: int, finding: PeerFinding) -> None:
    """It is seen from the backend's side alone, and no row of a client is its witness."""
    assert dead_peers([View(at_ns, sessions)], Moments(OPENED), Moments(CLOSED), RELEASE) == [finding]


def test_connections_cost_no_memory_but_what_their_time_costs_and_all_are_counted() -> None:
    """A server that closes each at once: a hundred thousand in two seconds."""
    opened = Moments(i * 20_000 for i in range(100_000))
    assert len(opened) == 2 * S // STEP_NS
    assert [one.kind for one in dead_peers([View(9 * S, 100_000)], opened, Moments(), RELEASE)] == []
    assert [one.kind for one in dead_peers([View(9 * S, 100_001)], opened, Moments(), RELEASE)] == ["kept-dead"]
    assert [one.kind for one in dead_peers([View(9 * S, 99_999)], opened, Moments(), RELEASE)] == ["dropped-live"]


def test_moments_of_one_step_accuse_nobody() -> None:
    """Which came first is not known; each view takes the likelier story."""
    at_ns = 7 * S + STEP_NS // 2
    sums = Moments([at_ns - 1, at_ns, at_ns + 1]).sums()
    assert (sums.surely(at_ns), sums.maybe(at_ns)) == (0, 3)
    assert (sums.maybe(at_ns - STEP_NS), sums.surely(at_ns + STEP_NS)) == (0, 3)


def test_without_a_single_connection_nobody_may_be_held() -> None:
    assert [one.kind for one in dead_peers([View(S, 1)], Moments(), Moments(), RELEASE)] == ["kept-dead"]


@pytest.mark.parametrize("record", [{}, {"at_ns": "x", "sessions": 1}, {"at_ns": 1}, {"at_ns": 1, "sessions": None}])
def test_what_is_no_view_is_none(record: dict[str, Any]) -> None:
    assert views_of([{"type": "peers", **record}, {"type": "window", "at_ns": 1, "sessions": 1}]) == []


def test_views_come_from_the_journal() -> None:
    assert views_of([{"type": "peers", "at_ns": 7, "sessions": 3}]) == [View(7, 3)]


def test_a_server_that_keeps_the_dead_is_told_of_by_its_checker() -> None:
    story = Story()
    for session in range(3):
        story.connect(session, 10)
        story.leave(session, 1_000)
    good = story.check("dead-peers", views=[(500, 3), (12_000, 0)])
    assert (good.verdict, good.samples, good.required) == ("valid", 2, True)
    bad = story.check("dead-peers", views=[(500, 3), (12_000, 2)])
    assert (bad.verdict, bad.kinds) == ("invalid", {"kept-dead": 1})
    assert "holds 2 sessions" in bad.reason
    assert bad.witnesses == ()
