"""What is said between hosts survives the way, and what nobody says is refused."""

from __future__ import annotations

import pytest

from loadtests.clocks import Alignment, Reading
from loadtests.hosts.messages import (
    Beat,
    Chunk,
    Join,
    Now,
    Offer,
    Orders,
    Parcel,
    Refused,
    Tally,
    Wanted,
    WhatTime,
    decode_answer,
    decode_question,
    encode,
)  # fmt: skip

KEY = "0" * 32
CLOCK = Alignment(Reading(1, -5, 2), Reading(9, -4, 2))


@pytest.mark.parametrize(
    "question",
    [
        Join(key=KEY, processes=2, same={"--seed": "1"}), Beat(key=KEY, state="ready", tally=Tally(rows=3)), WhatTime(key=KEY),
        Offer(key=KEY, parcels=[Parcel("rows", "worker-0.bin", 96, "f" * 64)], wrote={"worker-0": {"SEND": 1}}, clock=CLOCK),
        Chunk(key=KEY, folder="rows", name="worker-0.bin", offset=0, sha256="f" * 64),
    ],
)  # fmt: skip
def test_a_question_comes_as_it_was_asked_with_its_bytes(question: Join) -> None:
    assert decode_question(encode(question, b"\x00raw")) == (question, b"\x00raw")


@pytest.mark.parametrize(
    "answer", [Now(7), Orders(host="host-1", stop="enough"), Wanted({"rows/a": 1}, whole=False), Refused("no")]
)
def test_an_answer_comes_as_it_was_given(answer: Now) -> None:
    assert decode_answer(encode(answer)) == answer


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\x00\x00", encode({"type": "dance", "key": KEY}), encode(WhatTime(key="me")),
        encode(Beat(key=KEY, state="lost")), encode(Join(key=KEY, processes=0, same={})),
        encode(Offer(key=KEY, parcels=[Parcel("rows", "../../etc/passwd", 1, "f" * 64)], wrote={})),
        encode(Offer(key=KEY, parcels=[Parcel("..", "worker-0.bin", 1, "f" * 64)], wrote={})),
    ],
)  # fmt: skip
def test_what_no_worker_host_asks(body: bytes) -> None:
    with pytest.raises(ValueError):
        decode_question(body)


def test_tallies_add_up() -> None:
    assert Tally(1, 2, 3, 4, 5, 6, 7) + Tally(rows=10, hit=1) == Tally(11, 2, 3, 4, 5, 6, 8)
