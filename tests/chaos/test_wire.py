"""One blocking connection: its identity is the dial's, and each way to fail has its own word."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading

import pytest
import trustme
from websockets.exceptions import InvalidStatus
from websockets.sync.server import serve

from chaos.wire import connect, try_new, upgrade
from loadtests.dial import Dial

pytestmark = pytest.mark.live


@contextlib.contextmanager
def one_client(treat):
    """A raw server that treats its first client in one way."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            client, _ = server.accept()
            with client:
                treat(client)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield Dial(
            server.getsockname(), "ws://chat.test/ws?token=secret", "http://chat.test", (("X-User", "ann"),), ("jwt.a",)
        )
        thread.join(2)


def reset(client):
    client.recv(100)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close(client):
    client.recv(10_000)


def answer(client):
    client.recv(10_000)
    client.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")


@pytest.mark.parametrize(("treat", "outcome"), [(answer, "answered"), (close, "eof"), (reset, "reset")])
def test_a_new_connection_ends_in_one_word(treat, outcome):
    with one_client(treat) as dial:
        assert try_new(dial) == outcome


def test_nobody_there_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    assert try_new(Dial(address, "ws://chat.test/", "http://chat.test")) == "refused"


def test_a_server_that_never_answers_is_silent():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert try_new(Dial(server.getsockname(), "ws://chat.test/", "http://chat.test")) == "silent"


def test_no_token_travels_with_a_trial():
    seen = []
    with one_client(lambda client: seen.append(client.recv(10_000))) as dial:
        try_new(dial)
    assert seen[0].startswith(b"GET /ws HTTP/1.1\r\nHost: chat.test\r\n")
    assert b"secret" not in seen[0]


def test_the_upgrade_shows_the_targets_identity_and_not_the_address():
    seen = []
    with one_client(
        lambda client: (seen.append(client.recv(10_000)), client.sendall(b"HTTP/1.1 403 No\r\n\r\n"))
    ) as dial:
        sock = connect(dial, 2)
        with sock, pytest.raises(InvalidStatus, match="403"):
            upgrade(dial, sock, 2)
    request = seen[0].decode().lower()
    for line in (
        "get /ws?token=secret ",
        "host: chat.test",
        "origin: http://chat.test",
        "x-user: ann",
        "sec-websocket-protocol: jwt.a",
    ):
        assert line in request


def test_a_checked_certificate_works_through_another_address(tmp_path):
    authority = trustme.CA()
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("chat.test").configure_cert(served)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    server = serve(lambda connection: [connection.send(m) for m in connection], "127.0.0.1", 0, ssl=served)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    dial = Dial(
        server.socket.getsockname(), "wss://chat.test/ws", "https://chat.test", tls=client, server_name="chat.test"
    )
    with connect(dial, 2) as sock:
        assert upgrade(dial, sock, 2).state.name == "OPEN"
    assert try_new(dial) == "answered"
    server.shutdown()
    thread.join()
