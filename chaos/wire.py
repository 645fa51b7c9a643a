"""A plain blocking WebSocket connection: connect, upgrade, read with a deadline; and one new connection tried.

It knows the dial and websockets' Sans-I/O client, and neither faults nor time lines.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.protocol import State
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from loadtests.dial import Dial

__all__ = ["Outcome", "connect", "flush", "receive", "try_close", "try_new", "try_upgrade", "upgrade"]

NEW_S = 1.0
READ_BYTES = 65_536

Outcome = Literal["answered", "refused", "reset", "eof", "silent", "unreachable", "closed"]


def try_new(dial: Dial, timeout_s: float = NEW_S) -> Outcome:
    """One new connection and a plain HTTP request, that makes no session; any byte that comes back is an answer."""
    return _tried(lambda: _request(dial, timeout_s))


def try_upgrade(dial: Dial, timeout_s: float = NEW_S) -> Outcome:
    """One new connection and a whole opening handshake; a refusal is an answer too."""
    return _tried(lambda: _upgrade(dial, timeout_s))


def try_close(dial: Dial, timeout_s: float = NEW_S) -> tuple[Outcome, float]:
    """One new WebSocket whose own half is closed as soon as it is open: ``closed`` when the other half was closed in time,
    and how many milliseconds that took.
    """
    waited_ms = 0.0

    def half_close() -> Outcome:
        nonlocal waited_ms
        with contextlib.closing(connect(dial, timeout_s)) as sock:
            try:
                upgrade(dial, sock, timeout_s)
            except (WebSocketException, EOFError):
                return "eof"
            begun = time.monotonic()
            # of TCP, also under TLS: the backend sees an end of file, and no goodbye
            socket.socket.shutdown(sock, socket.SHUT_WR)
            outcome = _until_closed(sock, begun + timeout_s)
            waited_ms = (time.monotonic() - begun) * 1000
            return outcome

    return _tried(half_close), waited_ms


def _tried(attempt: Callable[[], Outcome]) -> Outcome:
    try:
        return attempt()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    except ssl.SSLEOFError:
        return "eof"
    except OSError:
        return "unreachable"


def _request(dial: Dial, timeout_s: float) -> Outcome:
    with contextlib.closing(connect(dial, timeout_s)) as sock:
        parts = urlsplit(dial.uri)
        # without the query: it may carry a token
        head = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        sock.sendall(head.encode())
        return "answered" if sock.recv(READ_BYTES) else "eof"


def _upgrade(dial: Dial, timeout_s: float) -> Outcome:
    with contextlib.closing(connect(dial, timeout_s)) as sock:
        try:
            protocol = upgrade(dial, sock, timeout_s)
        except WebSocketException as error:
            # a reset shows as an end of file here
            return "eof" if isinstance(error.__cause__, EOFError) else "answered"
        except EOFError:
            return "eof"
        protocol.send_close(1000)
        flush(sock, protocol)
        return "answered"


def _until_closed(sock: socket.socket, deadline: float) -> Outcome:
    try:
        while (data := receive(sock, deadline - time.monotonic())) is not None:
            if not data:
                return "closed"
    except (ConnectionResetError, ssl.SSLEOFError):
        return "closed"
    return "silent"


def connect(dial: Dial, timeout_s: float) -> socket.socket:
    sock = socket.create_connection(dial.address, timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if dial.tls is None:
        return sock
    try:
        return dial.tls.wrap_socket(sock, server_hostname=dial.server_name)
    except BaseException:
        sock.close()
        raise


def upgrade(dial: Dial, sock: socket.socket, timeout_s: float) -> ClientProtocol:
    """The opening handshake, as the dial's own user."""
    protocol = ClientProtocol(
        parse_uri(dial.uri),
        origin=Origin(dial.origin),
        subprotocols=[Subprotocol(name) for name in dial.subprotocols] or None,
        max_size=None,
    )
    request = protocol.connect()
    for name, value in dial.headers:
        request.headers[name] = value
    protocol.send_request(request)
    flush(sock, protocol)
    deadline = time.monotonic() + timeout_s
    while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
        data = receive(sock, deadline - time.monotonic())
        if data is None:
            raise TimeoutError("no answer to the upgrade")
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        protocol.events_received()
    if protocol.handshake_exc is not None:
        raise protocol.handshake_exc
    return protocol


def receive(sock: socket.socket, timeout_s: float) -> bytes | None:
    """What has come, or None when nothing came in time."""
    if not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
        # poll, not select: a descriptor may be over 1,023
        waiting = select.poll()
        waiting.register(sock, select.POLLIN)
        if not waiting.poll(max(0.0, timeout_s) * 1000):
            return None
    try:
        return sock.recv(READ_BYTES)
    except TimeoutError:
        return None  # half a TLS record


def flush(sock: socket.socket, protocol: ClientProtocol) -> int:
    """Send what is to be sent; how many bytes that was."""
    data = b"".join(protocol.data_to_send())
    if data:
        sock.sendall(data)
    return len(data)
