"""The server's end of a connection: real frames, honest bookkeeping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from loadtests.backend.manager import Parcel
from loadtests.framing import Splitter, masked_text
from loadtests.simulation.head import HELLO_END
from loadtests.simulation.link import UNAVAILABLE, UPGRADED, text_frames
from loadtests.simulation.pipe import Bite
from tests.loadtests.simulation.ears import Ear
from tests.loadtests.simulation.houses import Scene


@given(st.binary(max_size=200), st.integers(0, 199), st.lists(st.integers(1, 50), max_size=8))
def test_frames_are_read_as_what_was_written_however_they_are_cut(payload: bytes, cut: int, cuts: list[int]) -> None:
    """Whole or in fragments, long or short; the client's own splitter reads them."""
    seen: list[bytes] = []
    protocol = ClientProtocol(parse_uri("ws://x/"), state=OPEN)
    splitter = Splitter(
        protocol, 1 << 20, lambda raws, *_: seen.extend(raws), lambda raw, _: seen.append(b"binary" + raw)
    )
    payload = payload.hex().encode() * 3
    data = text_frames(payload, min(cut, max(0, len(payload) - 1)))
    for size in cuts:
        splitter.feed(data[:size], 0)
        data = data[size:]
    splitter.feed(data, 0)
    assert seen == [payload]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_all_three_lengths(size: int) -> None:
    assert text_frames(b"x" * size).endswith(b"x" * size)
    assert len(text_frames(b"x" * size)) == size + (2 if size < 126 else 4 if size < 65_536 else 10)


def test_a_client_is_upgraded_once_its_whole_request_is_there() -> None:
    scene = Scene()
    scene.socket.send(b"3 user3 ")
    scene.run(5)
    assert (scene.ear.heard, scene.backend.users) == (b"", [])
    scene.socket.send(b"cursor" + HELLO_END + masked_text(b"hi", b"abcd"))
    scene.run(5)
    assert scene.ear.heard == UPGRADED
    assert scene.backend.users == [("user3", True)]
    assert scene.backend.heard == [b"hi"]


def test_who_is_not_admitted_hears_503() -> None:
    scene = Scene()
    scene.backend.open = False
    scene.upgrade()
    assert (scene.ear.heard, scene.ear.ends) == (UNAVAILABLE, ["eof"])
    assert scene.backend.lost_ones == []


@pytest.mark.parametrize(("code", "cut"), [(1000, False), (1001, False), (1002, True)])
def test_a_goodbye_is_answered_and_is_no_cut(code: int, cut: bool) -> None:
    scene = Scene()
    scene.upgrade()
    scene.say_close(code)
    scene.run(10)
    assert scene.backend.lost_ones == [(0, cut)]
    assert scene.ear.ends == ["eof"]
    assert scene.host.links == []


def test_what_finds_no_room_waits_and_comes_back_as_unsent() -> None:
    scene = Scene(capacity_bytes=10)
    scene.upgrade()
    link = scene.backend.links[0]
    scene.road.down.jam = Bite()
    assert all(link.put(Parcel(frame=b"0123456789", seq=number)) for number in (1, 2, 3))
    scene.road.live()[0].reset()
    scene.run(10)
    assert scene.backend.lost_ones == [(2, True)]
    assert not link.put(Parcel(frame=b"late"))


def test_a_parcel_may_close_behind_itself() -> None:
    scene = Scene()
    scene.upgrade()
    link = scene.backend.links[0]
    assert link.put(Parcel(frame=b"last", close_code=1000))
    assert not link.put(Parcel(frame=b"too late"))
    scene.run(5_000)
    assert b"last" in scene.ear.heard
    assert scene.backend.lost_ones == [(0, True)]


def test_an_answer_to_our_own_close_is_no_goodbye() -> None:
    scene = Scene()
    scene.upgrade()
    scene.backend.links[0].close(1000, "")
    scene.say_close(1000)
    scene.run(100)
    assert scene.backend.lost_ones == [(0, True)]


def test_pings_find_out_who_is_gone() -> None:
    scene = Scene(ping_ms=1_000.0, pong_ms=500.0)
    scene.upgrade()
    scene.run(900)
    assert scene.host.links
    scene.run(5_000)  # nobody answers
    assert scene.host.links == []
    assert scene.backend.lost_ones == [(0, True)]


def test_a_banned_client_is_sent_away_in_a_pause_and_not_let_in_again() -> None:
    scene = Scene()
    scene.upgrade()
    scene.host.banned.add(3)
    scene.run(1_000)
    assert scene.backend.lost_ones == []
    scene.run(3_500)
    assert scene.backend.lost_ones == [(0, True)]
    again = Ear()
    socket = scene.road.connect(again)
    assert not isinstance(socket, int)
    socket.send(b"3 user3 cursor" + HELLO_END)
    scene.run(100)
    assert len(scene.backend.users) == 1
    assert again.heard.startswith(UPGRADED + b"\x88")


def test_a_banned_client_that_is_cut_before_its_pause_is_let_in_again_and_then_sent_away() -> None:
    """At the door its last turn may still be under way."""
    scene = Scene()
    scene.upgrade()
    scene.host.banned.add(3)
    scene.socket.close()
    scene.run(100)
    again = Ear()
    socket = scene.road.connect(again)
    assert not isinstance(socket, int)
    socket.send(b"3 user3 cursor" + HELLO_END)
    scene.run(100)
    assert (len(scene.backend.users), scene.host.sent_away, again.heard) == (2, set(), UPGRADED)
    scene.run(4_500)
    assert (scene.host.sent_away, again.heard[: len(UPGRADED) + 1]) == ({3}, UPGRADED + b"\x88")


def test_with_one_gate_who_cannot_send_holds_up_all() -> None:
    scene = Scene(capacity_bytes=10)
    scene.host.one_gate = True
    scene.upgrade()
    other = Ear()
    socket = scene.road.connect(other)
    assert not isinstance(socket, int)
    socket.send(b"4 user4 cursor" + HELLO_END)
    scene.run(5)
    slow, quick = scene.backend.links
    before = other.heard
    for number in range(3):
        slow.put(Parcel(frame=b"0123456789", seq=number))
    quick.put(Parcel(frame=b"held up"))
    assert scene.host.gate is slow
    scene.run(100)
    assert scene.host.gate is None
    assert b"held up" in other.heard[len(before) :]
