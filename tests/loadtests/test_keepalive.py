"""Pings of either side: what a session answers, what it says where nothing else was said, and when it is not answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.history import RowKind
from tests.loadtests.histories import Bench, Talk


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    return Bench(tmp_path / "run", str(Path(__file__).with_name("busy.yaml"))).session().ready()


def test_a_ping_is_answered_at_once(talk: Talk) -> None:
    talk.raw({"type": "ping"})
    assert json.loads(talk.session.outbox.pop()) == {"type": "pong"}


def test_something_is_said_where_nothing_else_was(talk: Talk) -> None:
    session, now = talk.session, talk.bench.tick()
    assert not session.keep_alive(now)
    assert session.keep_alive(now + 200_000_000)
    assert json.loads(session.outbox.pop()) == {"type": "ping", "at": "now"}
    assert not session.keep_alive(now + 250_000_000)


def test_a_ping_that_is_answered_may_be_followed_by_another(talk: Talk) -> None:
    session, now = talk.session, talk.bench.tick()
    for _ in range(3):
        now += 200_000_000
        assert session.keep_alive(now)
        talk.raw({"type": "pong"})
        assert not session.unanswered(now + 150_000_000)
        assert not session.unanswered(now + 150_000_000)


def test_a_ping_is_unanswered_when_the_next_is_due_and_the_second_look_shows_no_answer(talk: Talk) -> None:
    session, now = talk.session, talk.bench.tick()
    assert session.keep_alive(now + 200_000_000)
    assert not session.unanswered(now + 299_000_000)
    assert not session.unanswered(now + 300_000_000)
    assert session.unanswered(now + 300_000_001)
    talk.close(1000, ours=True, never_ready=True)
    assert talk.kinds == ["unanswered"]
    assert talk.bench.rows(RowKind.CLOSE)[0]["intended"] == now + 200_000_000
    assert not session.unanswered(now + 400_000_000)
