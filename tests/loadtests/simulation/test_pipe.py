"""Whatever the weather, bytes of one direction arrive in order, once, or not at all from some byte on."""

from __future__ import annotations

import pytest

from loadtests.simulation.pipe import Bite, Weather
from tests.loadtests.simulation.ears import Pair


@pytest.mark.parametrize("weather", ["late", "slicer", "thin", "none"])
def test_what_was_sent_arrives_whole_and_in_order(weather: str) -> None:
    pair = Pair(delay_ms=1.0, jitter_ms=30.0, split_share=0.5)
    if weather != "none":
        bite = Bite(extra_ms=50.0, jitter_ms=50.0, piece_bytes=3, rate_bytes_per_s=5_000)
        setattr(pair.road.down, weather, bite)
    sent = b""
    for number in range(200):
        piece = b"%d," % number
        sent += piece
        pair.at_server.send(piece)
        pair.run(0.5)
    pair.at_server.close()
    pair.run()
    assert pair.client.heard == sent
    assert pair.client.ends == ["eof"]
    assert weather == "none" or getattr(pair.road.down, weather).touched >= 200


def test_the_end_of_a_fault_leaves_another_of_its_kind() -> None:
    first, second = Bite(), Bite()
    weather = Weather(late=first, jam=second)
    weather.end(first)
    assert weather == Weather(jam=second)


def test_a_slicer_leaves_pieces_of_its_size() -> None:
    pair = Pair(delay_ms=1.0, jitter_ms=5.0)
    pair.road.down.slicer = Bite(piece_bytes=4)
    pair.at_server.send(b"0123456789")
    pair.run()
    assert pair.client.heard == b"0123456789"
    assert len(pair.client.chunks) > 1


def test_a_thin_pipe_takes_its_time() -> None:
    pair = Pair(delay_ms=0.0)
    pair.road.down.thin = Bite(rate_bytes_per_s=1_000)
    pair.at_server.send(b"x" * 500)
    pair.run(499)
    assert not pair.client.heard
    pair.run(2)
    assert len(pair.client.heard) == 500


def test_a_jam_holds_everything_until_it_is_kicked() -> None:
    pair = Pair()
    pair.road.down.jam = Bite()
    pair.at_server.send(b"one")
    pair.run(100)
    pair.at_server.send(b"two")
    pair.run(100)
    assert pair.client.heard == b""
    pair.road.down.jam = None
    pair.road.kick()
    pair.run()
    assert pair.client.heard == b"onetwo"


def test_a_hole_swallows_and_ends_nothing() -> None:
    pair = Pair()
    pair.road.up.hole = Bite()
    pair.at_client.send(b"gone")
    pair.at_client.close()
    pair.run(100)
    pair.road.up.hole = None
    pair.run(100)
    assert (pair.server.heard, pair.server.ends) == (b"", [])


def test_so_many_bytes_and_no_more() -> None:
    pair = Pair()
    pair.road.live()[0].down.allowed = 5
    pair.at_server.send(b"0123456789")
    pair.run()
    assert (pair.client.heard, pair.client.ends, pair.server.ends) == (b"01234", ["eof"], ["eof"])


def test_a_sender_sees_when_there_is_room_again() -> None:
    pair = Pair(delay_ms=5.0, capacity_bytes=4)
    pair.at_server.send(b"0123456789")
    assert not pair.at_server.has_room
    pair.run()
    assert pair.at_server.has_room
    assert pair.server.drains == 1


def test_on_quiet_is_called_once_nothing_is_under_way() -> None:
    pair, calls = Pair(delay_ms=10.0), []
    pair.at_server.send(b"words")
    pair.road.live()[0].down.on_quiet = lambda: calls.append(pair.client.heard)
    pair.run()
    assert calls == [b"words"]
