"""The bell: no ring is lost, none wakes the wrong greenlet, a kill leaves nothing behind."""

from __future__ import annotations

import gevent
import pytest

from loadtests.bell import Bell


@pytest.fixture
def bell() -> Bell:
    return Bell()


def test_a_ring_before_the_wait_is_not_lost(bell: Bell) -> None:
    bell.ring()
    assert bell.wait()
    assert bell.wait(0)


def test_a_ring_wakes_the_greenlet_that_waits(bell: Bell) -> None:
    waiter = gevent.spawn(bell.wait)
    gevent.idle()
    assert not waiter.ready()
    bell.ring()
    assert waiter.get(timeout=5) is True


def test_many_rings_are_one(bell: Bell) -> None:
    woken = []

    def wait() -> None:
        while len(woken) < 2:
            bell.clear()
            woken.append(bell.wait())

    waiter = gevent.spawn(wait)
    gevent.idle()
    for _ in range(5):
        bell.ring()
    gevent.idle()
    assert woken == [True]
    bell.ring()
    waiter.get(timeout=5)


def test_the_hub_may_ring(bell: Bell) -> None:
    gevent.get_hub().loop.run_callback(bell.ring)
    assert bell.wait(5)


@pytest.mark.parametrize("seconds", [0, -1, 0.01])
def test_a_wait_ends_without_a_ring(bell: Bell, seconds: float) -> None:
    assert bell.wait(seconds) is False


def test_an_old_waits_timer_does_not_end_a_new_wait(bell: Bell) -> None:
    bell.wait(0)
    waiter = gevent.spawn(bell.wait)
    gevent.idle()
    assert not waiter.ready()
    bell.ring()
    assert waiter.get(timeout=5)


def test_a_killed_waiter_is_not_woken_and_the_next_one_is(bell: Bell) -> None:
    killed = gevent.spawn(bell.wait)
    gevent.idle()
    bell.ring()
    killed.kill()
    bell.clear()
    waiter = gevent.spawn(bell.wait)
    gevent.idle()
    assert not waiter.ready()
    bell.ring()
    assert waiter.get(timeout=5)


def test_a_ring_taken_back_before_it_is_delivered_wakes_nobody(bell: Bell) -> None:
    waiter = gevent.spawn(bell.wait)
    gevent.idle()
    bell.ring()
    bell.clear()
    gevent.idle()
    assert not waiter.ready()
    bell.ring()
    assert waiter.get(timeout=5)
