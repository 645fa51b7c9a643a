"""Only who has the token is heard, and only what it said."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from loadtests.errors import ConfigError, RigError
from loadtests.hosts.wire import (
    LEAST_TOKEN,
    MOST_BYTES,
    PORT,
    TOKEN_VARIABLE,
    Link,
    address_of,
    answer,
    call,
    take_token,
)

TOKEN = b"a token of twenty-odd characters"
WAIT_S = 10.0


def met(there: Callable[[socket.socket], Link], token: bytes = TOKEN) -> tuple[Link, Link]:
    """A worker that calls, and who answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        calling = pool.submit(call, listening.getsockname(), token, WAIT_S)
        sock, _ = listening.accept()
        sock.settimeout(WAIT_S)
        try:
            answered = there(sock)
        except OSError:
            sock.close()
            calling.result()
            raise
        return calling.result(), answered


def test_both_hear_what_the_other_says() -> None:
    worker, master = met(lambda sock: answer(sock, TOKEN))
    for said in (b"", b"one", b"x" * MOST_BYTES):
        with ThreadPoolExecutor(1) as pool:  # a large frame does not fit into the way
            sending = pool.submit(worker.send, said)
            assert master.receive() == said
            sending.result()
        master.send(said[:3])
        assert worker.receive() == said[:3]
    worker.close()
    with pytest.raises(ConnectionError):
        master.receive()
    master.close()


def test_another_token_is_no_way_in_and_both_know_why() -> None:
    with pytest.raises(RigError, match=TOKEN_VARIABLE):
        met(lambda sock: answer(sock, TOKEN), token=b"something else entirely")


def test_who_does_not_prove_that_it_has_the_token_is_no_master() -> None:
    def impostor(sock: socket.socket) -> Link:
        sock.sendall(b"GNTLT\x001\n" + bytes(32))
        sock.recv(64)
        sock.sendall(bytes(32))
        return Link(sock, b"", "master")

    with pytest.raises(RigError, match="another"):
        met(impostor)


def test_a_web_server_is_no_master() -> None:
    def web(sock: socket.socket) -> Link:
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        return Link(sock, b"", "master")

    with pytest.raises(RigError, match="no master"):
        met(web)


@pytest.mark.parametrize("change", ["body", "tag", "again", "long"])
def test_what_was_changed_on_the_way_is_not_heard(change: str) -> None:
    ours, theirs = socket.socketpair()
    near, far = socket.socketpair()
    sender, receiver = Link(ours, b"key", "worker"), Link(far, b"key", "master")
    sender.send(b"ten turns")
    frame = bytearray(theirs.recv(1000))
    at = {"body": -1, "tag": 5}.get(change)
    if at is not None:
        frame[at] ^= 1
    if change == "long":
        frame[:4] = struct.pack(">I", MOST_BYTES + 1)
    near.sendall(frame)
    if change == "again":
        assert receiver.receive() == b"ten turns"
        near.sendall(frame)
    with pytest.raises(OSError, match=r"sealed|too long"):
        receiver.receive()
    for sock in (ours, theirs, near, far):
        sock.close()


def test_a_token_is_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "t" * LEAST_TOKEN)
    assert take_token() == b"t" * LEAST_TOKEN
    with pytest.raises(ConfigError, match="the environment has no"):
        take_token()


def test_a_token_that_is_soon_guessed_is_none_and_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "swordfish")
    with pytest.raises(ConfigError) as caught:
        take_token()
    assert "9 characters" in str(caught.value)
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", ("10.0.0.1", PORT)), ("10.0.0.1:80", ("10.0.0.1", 80)), ("load-1", ("load-1", PORT)),
        ("[::1]:81", ("::1", 81)), ("[::1]", ("::1", PORT)), ("::1", ("::1", PORT)),
    ],
)  # fmt: skip
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert address_of(text, "--bind") == address


@pytest.mark.parametrize("text", ["", ":80", "a:b", "a:0", "a:65536", "a:-1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigError, match="--bind"):
        address_of(text, "--bind")
