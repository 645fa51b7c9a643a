"""What the chaos tests share: the real Toxiproxy, and a small WebSocket server behind it that echoes."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from chaos.faults import parse_fault
from chaos.listeners import open_listeners
from chaos.ports import free_port
from chaos.server import ToxiproxyServer, provide
from chaos.toxiproxy import Wedged
from loadtests.dial import Dial
from loadtests.journal import Journal


@pytest.fixture(scope="session")
def toxiproxy_binary() -> Path:
    return provide(print)


@pytest.fixture
def toxiproxy(toxiproxy_binary, tmp_path):
    """A server as a stranger would run one."""
    server = ToxiproxyServer.start(toxiproxy_binary, {}, tmp_path / "toxiproxy.log")
    yield server
    server.stop()


@pytest.fixture
def ends() -> list[BaseException | None]:
    """How each connection ended, as the server behind the listeners saw it."""
    return []


@pytest.fixture
def echo_port(ends):
    def echo(connection):
        try:
            for message in connection:
                connection.send(message)
        except ConnectionClosed as error:
            ends.append(error.__cause__)
        else:
            ends.append(None)

    server = serve(echo, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.socket.getsockname()[1]
    server.shutdown()
    thread.join()


@pytest.fixture
def dial(echo_port) -> Dial:
    return Dial(("127.0.0.1", echo_port), f"ws://127.0.0.1:{echo_port}/ws", f"http://127.0.0.1:{echo_port}")


@pytest.fixture
def run_id() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def cohorts() -> list[str]:
    return ["control", "treated"]


@pytest.fixture
def listeners(toxiproxy_binary, echo_port, run_id, tmp_path, cohorts):
    opened = open_listeners(cohorts, ("127.0.0.1", echo_port), run_id, log_dir=tmp_path, binary=toxiproxy_binary)
    yield opened
    for listener in opened.values():
        listener.close()


@pytest.fixture
def journal(tmp_path):
    written = Journal(tmp_path / "history.jsonl")
    yield written
    written.close()


@pytest.fixture
def until():
    """Wait for a condition, with a deadline."""

    def wait(condition, timeout_s=5.0):
        pause, deadline = threading.Event(), time.monotonic() + timeout_s
        while not (found := condition()):
            assert time.monotonic() < deadline, "the condition did not come true in time"
            pause.wait(0.01)
        return found

    return wait


@pytest.fixture
def wedge():
    """Make a proxy hang as one does under a client that stops reading; ``knocking``: another client has come since."""
    held = []

    def make(control, name, *, knocking=False):
        listen = ("127.0.0.1", free_port("127.0.0.1"))
        flood, sock = socket.create_server(("127.0.0.1", 0)), socket.socket()
        control.create(name, "{}:{}".format(*listen), "{}:{}".format(*flood.getsockname()))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(listen)
        upstream, _ = flood.accept()
        held.extend((flood, sock, upstream))
        upstream.settimeout(0.3)
        with pytest.raises(TimeoutError):
            upstream.sendall(bytes(64_000_000))
        (toxic,) = parse_fault({"kind": "latency", "latency_ms": 10}, "", "").toxics
        with pytest.raises(Wedged):
            control.add_toxic(name, "w1", toxic)
        if knocking:
            held.append(socket.create_connection(listen))
            held.append(flood.accept()[0])
        return listen

    yield make
    for one in held:
        one.close()
