"""One listener between windows: its canary lives, but is not thrown at a fault that cuts; and who was active when is known."""

from __future__ import annotations

import time

import pytest

from chaos.faults import parse_fault
from chaos.reading import Marks, Ping, read
from chaos.side import Side
from loadtests.dial import Dial

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


MS = 1_000_000
JAM_DOWN = parse_fault({"kind": "jam", "direction": "down"}, "", "")


def test_what_the_backend_says_of_pings_that_nobody_sent_is_left_out():
    asked = []
    side = told({0: 7, 2: 9, 3: 11, -1: 13}, asked=asked)
    side.canary.seen.pings = [Ping(1), Ping(2), Ping(3)]
    assert [ping.arrived_ns for ping in side.locate(side.canary).pings] == [7, 0, 9]
    assert asked == [side.canary.name]
    assert [ping.arrived_ns for ping in side.canary.seen.pings] == [0, 0, 0]


def test_a_backend_that_does_not_tell_is_not_asked():
    side = Side(None, Dial(("127.0.0.1", 1), "ws://x/ws", "http://x"))
    assert side.locate(side.canary) is side.canary.seen


def test_what_the_backend_said_after_one_window_says_nothing_of_the_next():
    """The second question goes unanswered: without this, what is known of the baseline makes all that is new seem held up."""
    sent_ms = [*range(100, 1_000, 100), 1_100, *range(2_100, 3_000, 100), 3_100]
    first = {number: (at + 1) * MS for number, at in enumerate(sent_ms) if at < 2_000}
    side = told(first, {})
    for at in sent_ms:
        side.canary.seen.pings.append(Ping(at * MS, (at + (2 if at % 1_000 != 100 or at == 100 else 950)) * MS))
    found = []
    for at in (1_000, 3_000):
        marks = Marks(at * MS, (at + 10) * MS, (at + 1_000) * MS, (at + 1_010) * MS)
        before, during = read(side.locate(side.canary), [], marks)
        found.append(JAM_DOWN.judge(before, during))
    assert [bite.effect for bite in found] == ["confirmed", "confirmed"], found
    assert [bite.measured["direction"] for bite in found] == ["measured down", "read back, not measured"]


def told(*answers, asked=None):
    """A side whose backend gives these answers, one after the other."""
    left = list(answers)

    def heard(name):
        if asked is not None:
            asked.append(name)
        return left.pop(0)

    return Side(None, Dial(("127.0.0.1", 1), "ws://x/ws", "http://x"), heard)


def test_closing_ends_all_threads(side, until):
    until(lambda: side.canary.alive)
    side.close()
    assert not side.canary.alive
    assert not side._thread.is_alive()
