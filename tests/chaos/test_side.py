"""One listener between windows: its canary lives, but is not thrown at a fault that cuts; and who was active when is known."""

from __future__ import annotations

import time

import pytest

from chaos.side import Side

pytestmark = pytest.mark.live


@pytest.fixture
def side(listeners, dial):
    treated = listeners["treated"]
    made = Side(treated, dial.via(treated.address))
    made.start()
    yield made
    made.close()


def test_a_canary_that_died_is_replaced_once_nothing_cuts_any_more(side, until):
    first = until(lambda: side.canary.alive and side.canary)
    side.enter("w1", time.monotonic_ns(), cuts=True)
    side.listener.control.disable(side.listener.proxy)
    until(lambda: not side.canary.alive)
    side.listener.control.enable(side.listener.proxy)
    assert side.canary is first
    side.leave("w1")
    until(lambda: side.canary.alive)
    assert side.canary is not first


def test_a_restart_is_counted_and_the_canary_comes_back(side, until):
    until(lambda: side.canary.alive)
    before = side.listener.server.pid
    side.restart()
    assert (side.generation, side.listener.server.pid != before) == (1, True)
    until(lambda: side.canary.alive)


def test_the_marks_of_a_window_end_where_another_begins(side):
    side.enter("w1", 100, cuts=False)
    side.enter("w2", 500, cuts=False)
    marks = side.marks("w1", 100, 110, 900, 910)
    assert (marks.before, marks.until_ns, marks.end_ns) == (((0, 100),), 500, 500)
    inner = side.marks("w2", 500, 510, 800, 810)
    assert (inner.before, inner.until_ns, inner.end_ns) == (((100, 500),), 0, 800)


def test_windows_that_meet_do_not_blind_each_other(side, monkeypatch):
    """The first is healed a little after the second was applied: it is over all the same, and no part of its baseline."""
    side.enter("w1", 100, cuts=False)
    side.enter("w2", 10_000_000_000, cuts=False)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 10_080_000_000)
    side.leave("w1")
    marks = side.marks("w2", 10_000_000_000, 10_050_000_000, 14_000_000_000, 14_010_000_000)
    assert marks.before == ((0, 100),)
    assert (marks.applied_ns, marks.until_ns, marks.end_ns) == (10_080_000_000, 0, 14_000_000_000)


def test_closing_ends_all_threads(side, until):
    until(lambda: side.canary.alive)
    side.close()
    assert not side.canary.alive
    assert not side._thread.is_alive()
