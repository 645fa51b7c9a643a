"""One WebSocket pumped by gevent: a persistent read watcher, no greenlet of its own, no decisions.

The watcher's callback receives, splits and hands frames on, so that a user's greenlet wakes once a turn and not once an
event. What a callback must not do shaped this file: it never blocks (sends queue behind a write watcher), never lets an
exception out (gevent would stop the watcher and the waiter would hang for ever), and always ends in the order stop
watcher, close watcher, close socket (a reused descriptor would otherwise feed the old callback). Sockets are the standard
library's own, so it works with and without monkey patching. TLS goes through two memory buffers, public interface only,
so the socket side is the same for ``ws`` and ``wss``.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket as patched_socket
import ssl
import struct
import termios
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gevent
import gevent.event
import gevent.monkey
import gevent.socket
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from loadtests.dial import Dial
from loadtests.framing import KEY_BYTES, Splitter, Texts, masked_text
from loadtests.history import ABNORMAL, OUR_ERROR

__all__ = ["Connection", "DialError", "Timing"]

READ_BYTES = 65_536
LIMIT_BYTES = 16 * 1024 * 1024
HEAD_LIMIT_BYTES = 65_536
BODY_SHOWN_BYTES = 4096  # cut shorter only once it has been redacted
CLOSE_WAIT_S = 1.0
KEYS = 64  # masking keys fetched at once
plain_getaddrinfo: Any = gevent.monkey.get_original("socket", "getaddrinfo")
plain_socket: Any = gevent.monkey.get_original("socket", "socket")
_READ, _WRITE = 1, 2
IP_BIND_ADDRESS_NO_PORT = 24  # ip(7); not in Python's socket module before 3.12
RESET = struct.pack("ii", 1, 0)  # linger for no time: what is unsent is thrown away, and the other side told so


class DialError(Exception):
    """A connection that could not be made: at which ``step`` (dns, tcp, tls, upgrade), and how.

    ``code`` is an HTTP status, or a negative errno, or 0. ``fatal``: it will be the same however often it is tried.
    """

    def __init__(self, step: str, code: int, text: str, *, fatal: bool = False) -> None:
        super().__init__(step, code, text)
        self.step, self.code, self.text, self.fatal = step, code, text, fatal

    def __str__(self) -> str:
        return f"{self.step}: {self.text}"


class Timing(NamedTuple):
    """When each step of a connect was done, nanoseconds; 0 for a step that was not needed."""

    resolved: int
    connected: int
    secured: int
    upgraded: int


#: one for all, read and copied from within one callback: a buffer for each read, cut to what came, leaves holes in the heap that
#: nothing fills, 80 MB an hour
INBOX = memoryview(bytearray(READ_BYTES))
#: of a connection without TLS: nothing goes through it, and each would pay for two
NO_BUFFER = ssl.MemoryBIO()
_resolved: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
_asked: dict[tuple[str, int], gevent.event.AsyncResult] = {}


def _resolve(address: tuple[str, int]) -> list[tuple[Any, ...]]:
    """Cached for the process: a herd that comes back must not wait for a resolver. At first one asks for all: thousands of them
    would wait in threads.
    """
    if address in _resolved:
        return _resolved[address]
    if (answer := _asked.get(address)) is None:
        answer = _asked[address] = gevent.event.AsyncResult()
        try:
            answer.set(_look_up(*address))
            _resolved[address] = answer.value
        except (OSError, UnicodeError) as error:
            answer.set_exception(error)
        except BaseException:  # this user was ended, the others were not
            answer.set_exception(OSError(errno.EINTR, os.strerror(errno.EINTR)))
            raise
        finally:
            del _asked[address]
    found: list[tuple[Any, ...]] = answer.get()
    return found


def _look_up(host: str, port: int) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]]
    try:  # at once, without a thread
        found = plain_getaddrinfo(host, port, 0, patched_socket.SOCK_STREAM, 0, patched_socket.AI_NUMERICHOST)
    except OSError:
        found = gevent.socket.getaddrinfo(host, port, 0, patched_socket.SOCK_STREAM)
    return found


class Connection:
    """``on_texts`` is ``framing.Texts``; ``on_binary`` gets (payload, received_ns); ``on_close`` gets (code, reason, received_ns), once.

    ``on_open`` gets the time of the upgrade, before any frame: the first often comes in the same packet.
    """

    def __init__(
        self,
        dial: Dial,
        on_texts: Texts,
        on_binary: Callable[[bytes, int], None],
        on_close: Callable[[int, str, int], None],
        on_open: Callable[[int], None],
    ) -> None:
        self._dial = dial
        self._on_open = on_open
        self._on_close = on_close
        self.at_ns = 0
        self._protocol = ClientProtocol(
            parse_uri(dial.uri),
            origin=Origin(dial.origin),
            subprotocols=[Subprotocol(p) for p in dial.subprotocols] or None,
            extensions=[ClientPerMessageDeflateFactory(client_max_window_bits=True)] if dial.deflate else None,
            max_size=LIMIT_BYTES,
        )
        self._splitter = Splitter(self._protocol, LIMIT_BYTES, on_texts, on_binary)
        self._plain = dial.tls is None
        self._keys: Iterator[tuple[bytes]] = iter(())
        self._socket: Any = None
        self._reader: Any = None
        self._writer: Any = None
        self._queue = b""
        self._head: bytes | None = b""
        self._refused = False
        self._changed = gevent.event.Event()
        self._error: Exception | None = None
        self._tls: ssl.SSLObject | None = None
        self._secured = False
        tls = dial.tls is not None
        self._incoming, self._outgoing = (ssl.MemoryBIO(), ssl.MemoryBIO()) if tls else (NO_BUFFER, NO_BUFFER)
        self.is_open = False
        self._closed = False
        self._deaf = self._mute = False
        self.timing = Timing(0, 0, 0, 0)
        self._upgraded = False

    # Connecting, in the user's greenlet

    def connect(self, timeout_s: float) -> None:
        """TCP, TLS, upgrade.

        Raises:
            DialError: whatever went wrong, and nothing is left open.
        """
        step, deadline = "dns", time.monotonic() + timeout_s
        try:
            addresses = self._resolve()
            resolved = time.monotonic_ns()
            step = "tcp"
            self._connect_tcp(addresses, deadline)
            connected = time.monotonic_ns()
            secured = 0
            self._watch()
            if self._dial.tls is not None:
                step = "tls"
                self._secure(deadline)
                secured = time.monotonic_ns()
            step = "upgrade"
            self._upgrade(deadline)
            self.timing = Timing(resolved, connected, secured, time.monotonic_ns())
        except DialError:
            self.abort()
            raise
        except ssl.SSLCertVerificationError as error:
            self.abort()
            raise DialError("tls", 0, f"certificate refused: {error.verify_message}", fatal=True) from None
        except TimeoutError:
            self.abort()
            raise DialError(step, -errno.ETIMEDOUT, f"no answer within {timeout_s:g} s") from None
        except OSError as error:
            self.abort()
            raise DialError(step, -(error.errno or 0), error.strerror or str(error)) from None
        except BaseException:
            self.abort()
            raise

    def _resolve(self) -> list[tuple[Any, ...]]:
        try:
            return _resolve(self._dial.address)
        except OSError as error:
            raise DialError("dns", -(error.errno or 0), f"{self._dial.address[0]}: {error.strerror or error}") from None
        except UnicodeError as error:  # no name at all: a label that is empty or too long
            raise DialError("dns", 0, f"{self._dial.address[0]}: {error}") from None

    def _connect_tcp(self, addresses: list[tuple[Any, ...]], deadline: float) -> None:
        code = errno.EHOSTUNREACH
        for family, kind, proto, _, address in addresses:
            one = plain_socket(family, kind, proto)
            one.setblocking(False)  # noqa: FBT003  # the socket module's own signature
            if self._dial.receive_buffer_bytes:  # before connecting: it bounds the window that is offered
                one.setsockopt(patched_socket.SOL_SOCKET, patched_socket.SO_RCVBUF, self._dial.receive_buffer_bytes)
            code = self._bind(one) or one.connect_ex(address)
            if code == errno.EINPROGRESS:
                try:
                    gevent.socket.wait_write(one.fileno(), timeout=max(0.0, deadline - time.monotonic()))
                    code = one.getsockopt(patched_socket.SOL_SOCKET, patched_socket.SO_ERROR)
                except TimeoutError:
                    code = errno.ETIMEDOUT
                except BaseException:
                    one.close()
                    raise
            if code == 0:
                one.setsockopt(patched_socket.IPPROTO_TCP, patched_socket.TCP_NODELAY, 1)
                self._socket = one
                return
            one.close()
        raise OSError(code, os.strerror(code))

    def _bind(self, one: Any) -> int:
        """To our own address, if there is a choice; returns an errno, or 0."""
        if not self._dial.source:
            return 0
        try:
            # The port only with the connection: so many are there for each pair of addresses, and not for each address.
            one.setsockopt(patched_socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            one.bind((self._dial.source, 0))
        except OSError as error:
            return error.errno or errno.EADDRNOTAVAIL
        return 0

    def _watch(self) -> None:
        loop = gevent.get_hub().loop
        fileno = self._socket.fileno()
        self._writer = loop.io(fileno, _WRITE)
        self._reader = loop.io(fileno, _READ)
        if not self._deaf:
            self._reader.start(self._readable)

    def _wait(self, deadline: float) -> None:
        """Until the callback has seen something new."""
        # After a stall of the loop the timer and the answer come together: then the answer counts.
        if not self._changed.wait(max(0.0, deadline - time.monotonic())) and not self._changed.is_set():
            raise TimeoutError
        self._changed.clear()
        if self._error is not None and not self._upgraded:
            raise self._error

    def _secure(self, deadline: float) -> None:
        context, name = self._dial.tls, self._dial.server_name
        if context is None:
            return
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush_tls()
                if self._incoming.eof:
                    raise DialError("tls", 0, "the server closed during the TLS handshake") from None
                self._wait(deadline)
            except ssl.SSLCertVerificationError:
                self._flush_tls()
                raise
            except ssl.SSLError as error:
                raise DialError("tls", 0, f"no TLS here: {error.reason or error}") from None
            else:
                self._flush_tls()
                self._secured = True
                return

    def _upgrade(self, deadline: float) -> None:
        request = self._protocol.connect()
        for name, value in self._dial.headers:
            request.headers[name] = value
        self._protocol.send_request(request)
        self._send_pending()
        while not self._upgraded:  # not ``is_open``: a close may have come in the same packet as the upgrade
            if self._closed:
                raise DialError("upgrade", self._status(), self._refusal())
            self._wait(deadline)

    def _status(self) -> int:
        error = self._protocol.handshake_exc
        return error.response.status_code if isinstance(error, InvalidStatus) else 0

    def _refusal(self) -> str:
        error = self._protocol.handshake_exc
        if isinstance(error, InvalidStatus):
            body = bytes(error.response.body or b"")[:BODY_SHOWN_BYTES].decode("utf-8", "replace")
            return f"HTTP {error.response.status_code} {error.response.reason_phrase}" + (f": {body}" if body else "")
        if error is None:
            return "closed before an answer"
        cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
        return f"no WebSocket upgrade: {error}{cause}"

    # Reading, in the hub

    def _readable(self) -> None:
        try:
            data = INBOX[: self._socket.recv_into(INBOX)].tobytes()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.at_ns = time.monotonic_ns()
            self._lost(errno.errorcode.get(error.errno or 0, str(error)))
            return
        self.at_ns = time.monotonic_ns()
        try:
            if not self._plain:
                self._incoming.write(data) if data else self._incoming.write_eof()
                self._drain_tls() if self._secured else self._changed.set()
            elif data:
                self._feed(data)
            else:
                self._eof()
        except (ssl.SSLError, OSError) as error:
            self._lost(f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001  # an exception here would stop the watcher and hang the user
            self._error = error
            self._finish(OUR_ERROR, type(error).__name__)

    def _drain_tls(self) -> None:
        """All that OpenSSL can decrypt: what stays inside it would never wake the watcher again."""
        while self._tls is not None and not self._closed:
            try:
                size: Any = self._tls.read(READ_BYTES, INBOX)
                plain = INBOX[:size].tobytes()
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                plain = b""
            if not plain:
                self._eof()
                return
            self._feed(plain)
        self._flush_tls()

    def _feed(self, data: bytes) -> None:
        if self._head is not None:
            data = self._feed_head(data)
            if not data:
                return
        if self._splitter.feed(data, self.at_ns):
            if self._protocol.writes:
                self._send_pending()
            if self._protocol.state is not OPEN and self._head is None and self._is_over():
                self._finish(*self._ending())

    def _feed_head(self, data: bytes) -> bytes:
        """The answer to the upgrade goes to the library exactly to its blank line; returns what comes behind."""
        head = (self._head or b"") + data
        end = head.find(b"\r\n\r\n")
        if end < 0 and len(head) < HEAD_LIMIT_BYTES and not self._refused:
            self._head = head
            return b""
        switching = not self._refused and head[:12].endswith(b" 101")
        cut = end + 4 if switching and end >= 0 else len(head)
        self._protocol.receive_data(head[:cut])
        events = self._protocol.events_received()
        if not switching:
            # A refusal's body may still be coming, in packets of its own; the library reads on to its end.
            self._head, self._refused = b"", True
            if self._protocol.handshake_exc is not None:
                self._finish(ABNORMAL, "refused")
            return b""
        self._head = None
        if self._protocol.handshake_exc is not None or not events:
            self._finish(ABNORMAL, "refused")
            return b""
        self._upgraded = isinstance(events[0], Response)
        self.is_open = True
        self._on_open(self.at_ns)
        self._changed.set()
        return head[cut:]

    def _eof(self) -> None:
        if self._head is not None:
            self._protocol.receive_eof()
            self._protocol.events_received()
        else:
            self._splitter.finish(self.at_ns)
        self._finish(*self._ending())

    def _is_over(self) -> bool:
        """The other side's close frame is here, or the library has failed the connection; our own close alone is not it."""
        return self._protocol.close_rcvd is not None or self._protocol.parser_exc is not None

    def _ending(self) -> tuple[int, str]:
        """The other side's code and words; the library itself tells a code only once TCP is closed as well."""
        error, received = self._protocol.parser_exc, self._protocol.close_rcvd
        text = f"{type(error).__name__}: {error}" if error else ""
        return (ABNORMAL, text) if received is None else (received.code, received.reason or text)

    def _lost(self, text: str) -> None:
        self._finish(ABNORMAL, text)

    def _finish(self, code: int, reason: str) -> None:
        """Over: tell once, then let go of watchers and socket."""
        if self._closed:
            return
        self._closed = True
        was_open, self.is_open = self.is_open, False
        self._release()
        self._changed.set()
        if was_open:
            self._on_close(code, reason, self.at_ns or time.monotonic_ns())

    # Writing, from anywhere

    def send_text(self, payload: bytes) -> None:
        """Queue and send as far as the socket takes it; never blocks. Silent on a closed connection: the close tells."""
        if not self.is_open or self._splitter.closing:
            return
        key = next(self._keys, None)
        if key is None:  # fetched many at once: a system call a frame would cost more than all else about it
            self._keys = struct.iter_unpack(f"{KEY_BYTES}s", os.urandom(KEY_BYTES * KEYS))
            key = next(self._keys)
        self._put(masked_text(payload, key[0]))

    def send_ping(self, payload: bytes) -> None:
        """A protocol ping (RFC 6455 5.5.2)."""
        if self.is_open:
            self._protocol.send_ping(payload)
            self._send_pending()

    def _send_pending(self) -> None:
        for data in self._protocol.data_to_send():
            if not data:
                continue  # the library's sign for a half-close, which a close of the socket does anyway
            self._put(data)

    def _put(self, data: bytes) -> None:
        if self._tls is None:
            self._write(data)
        else:
            self._tls.write(data)
            self._flush_tls()

    def _flush_tls(self) -> None:
        if self._outgoing.pending and not self._closed:
            self._write(self._outgoing.read())

    def _write(self, data: bytes) -> None:
        if self._queue or self._mute:
            self._queue += data
            return
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            # The reader is told as well and knows better why; but it may never become readable.
            self.at_ns = time.monotonic_ns()
            self._lost(errno.errorcode.get(error.errno or 0, str(error)))
            return
        if sent < len(data):
            self._queue = data[sent:]
            self._writer.start(self._writable)

    def _writable(self) -> None:
        data, self._queue = self._queue, b""
        self._writer.stop()
        if data and not self._closed:
            self._write(data)

    # Faults of our own side

    def pause(self, *, writing: bool) -> None:
        """Read nothing more, and with ``writing`` write nothing more, until ``resume``: the socket stays open, its buffers fill."""
        self._deaf, self._mute = True, writing
        if self._reader is not None:
            self._reader.stop()
        if writing and self._writer is not None:
            self._writer.stop()

    def resume(self) -> None:
        """Go on reading and writing where ``pause`` stopped."""
        if not self._deaf:
            return
        self._deaf = self._mute = False
        if self._reader is not None:
            self._reader.start(self._readable)
        if self._writer is not None and self._queue:
            self._writer.start(self._writable)

    @property
    def unread_bytes(self) -> int:
        """What the kernel has received, and nobody read."""
        if self._socket is None:
            return 0
        count = array.array("i", [0])
        fcntl.ioctl(self._socket.fileno(), termios.FIONREAD, count)
        return count[0]

    def detach(self) -> Any:
        """Let go without closing; the caller has the socket, still open, and must close it. ``on_close`` is not called."""
        left, self._socket = self._socket, None
        self.abort()
        return left

    # Ending

    def close(self, code: int = 1000, reason: str = "") -> None:
        """A polite close: our frame, a bounded wait for the other's, then let go. Blocks the calling greenlet."""
        if self.is_open:
            self._splitter.close(code, reason)
            self._send_pending()
            deadline = time.monotonic() + CLOSE_WAIT_S
            self._changed.clear()
            while not self._closed and self._changed.wait(max(0.0, deadline - time.monotonic())):
                self._changed.clear()
        self.abort()

    def abort(self, *, reset: bool = False) -> None:
        """Let go at once, with ``reset`` by a RST instead of a FIN; ``on_close`` is not called."""
        if reset and self._socket is not None:
            self._socket.setsockopt(patched_socket.SOL_SOCKET, patched_socket.SO_LINGER, RESET)
        self._closed = True
        self.is_open = False
        self._release()

    def _release(self) -> None:
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._reader = self._writer = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._queue = b""
        # The library's parser and its errors hold what holds them: each connection would stay until the collector comes, which it
        # seldom does here.
        self._protocol.parser.close()
        for error in (self._protocol.parser_exc, self._protocol.handshake_exc):
            if error is not None:
                error.__traceback__ = None
