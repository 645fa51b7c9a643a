"""What is to be done before a connection can be dialled: the contract's HTTP calls, whose answers fill its templates.

The calls go to the address that the connection will go to, through the same Toxiproxy listener, under the target's own
name and certificate check.
"""

from __future__ import annotations

import errno
import http.client
import io
import os
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import gevent
import gevent.socket
import gevent.ssl

from loadtests.contract.prelude import SHOWN, CallError, Request, request, taken
from loadtests.contract.schema import Call
from loadtests.dial import Dial
from loadtests.errors import ConfigError
from loadtests.retry import REFUSALS
from loadtests.secrets import Secrets
from loadtests.transport import DialError

__all__ = ["Door"]

LEAST_CALL_S = 0.1
Result = TypeVar("Result")
STEP = "prelude"
MOST_BODY_BYTES = 64 * 1024
MOST_BYTES = 2 * MOST_BODY_BYTES  # with everything before and between: a server may go on with headers for ever


def _directly() -> None:
    """To the target itself."""


class Door:
    """One session's way in. ``dial_of`` makes a connection's description from what was taken so far, ``via`` says by which
    address it goes.

    ``secrets``: what the calls may need and what is never shown, such as the token; ``token`` gives the present one where it
    changes. ``known`` learns what the calls give.
    """

    def __init__(
        self,
        dial_of: Callable[[Mapping[str, str]], Dial],
        calls: Sequence[Call] = (),
        secrets: Mapping[str, str] | None = None,
        ca: str = "",
        known: Secrets | None = None,
        via: Callable[[], tuple[str, int] | None] = _directly,
        token: Callable[[], str | None] | None = None,
    ) -> None:
        self._dial_of = dial_of
        self._calls = tuple(calls)
        self._secrets = dict(secrets or {})
        self._ca = ca
        self._known = known or Secrets()
        self._tls: Any = None
        self._made: tuple[int, ...] = ()
        self._via = via
        self._token = token
        self._fixed = None if calls or token else dial_of({})

    def authorise(self, values: dict[str, str]) -> None:
        """Put the present token into ``values``, where it changes.

        Raises:
            TokenError: there is none.
        """
        if self._token is not None and (token := self._token()) is not None:
            values["token"] = token

    def open(self, values: dict[str, str], timeout_s: float) -> Dial:
        """Make the calls that are due, put what they give into ``values``.

        Raises:
            DialError: at the step ``prelude``; ``code`` is the HTTP status or a negative errno.
        """
        if self._fixed is not None:
            return self._routed(self._fixed)
        deadline = time.monotonic() + timeout_s
        for i, call in enumerate(self._calls):
            if call.each == "connection" or i not in self._made:
                given = self._call(call, values, max(LEAST_CALL_S, deadline - time.monotonic()), partial(_taken, call))
                values.update(given)
                for name in given.keys() - SHOWN:
                    self._known.learn(given[name], lasting=call.each == "session", spare=values.get("thread", ""))
                self._made += (i,)
        return self._dial(values)

    def fetch(self, call: Call, values: Mapping[str, str], timeout_s: float) -> tuple[int, str]:
        """Status of one more call, whatever it is, and its text as far as it is read. It goes where connections go, and nowhere else.

        Raises:
            DialError: there was no answer, or none that can be read.
        """

        def whole(status: int, body: bytes) -> tuple[int, str]:
            return status, body[:MOST_BODY_BYTES].decode("utf-8", "replace")

        return self._call(call, values, timeout_s, whole)

    def _dial(self, values: Mapping[str, str]) -> Dial:
        try:
            return self._routed(self._dial_of(values))
        except ConfigError as error:
            raise self._error(0, str(error)) from None
        except ValueError:
            raise self._error(0, "what the backend gave makes no address") from None

    def _routed(self, dial: Dial) -> Dial:
        """By the listener of this moment: which it is may change from one connection to the next."""
        address = self._via()
        return dial if address is None else dial.via(address)

    def _error(self, code: int, text: str, *, fatal: bool = False) -> DialError:
        return DialError(STEP, code, self._known.redact(text), fatal=fatal)

    def _call(
        self, call: Call, values: Mapping[str, str], timeout_s: float, read: Callable[[int, bytes], Result]
    ) -> Result:  # fmt: skip
        what = f"{call.method} {call.path}"
        timer = gevent.Timeout(timeout_s)
        try:
            made, dial = request(call, {**self._secrets, **values}), self._dial(values)
            with timer:
                status, body = self._ask(made, dial, timeout_s)
            return read(status, body)
        except DialError:
            raise
        except CallError as error:
            raise self._error(error.status, f"{what}: {error}", fatal=error.status in REFUSALS) from None
        except (TimeoutError, gevent.Timeout) as error:
            if isinstance(error, gevent.Timeout) and error is not timer:
                raise
            raise self._error(-errno.ETIMEDOUT, f"{what}: no answer within {timeout_s:.1f} s") from None
        except ssl.SSLCertVerificationError as error:
            raise self._error(0, f"{what}: certificate refused: {error.verify_message}", fatal=True) from None
        except OSError as error:
            text = os.strerror(error.errno) if error.errno else type(error).__name__
            raise self._error(-(error.errno or 0), f"{what}: {text}") from None
        except Exception as error:  # noqa: BLE001  # the parser has errors of its own, for hostile answers
            raise self._error(0, f"{what}: no HTTP answer ({type(error).__name__})") from None

    def _ask(self, made: Request, dial: Dial, timeout_s: float) -> tuple[int, bytes]:
        """Status and body. Whoever calls it bounds the whole: the socket's own timeout begins anew with each byte."""
        connection = http.client.HTTPConnection(*dial.address)
        socket = gevent.socket.create_connection(dial.address, timeout_s)
        try:
            if dial.tls is not None:
                socket = self._context().wrap_socket(socket, server_hostname=dial.server_name)
            connection.sock = _Line(socket)
            own = {name.lower() for name, _ in made.headers}
            usual = {"Host": dial.netloc, "User-Agent": "gauntlet", "Connection": "close"}
            headers = {name: value for name, value in usual.items() if name.lower() not in own} | dict(made.headers)
            connection.request(made.method, made.path, made.body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(MOST_BODY_BYTES + 1)
        finally:
            socket.close()

    def _context(self) -> Any:
        """Gevent's own kind of context: its sockets need it, patched or not."""
        if self._tls is None:
            self._tls = gevent.ssl.create_default_context(cafile=self._ca or None)
        return self._tls


def _taken(call: Call, status: int, body: bytes) -> dict[str, str]:
    if len(body) > MOST_BODY_BYTES:
        raise _too_much(status)
    return taken(call, status, body)


def _too_much(status: int) -> CallError:
    return CallError(status, f"the answer is longer than {MOST_BODY_BYTES} bytes")


class _Line(io.RawIOBase):
    """A socket that gives no more than ``MOST_BYTES``: one that always has more would never let a timer fire."""

    def __init__(self, socket: Any) -> None:
        self.sendall = socket.sendall
        self._recv_into = socket.recv_into
        self._left = MOST_BYTES

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def close(self) -> None:
        """Whoever opened the socket closes it; the client would before the answer is read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """As much as came."""
        if self._left <= 0:
            raise _too_much(0)
        count = int(self._recv_into(memoryview(buffer)[: self._left]))
        self._left -= count
        return count
