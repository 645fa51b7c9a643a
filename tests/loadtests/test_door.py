"""The calls before a connection, against a real HTTP server: what they take, when they are made, how they fail."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from loadtests.contract.schema import Auth, Call, Endpoint
from loadtests.dial import Dial, Target
from loadtests.door import Door
from loadtests.transport import DialError

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


def door(port: int, *calls: Call) -> Door:
    target = Target.parse("ws://chat.test:9", Endpoint(path="/ws", query={"ticket": "{ticket}"}))

    def dial_of(values: Mapping[str, str]) -> Dial:
        return target.dial(Auth(), None, None, values).via(("127.0.0.1", port))

    return Door(dial_of, calls, {"token": SECRET})


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
