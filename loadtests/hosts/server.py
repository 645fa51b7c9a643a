"""The master's door: one thread for each connection of a worker host, all of which ask the same roster."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from loadtests.errors import ConfigError
from loadtests.hosts.messages import Answer, Ask, Refused, decode_question, encode
from loadtests.hosts.wire import answer

__all__ = ["Door"]

#: who has not shown the token by then, or says nothing for so long, is let go; hosts beat four times a second
GREETING_S, SILENCE_S = 5.0, 30.0
MOST_CALLERS = 256
Respond = Callable[[Ask, bytes, str, int], Answer]


class Door:
    """Listens until ``close``. ``respond``: question, bytes with it, the asking address, our clock in ns."""

    def __init__(self, address: tuple[str, int], token: bytes, respond: Respond) -> None:
        """Raises:
        ConfigError: it cannot listen there.
        """
        self._token, self._respond = token, respond
        self._callers: set[socket.socket] = set()
        self._lock = threading.Lock()
        try:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            self._listening = socket.create_server(address, family=family, backlog=64)
        except OSError as error:
            where = f"{address[0]}:{address[1]}"
            raise ConfigError(
                "--bind", "", f"{where}: {error.strerror or error}", "an address of this machine"
            ) from None
        self.address: tuple[str, int] = self._listening.getsockname()[:2]
        threading.Thread(target=self._accept, name="hosts", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, address = self._listening.accept()
            except OSError:
                return  # closed
            with self._lock:
                full = len(self._callers) >= MOST_CALLERS
                if not full:
                    self._callers.add(sock)
            if full:
                sock.close()
                continue
            threading.Thread(target=self._serve, args=(sock, str(address[0])), name="host", daemon=True).start()

    def _serve(self, sock: socket.socket, address: str) -> None:
        with contextlib.suppress(OSError):
            sock.settimeout(GREETING_S)
            link = answer(sock, self._token)
            sock.settimeout(SILENCE_S)
            while True:
                body = link.receive()
                now_ns = time.monotonic_ns()  # before anything else, since it may be what was asked for
                try:
                    ask, raw = decode_question(body)
                except ValueError as error:
                    link.send(encode(Refused(f"no question: {error}")))
                    continue
                link.send(encode(self._respond(ask, raw, address, now_ns)))
        with self._lock:
            self._callers.discard(sock)
        sock.close()

    def close(self) -> None:
        """Idempotent; whoever is connected is let go."""
        # A thread that waits in accept holds the socket open; only this wakes it.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            callers = list(self._callers)
        for sock in callers:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
