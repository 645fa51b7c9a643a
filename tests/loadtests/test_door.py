"""The calls before a connection, against a real HTTP server: what they take, when they are made, how they fail."""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import gevent.ssl
import pytest

from loadtests import door as module
from loadtests.assignment import secret_pattern
from loadtests.contract.schema import Auth, Call, Endpoint
from loadtests.dial import Dial, Target, tls_context
from loadtests.door import Door
from loadtests.secrets import Secrets
from loadtests.transport import DialError
from tests.loadtests.servers import Authority, raw_server, read_request

SECRET = "tok-0123456789"


class Desk(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str, str, bytes]]] = []
    answer: ClassVar[tuple[int, bytes]] = (200, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.path, self.headers["Host"], self.headers.get("Authorization", ""), body))
        status, text = self.answer
        text = text.replace(b"NUMBER", str(len(self.asked)).encode())
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Desk.asked.clear()
    Desk.answer = 201, b'{"ticket": {"id": "tick-NUMBER"}}'
    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def door(port: int, *calls: Call, known: Secrets | None = None, endpoint: Endpoint | None = None) -> Door:
    usual = Endpoint(path="/ws", query={"ticket": "{ticket}"})
    target = Target.parse("ws://chat.test:9", endpoint or usual)

    def dial_of(values: Mapping[str, str]) -> Dial:
        return target.dial(Auth(), None, None, values).via(("127.0.0.1", port))

    return Door(dial_of, calls, {"token": SECRET}, known=known)


TICKET = Call(
    path="/ticket", headers={"Authorization": "Bearer {token}"}, body={"ttl": 30}, take={"ticket": "ticket.id"}
)


def test_what_an_answer_holds_fills_the_endpoint(port: int) -> None:
    values: dict[str, str] = {}
    dial = door(port, TICKET).open(values, 5)
    assert values == {"ticket": "tick-1"}
    assert dial.uri.endswith("/ws?ticket=tick-1")
    path, host, authorization, body = Desk.asked[0]
    assert (path, host, authorization) == ("/ticket", "chat.test:9", f"Bearer {SECRET}")
    assert json.loads(body) == {"ttl": 30}


def test_a_single_use_ticket_is_fetched_again_and_a_thread_is_not(port: int) -> None:
    thread = Call(path="/thread", take={"thread": "ticket.id"}, each="session")
    one, values = door(port, thread, TICKET), {}
    one.open(values, 5)
    one.open(values, 5)
    assert [path for path, *_ in Desk.asked] == ["/thread", "/ticket", "/ticket"]
    assert values == {"thread": "tick-1", "ticket": "tick-3"}


@pytest.mark.parametrize(
    ("answer", "code", "fatal", "words"),
    [
        ((401, b"no"), 401, True, "401"),
        ((503, b"busy"), 503, False, "503"),
        ((200, b'{"other": 1}'), 200, False, "ticket.id"),
        ((200, b"<html>"), 200, False, "JSON"),
    ],
)
def test_an_answer_that_will_not_do_is_an_error_with_its_status(
    port: int,
    answer: tuple[int, bytes],
    code: int,
    fatal: bool,
    words: str,
) -> None:
    Desk.answer = answer
    with pytest.raises(DialError) as caught:
        door(port, TICKET).open({}, 5)
    error = caught.value
    assert (error.step, error.code, error.fatal) == ("prelude", code, fatal)
    assert words in error.text
    assert "POST /ticket" in error.text


def test_an_error_shows_neither_token_nor_the_answers_words(port: int) -> None:
    Desk.answer = 500, f"your token {SECRET} and ticket abc".encode()
    with pytest.raises(DialError) as caught:
        door(port, TICKET).open({}, 5)
    assert SECRET not in str(caught.value)
    assert "abc" not in str(caught.value)


def test_nobody_there_is_a_refused_connection(port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(DialError) as caught:
            door(taken.getsockname()[1], TICKET).open({}, 2)
    assert caught.value.step == "prelude"
    assert caught.value.code < 0


def test_what_speaks_no_http_is_said_so(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            one, _ = server.accept()
            one.recv(1000)
            one.sendall(b"220 mail.test ESMTP\r\n\r\n")
            one.close()

        thread = threading.Thread(target=talk)
        thread.start()
        with pytest.raises(DialError) as caught:
            door(server.getsockname()[1], TICKET).open({}, 2)
        thread.join()
    assert caught.value.step == "prelude"


def test_without_calls_the_way_in_is_always_the_same(port: int) -> None:
    one = door(port)
    assert one.open({}, 1) is one.open({}, 1)
    assert Desk.asked == []


def test_the_way_is_asked_for_at_each_connection_and_calls_take_it_too(port: int) -> None:
    target = Target.parse("ws://chat.test:9", Endpoint(path="/ws", query={"ticket": "{ticket}"}))
    ways: list[tuple[str, int] | None] = [("127.0.0.1", port), ("127.0.0.1", port), ("127.0.0.2", 7), None]
    call = Call(path="/ticket", take={"ticket": "ticket.id"}, each="session")
    asks = Door(lambda values: target.dial(Auth(), None, None, values), [call], via=lambda: ways.pop(0))
    values: dict[str, str] = {}
    addresses = [asks.open(values, 5).address for _ in range(3)]
    assert addresses == [("127.0.0.1", port), ("127.0.0.2", 7), ("chat.test", 9)]
    fixed = Door(lambda _: target.dial(Auth(), None, None), via=lambda: ("127.0.0.1", 5))
    assert (fixed.open({}, 5).address, fixed.open({}, 5).netloc) == (("127.0.0.1", 5), "chat.test:9")


def test_what_is_taken_is_secret_from_then_on_and_a_thread_is_not(port: int) -> None:
    known = Secrets()
    thread = Call(path="/thread", take={"thread": "ticket.id"}, each="session")
    one, values = door(port, thread, TICKET, known=known), {}
    one.open(values, 5)
    one.open(values, 5)
    assert known.redact("tick-1, tick-2, tick-3") == "tick-1, [redacted], [redacted]"


URL = Call(path="/session", take={"url": "url"})


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ws://other.test/s?key=abcdefgh12345", "URL on other.test"),
        ("ws://[::1/s?key=abcdefgh12345", "cannot be read"),
        ("ws://chat.test:9/s?key=abcdefgh12345 HTTP/1.1", "cannot be read"),
        ("ws://tick-abcdefgh12345/", "URL on"),
    ],
)
def test_a_session_on_another_host_or_none_is_an_error_of_this_attempt(port: int, url: str, words: str) -> None:
    Desk.answer = 200, json.dumps({"url": url}).encode()
    known = Secrets(secret_pattern("tick-abcdefgh12345"))
    with pytest.raises(DialError) as caught:
        door(port, URL, known=known, endpoint=Endpoint(path="{url}")).open({}, 5)
    assert (caught.value.step, caught.value.code, caught.value.fatal) == ("prelude", 0, False)
    assert words in caught.value.text
    assert "abcdefgh12345" not in str(caught.value)


def test_a_description_that_cannot_be_made_is_an_error_of_this_attempt(port: int) -> None:
    target = Target.parse("ws://chat.test", Endpoint())

    def dial_of(values: Mapping[str, str]) -> Dial:
        if values:
            raise ValueError(values["ticket"])
        return target.dial(Auth(), None, None).via(("127.0.0.1", port))

    with pytest.raises(DialError) as caught:
        Door(dial_of, [TICKET], {"token": SECRET}).open({}, 5)
    assert (caught.value.step, caught.value.code) == ("prelude", 0)
    assert "tick" not in str(caught.value)


def endless(head: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    def answer(one: socket.socket) -> None:
        read_request(one)
        with contextlib.suppress(OSError):
            one.sendall(head)
            while True:
                one.sendall(piece)

    return answer


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (OK + b"\r\n", b" " * 4096),
        (OK + b"Content-Length: 999999999\r\n\r\n", b" " * 4096),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 500),
        (OK + b"X: ", b"x" * 4096),
        (OK, b"X: " + b"x" * 4096 + b"\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    ],
)
def test_an_answer_without_an_end_is_refused(head: bytes, piece: bytes) -> None:
    began = time.monotonic()
    with raw_server(endless(head, piece)) as port, pytest.raises(DialError) as caught:
        door(port, TICKET).open({}, 10)
    assert caught.value.step == "prelude"
    assert time.monotonic() - began < 5


def test_an_answer_longer_than_the_cap_is_refused_and_one_of_just_that_length_is_not(port: int) -> None:
    begin = b'{"ticket": {"id": "tick"}}'
    Desk.answer = 200, begin.ljust(module.MOST_BODY_BYTES)
    assert door(port, TICKET).open({}, 5)
    Desk.answer = 200, begin.ljust(module.MOST_BODY_BYTES + 1)
    with pytest.raises(DialError, match="longer than 65536 bytes"):
        door(port, TICKET).open({}, 5)
    status, text = door(port).fetch(TICKET, {}, 5)  # of which nothing is taken
    assert (status, len(text)) == (200, module.MOST_BODY_BYTES)


def test_an_answer_that_drips_is_given_up_in_time() -> None:
    gone = threading.Event()

    def drip(one: socket.socket) -> None:
        read_request(one)
        with contextlib.suppress(OSError):
            one.sendall(OK + b"\r\n")
            while not gone.wait(0.02):
                one.sendall(b" ")

    began = time.monotonic()
    with raw_server(drip) as port:
        with pytest.raises(DialError) as caught:
            door(port, TICKET).open({}, 0.3)
        gone.set()
    assert caught.value.code == -errno.ETIMEDOUT
    assert time.monotonic() - began < 3


def test_over_tls_the_certificates_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, made = Authority(tmp_path), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    server.socket = authority.server("chat.test").wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    target = Target.parse("wss://chat.test", Endpoint())
    tls = tls_context("wss", authority.file)
    create = gevent.ssl.create_default_context
    monkeypatch.setattr(gevent.ssl, "create_default_context", lambda **how: made.append(how) or create(**how))
    Desk.answer = 200, b'{"ticket": {"id": "tick-1"}}'

    def dial_of(values: Mapping[str, str]) -> Dial:
        return target.dial(Auth(), None, tls, values).via(("127.0.0.1", server.server_address[1]))

    one, values = Door(dial_of, [TICKET], {"token": SECRET}, str(authority.file)), {}
    try:
        one.open(values, 5)
        one.open(values, 5)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert values == {"ticket": "tick-1"}
    assert made == [{"cafile": str(authority.file)}]


def test_any_other_call_goes_the_same_way_and_gives_what_was_answered_whatever_that_is(port: int) -> None:
    Desk.answer = 404, "nothing hére".encode()
    call = Call(path="/threads/{thread}", headers={"Authorization": "Bearer {token}"}, body={"of": "{thread}"})
    assert door(port).fetch(call, {"thread": "a b"}, 5) == (404, "nothing hére")
    path, host, authorization, body = Desk.asked[0]
    assert (path, host, authorization, json.loads(body)) == (
        "/threads/a%20b",
        "chat.test:9",
        f"Bearer {SECRET}",
        {"of": "a b"},
    )


def test_any_other_call_without_an_answer_is_an_error_that_shows_no_token() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(DialError) as caught:
            door(taken.getsockname()[1]).fetch(Call(path="/{token}", method="GET"), {}, 2)
    assert caught.value.code < 0
    assert SECRET not in caught.value.text
