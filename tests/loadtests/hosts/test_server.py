"""The master's door: who has the token is answered, whatever it says; who has not is not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from loadtests.errors import ConfigError, RigError
from loadtests.hosts.messages import Answer, Ask, Now, Refused, WhatTime, decode_answer, encode
from loadtests.hosts.server import Door
from loadtests.hosts.wire import call

TOKEN = b"a token of twenty-odd characters"
KEY = "0" * 32
WAIT_S = 10.0


def echo(ask: Ask, raw: bytes, address: str, now_ns: int) -> Answer:
    return Refused(f"{type(ask).__name__} {raw.decode()} {address} {now_ns > 0}")


@pytest.fixture
def door() -> Iterator[Door]:
    one = Door(("127.0.0.1", 0), TOKEN, echo)
    yield one
    one.close()


def test_a_question_reaches_its_responder_with_bytes_address_and_time(door: Door) -> None:
    link = call(door.address, TOKEN, WAIT_S)
    link.send(encode(WhatTime(key=KEY), b"raw"))
    assert decode_answer(link.receive()) == Refused("WhatTime raw 127.0.0.1 True")
    link.close()


def test_what_is_no_question_is_said_and_the_next_one_is_heard(door: Door) -> None:
    link = call(door.address, TOKEN, WAIT_S)
    link.send(encode(Now(1)))
    answer = decode_answer(link.receive())
    assert isinstance(answer, Refused)
    assert answer.why.startswith("no question")
    link.send(encode(WhatTime(key=KEY)))
    assert decode_answer(link.receive()) == Refused("WhatTime  127.0.0.1 True")
    link.close()


def test_a_stranger_is_let_go_and_others_are_served_meanwhile(door: Door) -> None:
    with socket.create_connection(door.address, WAIT_S) as silent:
        with pytest.raises(RigError):
            call(door.address, b"another token than the master's", WAIT_S)
        link = call(door.address, TOKEN, WAIT_S)
        link.send(encode(WhatTime(key=KEY)))
        assert isinstance(decode_answer(link.receive()), Refused)
        link.close()
        while silent.recv(4096):  # its greeting, then the end of its patience
            pass


def test_a_closed_door_lets_go_of_everybody(door: Door) -> None:
    link = call(door.address, TOKEN, WAIT_S)
    door.close()
    with pytest.raises(OSError):
        link.receive()
    with pytest.raises(OSError):
        socket.create_connection(door.address, 1.0)
    link.close()


def test_an_address_that_is_taken_is_said_before_anything_else(door: Door) -> None:
    with pytest.raises(ConfigError, match="--bind"):
        Door(door.address, TOKEN, echo)
