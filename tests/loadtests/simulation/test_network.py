"""How connections end, and who is told."""

from __future__ import annotations

import errno
import random

from loadtests.simulation.clock import Clock
from loadtests.simulation.network import Road
from loadtests.simulation.pipe import Bite, Conditions
from tests.loadtests.simulation.ears import FAR_NS, Ear, Pair


def test_a_reset_takes_what_is_under_way_and_tells_both() -> None:
    pair = Pair(delay_ms=10.0)
    pair.at_server.send(b"never")
    pair.road.live()[0].reset()
    pair.run()
    assert (pair.client.heard, pair.client.ends, pair.server.ends) == (b"", ["reset"], ["reset"])
    assert pair.road.live() == []


def test_a_finished_connection_delivers_what_is_under_way_first() -> None:
    pair = Pair(delay_ms=10.0)
    pair.at_server.send(b"last words")
    pair.road.live()[0].finish()
    pair.run()
    assert (pair.client.heard, pair.client.ends, pair.server.ends) == (b"last words", ["eof"], ["eof"])


def test_who_has_closed_hears_nothing_more() -> None:
    pair = Pair()
    pair.at_client.close()
    pair.at_server.send(b"too late")
    pair.run()
    assert (pair.client.heard, pair.server.ends) == (b"", ["eof"])
    pair.at_server.close()
    assert pair.road.live() == []


def test_a_closed_listener_refuses_and_counts() -> None:
    pair = Pair()
    pair.road.refuses = Bite()
    assert pair.road.connect(Ear()) == errno.ECONNREFUSED
    assert pair.road.refuses.touched == 1


def test_a_listener_behind_which_nobody_is_accepts_and_ends() -> None:
    clock, ear = Clock(), Ear()
    road = Road(clock, random.Random(1), Conditions(), lambda _: False)
    road.connect(ear)
    clock.run(FAR_NS)
    assert ear.ends == ["eof"]
