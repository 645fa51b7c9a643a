"""The fast way beside the library is the library alone: same events, same close code, same bytes to send."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from types import SimpleNamespace

import pytest
import websockets.frames
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol, State
from websockets.uri import parse_uri

from loadtests.framing import COLLECT_BYTES, Splitter, masked_text


@pytest.fixture(autouse=True, scope="module")
def masks_that_are_no_chance() -> Iterator[None]:
    """Two sides' bytes can be compared only if they mask alike."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(websockets.frames, "secrets", SimpleNamespace(token_bytes=bytes))
        yield


LIMITS = (1 << 24, 300, 65_536, 5)


def protocol(limit: int, *, deflate: bool = False) -> ClientProtocol:
    one = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN, max_size=limit)
    if deflate:
        one.extensions = [PerMessageDeflate(*(True, True), 15, 15)]
    return one


def frame(
    opcode: int,
    payload: bytes,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bool = False,
    wide: int = 0,
    claim: int | None = None,
) -> bytes:
    """One frame as bytes; ``wide`` forces a longer form of the length, ``claim`` announces another length."""
    length = len(payload) if claim is None else claim
    bit = 0x80 if mask else 0
    if wide == 8 or length >= 65_536:
        second = struct.pack("!BQ", bit | 127, length)
    elif wide == 2 or length >= 126:
        second = struct.pack("!BH", bit | 126, length)
    else:
        second = bytes([bit | length])
    return bytes([(0x80 if fin else 0) | rsv << 4 | opcode]) + second + (b"\0\0\0\0" if mask else b"") + payload


class Library:
    """The reference: everything through ``receive_data``."""

    def __init__(self, limit: int, *, deflate: bool = False) -> None:
        self.protocol = protocol(limit, deflate=deflate)
        self.seen: list[tuple[str, bytes]] = []
        self._parts: list[bytes] = []
        self._kind = ""

    def feed(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        self._take()

    def finish(self) -> None:
        self.protocol.receive_eof()
        self._take()

    def _take(self) -> None:
        for event in self.protocol.events_received():
            if event.opcode in {Opcode.TEXT, Opcode.BINARY}:
                self._kind, self._parts = event.opcode.name, [bytes(event.data)]
            elif event.opcode is Opcode.CONT:
                self._parts.append(bytes(event.data))
            else:
                continue
            if event.fin:
                self.seen.append((self._kind, b"".join(self._parts)))


class Ours:
    def __init__(self, limit: int, *, deflate: bool = False) -> None:
        self.protocol = protocol(limit, deflate=deflate)
        self.seen: list[tuple[str, bytes]] = []
        splitter = Splitter(
            self.protocol,
            limit,
            lambda raws, at_ns, source: self.seen.extend(("TEXT", raw) for raw in raws),
            lambda raw, at_ns: self.seen.append(("BINARY", raw)),
        )
        self._splitter = splitter

    def feed(self, data: bytes) -> None:
        self._splitter.feed(data, 0)

    def finish(self) -> None:
        self._splitter.finish(0)


def compare(
    stream: bytes, cuts: list[int], limit: int, *, eof: bool, close_at: int = -1, deflate: bool = False
) -> None:
    sides = (Library(limit, deflate=deflate), Ours(limit, deflate=deflate))
    bounds = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    for i, (begin, end) in enumerate(pairwise(bounds)):
        for side in sides:
            if i == close_at and side.protocol.state is OPEN:
                side.protocol.send_close(1000, "")
            side.feed(stream[begin:end])
    if eof:
        for side in sides:
            side.finish()
    library, ours = sides
    assert ours.seen == library.seen
    assert b"".join(ours.protocol.data_to_send()) == b"".join(library.protocol.data_to_send())
    for name in ("state", "close_code", "close_reason"):
        assert getattr(ours.protocol, name) == getattr(library.protocol, name), name
    errors = [side.protocol.parser_exc for side in sides]
    assert (type(errors[0]), str(errors[0])) == (type(errors[1]), str(errors[1]))


TEXTS = st.one_of(
    st.binary(max_size=12), st.sampled_from([b"", b'{"type":"x"}', b"a" * 125, b"b" * 126, b"c" * 300, b"d" * 301, b"\xff"]),
    st.integers(COLLECT_BYTES - 12, COLLECT_BYTES + 2).map(lambda n: b"e" * n),
)  # fmt: skip
SMALL = st.binary(max_size=8)


def fragments(opcode: int, parts: list[bytes], between: list[bytes]) -> bytes:
    out = b""
    for i, part in enumerate(parts):
        out += frame(0 if i else opcode, part, fin=i == len(parts) - 1)
        if i < len(between) and i < len(parts) - 1:
            out += between[i]
    return out


CONTROL = st.builds(frame, st.sampled_from([9, 10]), st.one_of(SMALL, st.just(b"p" * 125)))
GOOD = st.one_of(
    st.builds(frame, st.just(1), TEXTS),
    st.builds(frame, st.just(1), TEXTS),
    st.builds(frame, st.just(2), SMALL),
    CONTROL,
    st.builds(
        fragments, st.sampled_from([1, 2]), st.lists(TEXTS, min_size=2, max_size=4), st.lists(CONTROL, max_size=3)
    ),
    st.builds(lambda payload, wide: frame(1, payload, wide=wide), SMALL, st.sampled_from([2, 8])),
)
BAD = st.one_of(
    st.builds(lambda payload: frame(1, payload, mask=True), SMALL),
    st.builds(lambda payload, rsv: frame(1, payload, rsv=rsv), SMALL, st.integers(1, 7)),
    st.builds(frame, st.sampled_from([3, 5, 7, 11, 15]), SMALL),
    st.just(frame(9, b"p" * 126)),
    st.just(frame(9, b"p", fin=False)),
    st.builds(frame, st.just(0), SMALL),
    st.builds(
        lambda parts: fragments(1, parts, [frame(1, b"inside"), frame(2, b"inside")]),
        st.lists(SMALL, min_size=3, max_size=3),
    ),
    st.builds(
        lambda code, reason: frame(8, struct.pack("!H", code) + reason),
        st.sampled_from([1000, 1001, 1005, 1006, 1011, 999, 3000, 5000]),
        st.sampled_from([b"", b"bye", b"\xff"]),
    ),
    st.sampled_from(
        [frame(8, b""), frame(8, b"\x03"), frame(1, b"", claim=1 << 40), frame(1, b"", claim=(1 << 63) + 5, wide=8)]
    ),
    st.builds(lambda payload: frame(1, payload, fin=False), SMALL),
)
SCRIPTS = st.lists(st.one_of(GOOD, GOOD, GOOD, BAD), max_size=14).map(b"".join)
CUTS = st.lists(st.integers(0, 1 << 16), max_size=24)


@settings(max_examples=400, deadline=None)
@given(SCRIPTS, CUTS, st.sampled_from(LIMITS), st.booleans(), st.integers(-1, 6), st.integers(0, 40))
def test_any_stream_in_any_pieces(
    stream: bytes, cuts: list[int], limit: int, eof: bool, close_at: int, short: int
) -> None:
    compare(stream[: len(stream) - short] if short < 8 else stream, cuts, limit, eof=eof, close_at=close_at)


@settings(max_examples=60, deadline=None)
@given(SCRIPTS, st.sampled_from(LIMITS))
def test_any_stream_byte_by_byte(stream: bytes, limit: int) -> None:
    stream = stream[:600]
    compare(stream, list(range(len(stream))), limit, eof=True)


def deflated(payload: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return (squeeze.compress(payload) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


COMPRESSED = st.one_of(
    st.builds(lambda payload: frame(1, deflated(payload), rsv=4), TEXTS),
    st.builds(
        lambda payload, at: frame(1, deflated(payload)[:at], rsv=4, fin=False) + frame(0, deflated(payload)[at:]),
        TEXTS,
        st.integers(0, 5),
    ),
    st.builds(lambda payload: frame(1, payload, rsv=4), SMALL),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.one_of(COMPRESSED, COMPRESSED, GOOD), max_size=10).map(b"".join), CUTS, st.sampled_from(LIMITS))
def test_compressed_messages_are_left_to_the_library(stream: bytes, cuts: list[int], limit: int) -> None:
    compare(stream, cuts, limit, eof=True, deflate=True)


def test_plain_text_never_reaches_the_library() -> None:
    """What makes it fast: remove the short cut and this fails."""
    ours = Ours(1 << 20)
    ours.protocol.receive_data = lambda data: pytest.fail("asked the library")  # type: ignore[method-assign]
    stream = frame(1, b"one") + frame(1, b"x" * 70_000) + frame(1, b"")
    ours.feed(stream)
    assert [len(raw) for _, raw in ours.seen] == [3, 70_000, 0]


def test_a_long_incomplete_frame_is_not_collected() -> None:
    ours = Ours(1 << 24)
    stream = frame(1, b"x" * 1_000_000)
    for at in range(0, len(stream), 1448):
        ours.feed(stream[at : at + 1448])
    assert [len(raw) for _, raw in ours.seen] == [1_000_000]


def test_a_listener_that_closes_in_the_middle_of_a_chunk_ends_the_fast_way() -> None:
    told: list[bytes] = []

    def hear(raws: Sequence[bytes], *_: object) -> None:
        told.extend(raws)
        if b"a" in raws:
            splitter.close(1000, "enough")

    protocol = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN)
    splitter = Splitter(protocol, 1 << 20, hear, lambda *_: None)
    assert splitter.feed(frame(1, b"a") + frame(1, b"b") + frame(8, struct.pack("!H", 1000)), 0)
    assert told == [b"a", b"b"]  # what was on its way is still heard, by way of the library
    assert protocol.close_rcvd is not None
    assert protocol.close_sent is not None


def test_it_says_whether_the_library_was_asked() -> None:
    splitter = Splitter(
        ClientProtocol(parse_uri("ws://localhost/"), state=OPEN), 1 << 20, lambda *_: None, lambda *_: None
    )
    assert not splitter.feed(frame(1, b"a") + frame(1, b"b")[:2], 0)
    assert not splitter.feed(frame(1, b"b")[2:], 0)
    assert splitter.feed(frame(9, b"ping"), 0)
    assert splitter.feed(frame(1, b"a") + frame(9, b"ping")[:3], 0)


def test_a_close_in_the_middle_of_a_chunk_ends_the_fast_way() -> None:
    ours = Ours(1 << 20)
    ours.feed(frame(1, b"a") + frame(8, struct.pack("!H", 1000)) + frame(1, b"b"))
    assert ours.seen == [("TEXT", b"a")]
    assert ours.protocol.close_rcvd is not None
    assert ours.protocol.state is not State.OPEN


@given(
    payload=st.one_of(st.binary(max_size=300), st.sampled_from([125, 126, 65_535, 65_536]).map(bytes)),
    key=st.binary(min_size=4, max_size=4),
)
def test_a_masked_frame_is_the_one_that_the_library_reads(payload: bytes, key: bytes) -> None:
    server = ServerProtocol(state=OPEN, max_size=None)
    server.receive_data(masked_text(payload, key))
    (frame,) = server.events_received()
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, payload)
    assert server.parser_exc is None
