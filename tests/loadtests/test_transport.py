"""One WebSocket over real sockets: every way it opens, carries, breaks and ends, and that nothing of it stays."""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import select
import socket
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import psutil
import pytest
from websockets.asyncio.server import ServerConnection
from websockets.sync.server import ServerConnection as Blocking
from websockets.sync.server import serve

from loadtests import transport
from loadtests.contract.schema import Auth, Endpoint
from loadtests.dial import Dial, Target, tls_context
from loadtests.history import ABNORMAL, OUR_ERROR
from loadtests.transport import Connection, DialError
from tests.loadtests.servers import (
    WITHIN_S,
    Authority,
    closed_port,
    in_thread,
    raw_server,
    read_request,
    until,
    until_closed,
    upgrade,
)  # fmt: skip

pytestmark = pytest.mark.live
TIMEOUT_S = 5.0
HERD = 20


class Heard:
    """A connection and all that it told."""

    def __init__(self, dial: Dial) -> None:
        self.texts: list[bytes] = []
        self.binaries: list[bytes] = []
        self.told: list[str] = []
        self.closes: list[tuple[int, str]] = []
        self.connection = Connection(
            dial,
            lambda raws, at_ns, _: self._texts(raws),
            lambda raw, _: self.binaries.append(raw),
            self._close,
            self._open,
        )

    def _open(self, at_ns: int) -> None:
        self.told.append("open")

    def _texts(self, raws: Sequence[bytes]) -> None:
        self.told += ["text"] * len(raws)
        self.texts += raws

    def _close(self, code: int, reason: str, at_ns: int) -> None:
        self.told.append("close")
        self.closes.append((code, reason))


def dial_to(
    port: int, path: str = "/", *, scheme: str = "ws", ca: Path | None = None, host: str = "localhost", **auth: Any
) -> Dial:
    target = Target.parse(f"{scheme}://{host}:{port}{path}", Endpoint(), f"{host}=127.0.0.1")
    return target.dial(Auth(**auth), "hush" if auth else None, tls_context(scheme, ca))


def connected(port: int, path: str = "/", **how: Any) -> Heard:
    heard = Heard(dial_to(port, path, **how))
    heard.connection.connect(TIMEOUT_S)
    return heard


def failed(port: int, timeout_s: float = TIMEOUT_S, address: str = "127.0.0.1", **how: Any) -> DialError:
    heard = Heard(dial_to(port, **how).via((address, port)))
    with pytest.raises(DialError) as caught:
        heard.connection.connect(timeout_s)
    assert heard.told == []
    assert not heard.connection.is_open
    return caught.value


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    gevent.get_hub()
    before = psutil.Process().num_fds()
    yield
    until(lambda: psutil.Process().num_fds() <= before, "the release of all descriptors")


async def serve_by_path(one: ServerConnection) -> None:
    """What the path asks for."""
    assert one.request
    word, _, rest = one.request.path[1:].partition("/")
    if word == "echo":
        async for message in one:
            await one.send(message)
    elif word == "request":
        await one.send(json.dumps([[name, value] for name, value in one.request.headers.raw_items()]))
        await one.wait_closed()
    elif word == "close":
        await one.close(int(rest), "as told")
    elif word == "abort":
        await one.send("last words")
        one.transport.abort()
    elif word == "big":
        await one.send("x" * int(rest))
        await one.wait_closed()
    elif word == "fragments":
        await one.send(["one ", "message ", "in pieces"])
        await one.send([b"\x00", b"\x01"])
        await one.wait_closed()
    elif word == "ping":
        await (await one.ping())
        await one.send("ponged")
        await one.wait_closed()
    elif word == "wait":
        await one.wait_closed()


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with in_thread(serve_by_path) as port:
        yield port


# -- opening -----------------------------------------------------------------------------------------------------------


def test_it_says_who_it_is_and_offers_no_compression(server: int) -> None:
    heard = connected(server, "/request", mode="header", name="X-Key", value="k {token}")
    until(lambda: heard.texts)
    headers = {name.lower(): value for name, value in json.loads(heard.texts[0])}
    heard.connection.close()
    assert (headers["host"], headers["origin"]) == (f"localhost:{server}", f"http://localhost:{server}")
    assert headers["x-key"] == "k hush"
    assert "sec-websocket-extensions" not in headers


def test_what_a_server_compresses_is_heard_as_it_was_said() -> None:
    """Only where a contract says so is it offered; fragments and plain text beside it are as ever."""
    long = "what was said " * 400

    def answer(connection: Blocking) -> None:
        connection.send(json.dumps([one.name for one in connection.protocol.extensions]))
        for message in connection:
            connection.send([long, str(message)])
            connection.send(str(message))

    with serve(answer, "127.0.0.1", 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        target = Target.parse(f"ws://127.0.0.1:{running.socket.getsockname()[1]}/", Endpoint(deflate=True))
        heard = Heard(target.dial(Auth(), None, None))
        heard.connection.connect(TIMEOUT_S)
        heard.connection.send_text(b"hello")
        until(lambda: len(heard.texts) == 3)
        heard.connection.close()
        running.shutdown()
    assert heard.texts == [b'["permessage-deflate"]', long.encode() + b"hello", b"hello"]


def test_a_subprotocol_carries_the_token(server: int) -> None:
    heard = connected(server, "/request", mode="subprotocol", value="jwt.{token}")
    until(lambda: heard.texts)
    assert ["Sec-WebSocket-Protocol", "jwt.hush"] in json.loads(heard.texts[0])
    heard.connection.close()


def test_the_steps_of_a_connect_are_timed_in_their_order(server: int) -> None:
    timing = connected(server, "/wait").connection.timing
    assert 0 < timing.resolved <= timing.connected <= timing.upgraded
    assert timing.secured == 0


@pytest.mark.parametrize("at_once", [True, False])
def test_a_frame_right_behind_the_answer_comes_after_the_opening(at_once: bool) -> None:
    def answer(one: socket.socket) -> None:
        upgrade(one, b"\x81\x02hi", at_once)
        until_closed(one)

    with raw_server(answer) as port:
        heard = connected(port)
        until(lambda: heard.texts)
        assert (heard.told, heard.texts) == (["open", "text"], [b"hi"])
        heard.connection.abort()


@pytest.mark.parametrize(("frame", "code"), [(b"\x88\x02\x03\xf3", 1011), (b"\x83\x00", ABNORMAL)])
def test_a_close_right_behind_the_answer_is_a_close_and_no_failed_dial(frame: bytes, code: int) -> None:
    def answer(one: socket.socket) -> None:
        upgrade(one, frame)
        until_closed(one)

    with raw_server(answer) as port:
        heard = connected(port)
        assert heard.told == ["open", "close"]
        assert heard.closes[0][0] == code
        assert not heard.connection.is_open


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.77"])
def test_it_connects_from_the_address_that_it_is_told(source: str) -> None:
    came: list[str] = []

    async def look(one: ServerConnection) -> None:
        came.append(one.remote_address[0])
        await one.wait_closed()

    with in_thread(look) as port:
        heard = Heard(replace(dial_to(port), source=source))
        heard.connection.connect(TIMEOUT_S)
        until(lambda: came, "the server's look")
        heard.connection.abort()
    assert came == [source]


def test_it_has_as_much_room_for_what_is_unread_as_it_is_told() -> None:
    with in_thread(ServerConnection.wait_closed) as port:
        heard = Heard(replace(dial_to(port), receive_buffer_bytes=8192))
        heard.connection.connect(TIMEOUT_S)
        with heard.connection.detach() as left:
            room_bytes = left.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert room_bytes == 2 * 8192  # the kernel doubles it, for its own use


async def _talk_on(one: ServerConnection) -> None:
    async for text in one:
        await one.send(text)


async def _go_away(one: ServerConnection) -> None:
    await one.close(1001, "going away")


async def _break_off(one: ServerConnection) -> None:
    one.transport.abort()


@pytest.mark.parametrize(
    ("server_does", "end"),
    [(_talk_on, Connection.close), (_talk_on, Connection.abort), (_go_away, None), (_break_off, None), (None, None)],
    ids=["closed", "aborted", "sent away", "broken", "refused"],
)
def test_what_is_over_is_freed_without_the_collector(server_does: Any, end: Any) -> None:
    def seen(port: int) -> list[Any]:
        connection = Connection(dial_to(port), *[lambda *_: None] * 4)
        with contextlib.suppress(DialError):
            connection.connect(TIMEOUT_S)
        if end is not None:
            end(connection)
        until(lambda: not connection.is_open, "the end")
        return [weakref.ref(connection), weakref.ref(connection._protocol)]

    gc.disable()
    try:
        with closed_port() if server_does is None else in_thread(server_does) as port:
            left = seen(port)
            until(lambda: not any(one() for one in left), "its memory to be free")
    finally:
        gc.enable()


def test_an_address_that_is_not_ours_is_a_failed_dial(server: int) -> None:
    heard = Heard(replace(dial_to(server), source="192.0.2.1"))
    with no_descriptor_left(), pytest.raises(DialError) as caught:
        heard.connection.connect(TIMEOUT_S)
    assert (caught.value.step, caught.value.code) == ("tcp", -errno.EADDRNOTAVAIL)


def test_refused() -> None:
    with closed_port() as port, no_descriptor_left():
        error = failed(port)
    assert (error.step, error.code) == ("tcp", -errno.ECONNREFUSED)


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
def test_a_host_that_is_no_name_is_a_failed_dial_and_no_crash(host: str) -> None:
    heard = Heard(dial_to(1, host="localhost").via((host, 1)))
    with pytest.raises(DialError) as caught:
        heard.connection.connect(TIMEOUT_S)
    assert caught.value.step == "dns"


@pytest.mark.parametrize("known", [True, False])
def test_a_herd_asks_for_a_name_once(monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    asked: list[str] = []
    there: list[int] = []

    def come(n: int) -> DialError:
        there.append(n)
        return failed(port, address="herd.example")

    def slowly(host: str, *_: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        until(lambda: len(there) == HERD, "the whole herd")
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(transport.gevent.socket, "getaddrinfo", slowly)
    monkeypatch.setattr(transport, "_resolved", {})
    with closed_port() as port:
        herd = [gevent.spawn(come, n) for n in range(HERD)]
        gevent.joinall(herd, raise_error=True)
    assert asked == ["herd.example"]
    assert {one.value.step for one in herd} == {"tcp" if known else "dns"}


def test_an_address_in_figures_needs_no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport.gevent.socket, "getaddrinfo", None)
    monkeypatch.setattr(transport, "_resolved", {})
    with closed_port() as port:
        assert failed(port).step == "tcp"


def replies(answer: bytes) -> Callable[[socket.socket], None]:
    def reply(one: socket.socket) -> None:
        read_request(one)
        one.sendall(answer)

    return reply


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nnowhere", 404, "HTTP 404 Not Found: nowhere"),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 401, "HTTP 401 Unauthorized"),
        (b"HTTP/1.1 503 Busy\r\n\r\nuntil the end", 503, "HTTP 503 Busy: until the end"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000, 404, "HTTP 404 Not Found: xxx"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", 0, "no WebSocket upgrade"),
        (b"\x00\xff\xfe\x00" * 50, 0, "no WebSocket upgrade"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 0, "no WebSocket upgrade"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", 0, "no WebSocket upgrade"),
        (b"", 0, "no WebSocket upgrade"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_upgrade_is_told_as_it_was(answer: bytes, code: int, words: str) -> None:
    with raw_server(replies(answer)) as port, no_descriptor_left():
        error = failed(port)
    assert (error.step, error.code) == ("upgrade", code)
    assert words in error.text
    assert len(error.text) < 4500


def test_a_refusal_in_pieces_is_told_whole() -> None:
    """Head and body in packets of their own, as most HTTP servers send them."""
    pieces = [b"HTTP/1.1 404 Not Found\r\nContent-Le", b"ngth: 7\r\n\r\n", b"now", b"here"]

    def in_pieces(one: socket.socket) -> None:
        one.recv(65_536)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            one.sendall(piece)
            one.settimeout(0.05)  # nothing will come: it is the pause that keeps the packets apart
            with contextlib.suppress(TimeoutError):
                one.recv(1)

    with raw_server(in_pieces) as port, no_descriptor_left():
        error = failed(port)
    assert (error.step, error.code, error.text) == ("upgrade", 404, "HTTP 404 Not Found: nowhere")


@pytest.mark.parametrize(("scheme", "step"), [("ws", "upgrade"), ("wss", "tls")])
def test_a_server_that_never_answers_is_waited_for_no_longer_than_asked(tmp_path: Path, scheme: str, step: str) -> None:
    with raw_server(until_closed) as port, no_descriptor_left():
        began = monotonic()
        error = failed(port, 0.2, scheme=scheme, ca=Authority(tmp_path).file)
        assert 0.15 < monotonic() - began < 2
    assert (error.step, error.code) == (step, -errno.ETIMEDOUT)


# -- TLS ---------------------------------------------------------------------------------------------------------------


def test_an_answer_that_comes_together_with_the_timer_counts(server: int) -> None:
    """A loop that stalled meets both at once; who gave up then left a session that was told to be open."""
    heard = Heard(dial_to(server, "/wait"))
    connection = heard.connection
    send, limit_s = connection._send_pending, 1.0
    until = time.monotonic() + limit_s

    def stall() -> None:
        select.select([connection._socket], [], [], TIMEOUT_S)
        while time.monotonic() < until:
            pass

    def send_and_stall() -> None:
        send()
        gevent.spawn(stall)

    connection._send_pending = send_and_stall  # type: ignore[method-assign]
    connection.connect(limit_s)
    assert heard.told == ["open"], heard.closes
    assert connection.is_open
    connection.abort()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_over_tls_it_carries_everything(authority: Authority) -> None:
    with in_thread(serve_by_path, tls=authority.server("localhost")) as port, no_descriptor_left():
        heard = connected(port, "/echo", scheme="wss", ca=authority.file)
        assert heard.connection.timing.secured > 0
        big = b"z" * 3_000_000
        heard.connection.send_text(b"hello")
        heard.connection.send_text(big)
        until(lambda: len(heard.texts) == 2)
        assert heard.texts == [b"hello", big]
        heard.connection.close()


def test_over_tls_a_close_is_heard(authority: Authority) -> None:
    with in_thread(serve_by_path, tls=authority.server("localhost")) as port:
        heard = connected(port, "/close/4001", scheme="wss", ca=authority.file)
        until(lambda: heard.closes)
        assert heard.closes == [(4001, "as told")]


def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    with in_thread(serve_by_path, tls=authority.server("other.example")) as port, no_descriptor_left():
        error = failed(port, scheme="wss", ca=authority.file)
    assert (error.step, error.code) == ("tls", 0)
    assert error.text.startswith("certificate refused")
    assert error.fatal
    assert "localhost" in error.text


def test_a_certificate_of_another_authority_is_refused(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = Authority(tmp_path_factory.mktemp("other"))
    with in_thread(serve_by_path, tls=stranger.server("localhost")) as port:
        error = failed(port, scheme="wss", ca=authority.file)
    assert (error.step, error.text.partition(":")[0]) == ("tls", "certificate refused")


def test_a_plain_server_behind_wss_is_told(authority: Authority) -> None:
    with raw_server(replies_at_once(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        error = failed(port, scheme="wss", ca=authority.file)
    assert (error.step, error.text.partition(":")[0]) == ("tls", "no TLS here")
    assert not error.fatal


def replies_at_once(answer: bytes) -> Callable[[socket.socket], None]:
    def reply(one: socket.socket) -> None:
        one.recv(10)
        one.sendall(answer)
        until_closed(one)

    return reply


# -- carrying ----------------------------------------------------------------------------------------------------------


def test_texts_come_back_in_order(server: int) -> None:
    heard = connected(server, "/echo")
    sent = [f"message {i}".encode() for i in range(300)]
    for one in sent:
        heard.connection.send_text(one)
    until(lambda: len(heard.texts) == len(sent))
    assert heard.texts == sent
    heard.connection.close()


def test_a_frame_of_five_megabytes(server: int) -> None:
    heard = connected(server, "/big/5000000")
    until(lambda: heard.texts)
    assert len(heard.texts[0]) == 5_000_000
    heard.connection.close()


def test_a_message_over_the_limit_ends_the_connection(server: int) -> None:
    heard = connected(server, f"/big/{transport.LIMIT_BYTES + 1}")
    until(lambda: heard.closes)
    assert heard.texts == []
    assert heard.closes[0][0] in {1009, ABNORMAL}
    assert "PayloadTooBig" in heard.closes[0][1] or "limit" in heard.closes[0][1]


def test_fragments_are_one_message(server: int) -> None:
    heard = connected(server, "/fragments")
    until(lambda: heard.binaries)
    assert (heard.texts, heard.binaries) == ([b"one message in pieces"], [b"\x00\x01"])
    heard.connection.close()


def test_a_ping_is_answered(server: int) -> None:
    heard = connected(server, "/ping")
    until(lambda: heard.texts)
    assert heard.texts == [b"ponged"]
    heard.connection.close()


def test_our_ping_goes_out() -> None:
    seen: list[bytes] = []

    def answer(one: socket.socket) -> None:
        upgrade(one)
        seen.append(one.recv(100))

    with raw_server(answer) as port:
        heard = connected(port)
        heard.connection.send_ping(b"p")
        until(lambda: seen)
        assert seen[0][:2] == b"\x89\x81"


def test_a_peer_that_does_not_read_never_blocks_us_and_gets_all_in_the_end() -> None:
    go_on = threading.Event()
    received: list[int] = []

    def answer(one: socket.socket) -> None:
        upgrade(one)
        go_on.wait(WITHIN_S)
        while more := one.recv(1 << 20):
            received.append(len(more))

    with raw_server(answer) as port:
        heard = connected(port)
        began = monotonic()
        for _ in range(20):
            heard.connection.send_text(b"m" * 1_000_000)
        assert monotonic() - began < 2
        assert heard.connection.is_open
        go_on.set()
        until(lambda: sum(received) >= 20 * 1_000_000)
        heard.connection.abort()
    assert sum(received) == 20 * (1_000_000 + 14)


# -- ending ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 4001])
def test_a_close_is_told_once_with_code_and_reason(server: int, code: int) -> None:
    heard = connected(server, f"/close/{code}")
    until(lambda: heard.closes)
    assert heard.told == ["open", "close"]
    assert heard.closes == [(code, "as told")]
    heard.connection.send_text(b"into the void")
    heard.connection.close()
    assert heard.told == ["open", "close"]


def test_a_close_without_a_code_is_told_as_one() -> None:
    def answer(one: socket.socket) -> None:
        upgrade(one, b"\x88\x00")
        until_closed(one)

    with raw_server(answer) as port:
        heard = connected(port)
        until(lambda: heard.closes)
        assert heard.closes[0][0] == 1005


def test_a_connection_that_is_cut_is_abnormal(server: int) -> None:
    heard = connected(server, "/abort")
    until(lambda: heard.closes)
    assert heard.closes[0][0] == ABNORMAL


def test_a_reset_is_abnormal() -> None:
    def answer(one: socket.socket) -> None:
        upgrade(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with raw_server(answer) as port:
        heard = connected(port)
        until(lambda: heard.closes)
    assert heard.closes == [(ABNORMAL, "ECONNRESET")]


@pytest.mark.parametrize("bad", [b"\xf1\x01x", b"\x81\x81\0\0\0\0x", b"\x83\x00", b"\x89\x7e\x00\x7e" + b"p" * 126])
def test_bytes_that_are_no_websocket_end_it_with_the_reason(bad: bytes) -> None:
    def answer(one: socket.socket) -> None:
        upgrade(one, b"\x81\x01a" + bad)
        until_closed(one)

    with raw_server(answer) as port, no_descriptor_left():
        heard = connected(port)
        until(lambda: heard.closes)
        assert heard.texts == [b"a"]
        assert heard.closes[0][0] in {1002, ABNORMAL}
        assert heard.closes[0][1]


def test_a_mistake_of_ours_while_reading_ends_the_connection_and_hangs_nobody(server: int) -> None:
    closes: list[tuple[int, str]] = []

    def mistake(raws: Any, *_: Any) -> None:
        raise LookupError(raws)

    def closed(code: int, reason: str, at_ns: int) -> None:
        closes.append((code, reason))

    connection = Connection(dial_to(server, "/big/3"), mistake, mistake, closed, lambda _: None)
    connection.connect(TIMEOUT_S)
    until(lambda: closes)
    assert closes == [(OUR_ERROR, "LookupError")]


def test_our_close_is_polite_and_bounded(server: int) -> None:
    heard = connected(server, "/echo")
    heard.connection.close(1000, "goodbye")
    assert not heard.connection.is_open
    assert heard.closes == [(1000, "goodbye")]


def test_our_close_waits_for_no_peer_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CLOSE_WAIT_S", 0.1)

    def answer(one: socket.socket) -> None:
        upgrade(one)
        until_closed(one)

    with raw_server(answer) as port, no_descriptor_left():
        heard = connected(port)
        began = monotonic()
        heard.connection.close()
        assert monotonic() - began < 1
        assert heard.told == ["open"]


def test_aborting_tells_nobody_and_can_be_done_twice(server: int) -> None:
    heard = connected(server, "/wait")
    heard.connection.abort()
    heard.connection.abort()
    heard.connection.send_text(b"x")
    heard.connection.send_ping(b"x")
    assert heard.told == ["open"]


def test_nothing_stays_of_two_hundred_connections(server: int) -> None:
    connected(server, "/echo").connection.close()
    with no_descriptor_left():
        for i in range(200):
            heard = connected(server, "/echo")
            heard.connection.abort() if i % 2 else heard.connection.close()


def test_a_reused_descriptor_does_not_hear_for_its_predecessor(server: int) -> None:
    first = connected(server, "/echo")
    first.connection.abort()
    second = connected(server, "/echo")
    second.connection.send_text(b"for the second")
    until(lambda: second.texts)
    assert first.texts == []
    second.connection.close()


# -- faults of our own side --------------------------------------------------------------------------------------------


def test_who_pauses_reads_nothing_and_misses_nothing(server: int) -> None:
    heard = connected(server, "/echo")
    heard.connection.pause(writing=False)
    heard.connection.send_text(b"said while deaf")
    until(lambda: heard.connection.unread_bytes > 0, "bytes in the kernel")
    gevent.sleep(0.02)
    assert heard.texts == []
    heard.connection.resume()
    heard.connection.resume()
    until(lambda: heard.texts)
    assert (heard.texts, heard.connection.unread_bytes) == ([b"said while deaf"], 0)
    heard.connection.close()


def test_who_is_asleep_writes_nothing_either_and_says_it_all_later(server: int) -> None:
    heard = connected(server, "/echo")
    heard.connection.pause(writing=True)
    for text in (b"one", b"two"):
        heard.connection.send_text(text)
    gevent.sleep(0.05)
    assert heard.connection.unread_bytes == 0
    heard.connection.resume()
    until(lambda: len(heard.texts) == 2)
    assert heard.texts == [b"one", b"two"]
    heard.connection.close()


def test_a_close_that_came_during_a_pause_is_told_afterwards(server: int) -> None:
    heard = connected(server, "/close/1008")
    heard.connection.pause(writing=True)
    gevent.sleep(0.05)
    told = list(heard.closes)
    heard.connection.resume()
    until(lambda: heard.closes)
    assert heard.closes == [(1008, "as told")]
    assert told in ([], heard.closes)


@pytest.mark.parametrize(("reset", "seen"), [(True, "ConnectionResetError"), (False, "")])
def test_the_other_side_of_an_abort_sees_a_reset_or_an_end(reset: bool, seen: str) -> None:
    ends: list[str] = []

    def answer(one: socket.socket) -> None:
        upgrade(one)
        try:
            ends.append("" if one.recv(1) == b"" else "data")
        except OSError as error:
            ends.append(type(error).__name__)

    with raw_server(answer) as port, no_descriptor_left():
        heard = connected(port)
        heard.connection.abort(reset=reset)
        until(lambda: ends)
    assert (ends, heard.told) == ([seen], ["open"])


def test_a_detached_socket_is_open_until_its_new_owner_closes_it() -> None:
    ends: list[bytes] = []

    def answer(one: socket.socket) -> None:
        upgrade(one)
        ends.append(one.recv(1))

    with raw_server(answer) as port, no_descriptor_left():
        heard = connected(port)
        left = heard.connection.detach()
        gevent.sleep(0.05)
        assert (ends, heard.connection.is_open, heard.connection.unread_bytes) == ([], False, 0)
        left.close()
        until(lambda: ends)
    assert (ends, heard.told) == ([b""], ["open"])
