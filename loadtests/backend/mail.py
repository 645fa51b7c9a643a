"""Short messages between the nodes of one host: datagrams on unix sockets that vanish with their process.

A message that comes says *look*; nothing is lost with one that does not. That a node is dead, however, is certain.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import msgspec

__all__ = ["Mail"]

MOST_BYTES = 65_536


class Mail:
    """One node's letter box. The addresses are abstract: no file is left behind, and the kernel knows who lives."""

    def __init__(self, secret: str, name: str, receive: Callable[[list[str]], None]) -> None:
        self._secret = secret
        self._receive = receive
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003
        self._socket.bind(self._address(name))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)

    def send(self, name: str, *words: str) -> bool:
        """False: the node is no more. A frozen one lives, though it may never read this."""
        try:
            self._socket.sendto(msgspec.json.encode(words), self._address(name))
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            return True
        return True

    def close(self) -> None:
        """Once or again."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _address(self, name: str) -> bytes:
        return f"\0gauntlet-{self._secret}-{name}".encode()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                raw = self._socket.recv(MOST_BYTES)
                with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
                    self._receive(msgspec.json.decode(raw, type=list[str]))
