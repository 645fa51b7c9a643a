"""A worker host's way to its master, and back to it after a break."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from loadtests.errors import RigError
from loadtests.hosts import caller
from loadtests.hosts.caller import Caller, LinkError
from loadtests.hosts.messages import Answer, Ask, Beat, Now, Refused, WhatTime
from loadtests.hosts.server import Door

TOKEN = b"a token of twenty-odd characters"
KEY = "0" * 32
AHEAD_NS = 5_000_000_000


def clock(ask: Ask, raw: bytes, address: str, now_ns: int) -> Answer:
    """A master whose clock is behind ours."""
    return Now(now_ns - AHEAD_NS) if isinstance(ask, WhatTime) else Refused("only the time is told here")


@pytest.fixture
def door() -> Iterator[Door]:
    one = Door(("127.0.0.1", 0), TOKEN, clock)
    yield one
    one.close()


def test_a_clock_that_is_known_to_be_ahead_is_found_to_be_within_the_bound(door: Door) -> None:
    one = Caller(door.address, TOKEN)
    reading = one.read_clock(KEY, for_s=10)
    assert abs(reading.ahead_ns - AHEAD_NS) <= reading.bound_ns
    assert 0 < reading.bound_ns < 1_000_000_000
    one.close()


def test_a_refusal_is_no_broken_link(door: Door) -> None:
    one = Caller(door.address, TOKEN)
    with pytest.raises(RigError, match="only the time"):
        one.insist(Beat(key=KEY, state="joined"), for_s=10)
    assert isinstance(one.ask(WhatTime(key=KEY)), Now)
    one.close()


def test_after_a_break_the_next_question_connects_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "PAUSE_S", 0.01)
    first = Door(("127.0.0.1", 0), TOKEN, clock)
    one = Caller(first.address, TOKEN)
    assert isinstance(one.ask(WhatTime(key=KEY)), Now)
    first.close()
    with pytest.raises(LinkError):
        one.ask(WhatTime(key=KEY))
    with pytest.raises(LinkError):
        one.insist(WhatTime(key=KEY), for_s=0.05)
    second = Door(first.address, TOKEN, clock)
    assert isinstance(one.insist(WhatTime(key=KEY), for_s=10), Now)
    one.close()
    second.close()


def test_a_master_that_takes_and_never_answers_is_a_broken_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "PATIENCE_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        one = Caller(mute.getsockname(), TOKEN)
        with pytest.raises(LinkError):
            one.ask(WhatTime(key=KEY))
        with pytest.raises(LinkError):
            one.read_clock(KEY, for_s=0.05)
