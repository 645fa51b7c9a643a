"""The canary on real listeners."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from websockets.sync.server import serve

from chaos.canary import Canary
from loadtests.dial import Dial


def answered(canary):
    return sum(1 for ping in list(canary.seen.pings) if ping.answered_ns)


@pytest.mark.live
def test_a_live_connection_is_pinged_until_it_is_closed(dial, until):
    canary = Canary(dial)
    assert canary.open()
    until(lambda: answered(canary) >= 3)
    assert canary.alive
    canary.close()
    assert not canary.alive
    assert not canary._thread.is_alive()


@pytest.mark.live
def test_a_burst_is_counted_and_over_when_its_last_byte_came_back(dial, until):
    canary = Canary(dial)
    assert canary.open()
    canary.burst("down", 10_000)
    canary.burst("up", 10_000)
    until(lambda: len(canary.seen.bursts) == 2 and all(burst.done_ns for burst in canary.seen.bursts))
    down, up = canary.seen.bursts
    assert (down.way, up.way) == ("down", "up")
    assert min(down.bytes, up.bytes) >= 10_000
    assert sum(count for _, count in canary.seen.received) < 12_000 + 127 * 20  # what goes up is not answered
    canary.close()


@pytest.mark.live
def test_large_pings_come_when_asked_and_in_one_read(dial, until):
    canary = Canary(dial)
    assert canary.open()
    canary.widen(3)
    wide = until(
        lambda: [ping for ping in canary.seen.pings if ping.wide and ping.answered_ns][2:] and canary.seen.pings
    )
    assert [ping.reads for ping in wide if ping.wide and ping.answered_ns] == [1, 1, 1]
    canary.close()


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
    until(lambda: len(sent) == 200 and answered(canary) >= 3, 10)
    canary.close()
    server.shutdown()
    thread.join()
