"""The canary: what its readings hold for given times, and what it sees of real listeners."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from websockets.sync.server import serve

from chaos.canary import Canary, Marks, Ping
from loadtests.dial import Dial

MS = 1_000_000
MARKS = Marks(1000 * MS, 1010 * MS, 2000 * MS, 2010 * MS)


def read(dial, pings, fresh=(), ended=None):
    canary = Canary(dial)
    canary._pings = [Ping(sent * MS, answered * MS) for sent, answered in pings]
    canary._fresh = [(begun * MS, end * MS, outcome) for begun, end, outcome in fresh]
    canary._ended = ended and (ended * MS, "eof")
    return canary.reading(MARKS)


def test_pings_are_told_apart_by_when_they_were_sent(dial):
    before, during = read(
        dial, [(100, 101), (995, 1500), (1005, 1405), (1100, 1300), (1900, 2005), (1950, 0), (2005, 2006), (2020, 2021)]
    )
    assert before.round_trips_ms == (1.0,)
    assert during.answered_ms == (200.0,)
    assert during.held_ms == (105.0,)
    assert during.lost == 1
    assert during.after_ms == (1.0,)


def test_the_baseline_is_the_last_two_seconds_before(dial):
    before, _ = read(dial, [(i, 2 * i) for i in range(1, 100)])
    assert len(before.round_trips_ms) == 20
    assert before.round_trips_ms[-1] == 99.0


@pytest.mark.parametrize(
    ("ended", "where"), [(None, ""), (999, "before"), (1005, "window"), (1999, "window"), (2001, "heal")]
)
def test_when_the_connection_ended(dial, ended, where):
    assert read(dial, [], ended=ended)[1].ended == where


def test_only_new_connections_wholly_inside_the_window_count(dial):
    tries = [(100, 101, "answered"), (990, 1020, "eof"), (1020, 1021, "refused"), (1990, 2001, "silent")]
    before, during = read(dial, [], tries)
    assert (before.fresh, during.fresh) == ("answered", ("refused",))


@pytest.mark.live
def test_a_live_connection_is_pinged_until_it_is_closed(dial, until):
    canary = Canary(dial)
    assert canary.open()
    until(lambda: canary.round_trips >= 3)
    assert canary.alive
    canary.close()
    assert not canary.alive
    assert not any(thread.is_alive() for thread in canary._threads)


@pytest.mark.live
def test_new_connections_are_tried_until_rest(dial, until):
    canary = Canary(dial)
    canary.keep_trying()
    until(lambda: canary._fresh)
    canary.rest()
    canary.close()
    assert {outcome for _, _, outcome in canary._fresh} == {"answered"}


@pytest.mark.live
def test_a_dead_listener_opens_no_canary(dial):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = gone.getsockname()
    canary = Canary(dial.via(address))
    assert not canary.open()
    assert not canary.alive


@pytest.mark.live
def test_a_server_that_accepts_and_says_nothing_opens_no_canary(dial):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        canary = Canary(dial.via(silent.getsockname()))
        begun = time.monotonic()
        assert not canary.open(0.3)
        assert time.monotonic() - begun < 2


@pytest.mark.live
def test_floods_are_read_and_thrown_away(until):
    """A backend that talks a lot must not be stalled by the canary, nor its pongs be missed."""
    sent = []

    def flood(connection):
        for _ in range(200):
            connection.send(bytes(50_000))
            sent.append(1)
        connection.recv()

    server = serve(flood, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    canary = Canary(Dial(server.socket.getsockname(), "ws://chat.test/ws", "http://chat.test"))
    assert canary.open()
    until(lambda: len(sent) == 200 and canary.round_trips >= 3, 10)
    canary.close()
    server.shutdown()
    thread.join()
