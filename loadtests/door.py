"""What is to be done before a connection can be dialled: the contract's HTTP calls, whose answers fill its templates.

The calls go to the address that the connection will go to, through the same Toxiproxy listener, under the target's own
name and certificate check.
"""

from __future__ import annotations

import errno
import os
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent.ssl
from geventhttpclient.client import HTTPClient

from loadtests.contract.prelude import CallError, request, taken
from loadtests.contract.schema import Call
from loadtests.dial import Dial
from loadtests.transport import DialError

__all__ = ["Door"]

LEAST_CALL_S = 0.1
STEP = "prelude"


class Door:
    """One session's way in. ``dial_of`` makes a connection's description from what was taken so far.

    ``secrets``: what the calls may need and what is never shown, such as the token.
    """

    def __init__(
        self,
        dial_of: Callable[[Mapping[str, str]], Dial],
        calls: Sequence[Call] = (),
        secrets: Mapping[str, str] | None = None,
        ca: str = "",
    ) -> None:
        self._dial_of = dial_of
        self._calls = tuple(calls)
        self._secrets = dict(secrets or {})
        self._ca = ca
        self._made: set[int] = set()
        self._fixed = None if calls else dial_of({})

    def open(self, values: dict[str, str], timeout_s: float) -> Dial:
        """Make the calls that are due, put what they give into ``values``.

        Raises:
            DialError: at the step ``prelude``; ``code`` is the HTTP status or a negative errno.
        """
        if self._fixed is not None:
            return self._fixed
        deadline = time.monotonic() + timeout_s
        for i, call in enumerate(self._calls):
            if call.each == "connection" or i not in self._made:
                values.update(self._call(call, values, max(LEAST_CALL_S, deadline - time.monotonic())))
                self._made.add(i)
        return self._dial_of(values)

    def _call(self, call: Call, values: Mapping[str, str], timeout_s: float) -> dict[str, str]:
        made = request(call, {**self._secrets, **values})
        dial = self._dial_of(values)
        tls: dict[str, Any] = {}
        if dial.tls is not None:
            names = {"server_hostname": dial.server_name}
            tls = {"ssl": True, "ssl_options": names, "ssl_context_factory": self._context}
        client = HTTPClient(
            *dial.address,
            headers={"Host": dial.netloc},
            connection_timeout=timeout_s,
            network_timeout=timeout_s,
            **tls,
        )
        what = f"{call.method} {call.path}"
        try:
            answer = client.request(made.method, made.path, made.body, dict(made.headers))
            status, body = int(answer.status_code), bytes(answer.read())
            return taken(call, status, body)
        except CallError as error:
            raise DialError(STEP, error.status, f"{what}: {error}", fatal=error.status in {401, 403}) from None
        except TimeoutError:
            raise DialError(STEP, -errno.ETIMEDOUT, f"{what}: no answer within {timeout_s:.1f} s") from None
        except ssl.SSLCertVerificationError as error:
            raise DialError(STEP, 0, f"{what}: certificate refused: {error.verify_message}", fatal=True) from None
        except OSError as error:
            text = os.strerror(error.errno) if error.errno else type(error).__name__
            raise DialError(STEP, -(error.errno or 0), f"{what}: {text}") from None
        except Exception as error:  # noqa: BLE001  # the client's parser has errors of its own, for hostile answers
            raise DialError(STEP, 0, f"{what}: no HTTP answer ({type(error).__name__})") from None
        finally:
            client.close()

    def _context(self, **_: Any) -> Any:
        """Gevent's own kind of context: its sockets need it, patched or not."""
        return gevent.ssl.create_default_context(cafile=self._ca or None)
