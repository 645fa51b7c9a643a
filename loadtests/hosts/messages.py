"""What worker hosts ask of their master, and what it answers: one question, one answer, each a tagged record in JSON.

Every question can be asked again after a broken link without doing anything twice.
"""

from __future__ import annotations

import struct
from typing import Annotated, Any

import msgspec

from loadtests.clocks import Alignment

__all__ = [
    "Answer", "Ask", "Beat", "Chunk", "Join", "Now", "Offer", "Orders", "Parcel", "Question", "Refused", "Tally", "Wanted",
    "WhatTime", "decode_answer", "decode_question", "encode",
]  # fmt: skip

_HEAD = struct.Struct(">I")
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]
Text = Annotated[str, msgspec.Meta(max_length=2000)]


class Tally(msgspec.Struct, frozen=True):
    """A host's rows, turns and tokens so far; of the last seconds the turns that ended, those that ended badly, the sessions hit."""

    rows: Count = 0
    turns: Count = 0
    input: Count = 0
    output: Count = 0
    ended: Count = 0
    bad: Count = 0
    hit: Count = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            *(a + b for a, b in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True))
        )


class Question(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """``key``: chosen by the asking process, so that it is known again on a new connection."""

    key: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]


class Join(Question, frozen=True, kw_only=True, tag="join"):
    """``same``: what must be the same on all hosts, in words a user knows."""

    processes: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    same: dict[str, Text]


class Beat(Question, frozen=True, kw_only=True, tag="beat"):
    """``state``: where the host is. ``late_ms``: by how much it learned of the start too late."""

    state: Annotated[str, msgspec.Meta(pattern=r"\A(joined|ready|running|ended)\Z")]
    tally: Tally = Tally()
    trouble: Text = ""
    late_ms: Count = 0


class WhatTime(Question, frozen=True, kw_only=True, tag="what-time"):
    """Of the master's clock."""


class Parcel(msgspec.Struct, frozen=True):
    """One file of a host's part."""

    folder: Annotated[str, msgspec.Meta(pattern=r"\A(rows|own)\Z")]
    name: Name
    size_bytes: Count
    sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class Offer(Question, frozen=True, kw_only=True, tag="offer"):
    """What there is to fetch. ``wrote``: rows of each kind by worker, as its process has counted them."""

    parcels: Annotated[list[Parcel], msgspec.Meta(max_length=10_000)]
    wrote: dict[str, dict[str, Count]]
    clock: Alignment | None = None


class Chunk(Question, frozen=True, kw_only=True, tag="chunk"):
    """A piece of a file; its bytes follow the record."""

    folder: str
    name: str
    offset: Count
    sha256: str


class Now(msgspec.Struct, frozen=True, tag="now"):
    master_ns: int


class Orders(msgspec.Struct, frozen=True, kw_only=True, tag="orders"):
    """What a host is to do as far as the master has come. ``first``: its first load process among all ``workers``; -1: not all hosts
    are here. ``start_ns``: of the load, in the master's clock; 0: not yet. ``stop``: why no more turns; ``end``: why at once.
    """

    host: str = ""
    first: int = -1
    workers: int = 0
    nonce: str = ""
    start_ns: int = 0
    stop: str = ""
    end: str = ""


class Wanted(msgspec.Struct, frozen=True, tag="wanted"):
    """How many bytes of each file the master holds; ``whole``: all of all of them, by their digests."""

    have: dict[str, int]
    whole: bool


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    why: str


Ask = Join | Beat | WhatTime | Offer | Chunk
Answer = Now | Orders | Wanted | Refused
_ask: msgspec.json.Decoder[Ask] = msgspec.json.Decoder(Ask)
_answer: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def encode(record: Any, raw: bytes = b"") -> bytes:
    """The record, and bytes that go with it."""
    head = msgspec.json.encode(record)
    return _HEAD.pack(len(head)) + head + raw


def decode_question(body: bytes) -> tuple[Ask, bytes]:
    """Raises:
    ValueError: it is none.
    """
    head, raw = _split(body)
    return _ask.decode(head), raw


def decode_answer(body: bytes) -> Answer:
    """Raises:
    ValueError: it is none.
    """
    return _answer.decode(_split(body)[0])


def _split(body: bytes) -> tuple[bytes, bytes]:
    if len(body) < _HEAD.size:
        raise ValueError("no record")
    (length,) = _HEAD.unpack_from(body)
    return body[_HEAD.size : _HEAD.size + length], body[_HEAD.size + length :]
