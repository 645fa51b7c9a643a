"""The client's end of a connection: how it begins, speaks and ends."""

from __future__ import annotations

import errno
from typing import Any

from loadtests.conversation import Dial, Failure
from loadtests.simulation.head import HELLO_END
from loadtests.simulation.link import UNAVAILABLE, UPGRADED, text_frames
from loadtests.simulation.pipe import Bite
from tests.loadtests.simulation.benches import Bench


def test_a_dial_is_answered_when_the_upgrade_is_there_and_frames_behind_it_are_read() -> None:
    bench = Bench(UPGRADED + text_frames(b"welcome"))
    bench.perform(Dial(5.0))
    assert bench.answers == [(1.0, None)]
    assert bench.session.opened_ns == bench.at_ms(1)
    assert bench.session.frames == [b"welcome"]
    assert bench.servers[0][1].heard == b"0  cursor" + HELLO_END
    assert bench.client.is_open


def test_how_dials_fail() -> None:
    silent = Bench(b"")
    silent.perform(Dial(2.0))
    assert silent.answers == [(2_000.0, Failure(-errno.ETIMEDOUT, "no answer within 2 s"))]
    refused = Bench()
    refused.road.refuses = Bite()
    refused.perform(Dial(2.0))
    assert refused.answers[0][1] == Failure(-errno.ECONNREFUSED, "ECONNREFUSED")
    unavailable = Bench(UNAVAILABLE)
    unavailable.perform(Dial(2.0))
    assert unavailable.answers[0][1] == Failure(503, "refused")
    for end, code in (("reset", -errno.ECONNRESET), ("sever", 0)):
        cut = Bench(b"10")
        cut.clock.after_ms(10.0, lambda cut=cut, end=end: getattr(cut.road.live()[0], end)())
        cut.perform(Dial(2.0))
        assert cut.answers[0][1].code == code
        assert cut.talk.closes == []


def test_an_open_connection_that_ends_is_told_to_the_conversation() -> None:
    for end, close in (("reset", (1006, "ECONNRESET")), ("finish", (1006, "EOFError: unexpected end of stream"))):
        bench = Bench()
        bench.clock.after_ms(10.0, lambda bench=bench, end=end: getattr(bench.road.live()[0], end)())
        bench.perform(Dial(2.0))
        assert bench.talk.closes == [close]
        assert not bench.client.is_open


def test_messages_are_masked_and_counted() -> None:
    bench = Bench()
    bench.perform(Dial(2.0))
    bench.client.send(b"hello")
    bench.run(10)
    heard = bench.servers[0][1].heard.partition(HELLO_END)[2]
    assert heard[:2] == b"\x81\x85"
    assert b"hello" not in heard
    assert (bench.client.messages_handed, bench.client.messages_sent) == (1, 1)


def test_what_was_left_of_a_frame_can_be_looked_at() -> None:
    bench = Bench(UPGRADED + text_frames(b"whole") + text_frames(b"x" * 100)[:50])
    wires: list[Any] = []
    bench.perform(Dial(2.0), ms=5)
    wires.append(bench.client._wire)
    bench.road.live()[0].sever()
    bench.run(5)
    assert wires[0].rest == text_frames(b"x" * 100)[:50]
    assert bench.session.frames == [b"whole"]
