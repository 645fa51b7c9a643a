"""New connections tried beside a window."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from websockets.server import ServerProtocol

from chaos.tries import Tries

pytestmark = pytest.mark.live
LATER_S = 60


def later_ns(seconds):
    return time.monotonic_ns() + int(seconds * 1e9)


@pytest.mark.parametrize(("how", "outcome"), [("request", "answered"), ("upgrade", "answered"), ("close", "closed")])
def test_each_way_of_trying(dial, how, outcome):
    tries = Tries(dial, how)
    tries.once()
    (made,) = tries.made
    assert (made.how, made.outcome) == (how, outcome)
    assert made.begun_ns < made.ended_ns
    assert made.waited_ms < 1000


def test_they_go_on_until_rest(dial, until):
    tries = Tries(dial)
    tries.begin(later_ns(LATER_S))
    until(lambda: len(tries.made) >= 2)
    tries.rest()
    assert {one.outcome for one in tries.made} == {"answered"}


def test_none_is_waited_for_beyond_the_window(dial, until):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tries = Tries(dial.via(silent.getsockname()), patience_s=30)
        begun = time.monotonic()
        tries.begin(later_ns(0.6))
        until(lambda: tries.made)
        assert tries.made[0].outcome == "silent"
        assert time.monotonic() - begun < 2


def test_too_short_a_window_is_left_alone(dial, until):
    tries = Tries(dial)
    tries.begin(later_ns(0.05))
    until(lambda: not tries._thread.is_alive())
    assert tries.made == []


def test_a_server_that_never_closes_its_half_is_silent(dial):
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as stubborn:

        def upgrade_and_wait():
            client, _ = stubborn.accept()
            with client:
                protocol = ServerProtocol()
                protocol.receive_data(client.recv(10_000))
                (request,) = protocol.events_received()
                protocol.send_response(protocol.accept(request))
                client.sendall(b"".join(protocol.data_to_send()))
                done.wait()

        thread = threading.Thread(target=upgrade_and_wait, daemon=True)
        thread.start()
        tries = Tries(dial.via(stubborn.getsockname()), "close", 0.2)
        tries.once()
        assert tries.made[0].outcome == "silent"
        assert tries.made[0].waited_ms >= 190
        done.set()
        thread.join()
