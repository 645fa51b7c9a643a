"""A question to the backend has an answer, or none; it never ends a run."""

from __future__ import annotations

import socket
import threading

import pytest

from loadtests.conductor import questions
from loadtests.conductor.questions import ask

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


@pytest.fixture
def answering():
    servers = []

    def make(answer: bytes | None) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            peer, _ = server.accept()
            if answer is None:
                peer.recv(1)  # heard, and nothing said until the client gives up
                peer.recv(65_536)
                peer.recv(1)
            else:
                peer.recv(65_536)
                peer.sendall(answer)
            peer.close()

        threading.Thread(target=serve, daemon=True).start()
        return f"ws://127.0.0.1:{server.getsockname()[1]}/ws"

    yield make
    for server in servers:
        server.close()


def test_an_answer_is_what_it_says(answering) -> None:
    assert ask(answering(HEAD + b'{"a": 1}'), "/x") == {"a": 1}


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", HEAD, HEAD + b"not json"])
def test_what_cannot_be_read_is_none(answering, answer) -> None:
    assert ask(answering(answer), "/x") is None


def test_silence_is_none_in_time(answering, monkeypatch) -> None:
    monkeypatch.setattr(questions, "ANSWER_S", 0.05)
    assert ask(answering(None), "/x") is None


def test_nobody_there_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert ask(f"ws://127.0.0.1:{port}/ws", "/x") is None
