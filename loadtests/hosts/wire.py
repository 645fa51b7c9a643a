"""A connection between two conductors that know the same token: each proves it without saying it, and seals all that follows.

Nothing of it is secret, only true: who listens on the way can read, and can change, repeat, leave out or add nothing that goes
unnoticed. A frame is its length (4 bytes), HMAC-SHA256 over direction, number and body, and the body.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import struct
from typing import Literal

from loadtests.errors import ConfigError, RigError

__all__ = ["LEAST_TOKEN", "MOST_BYTES", "PORT", "TOKEN_VARIABLE", "Link", "address_of", "answer", "call", "take_token"]

MAGIC = b"GNTLT\x001\n"
TOKEN_VARIABLE = "GAUNTLET_HOSTS_TOKEN"  # noqa: S105  # its name
#: whoever heard a greeting can try tokens at leisure, so it must not be one that is soon tried
LEAST_TOKEN = 16
PORT = 5670
NONCE_BYTES = TAG_BYTES = 32
MOST_BYTES = 4 << 20
_LENGTH = struct.Struct(">I")
_NUMBER = struct.Struct(">Q")
Side = Literal["master", "worker"]


def take_token() -> bytes:
    """The token from the environment, and out of it: no child of ours needs it.

    Raises:
        ConfigError: there is none, or one that is soon guessed.
    """
    token = os.environ.pop(TOKEN_VARIABLE, "")
    if len(token) < LEAST_TOKEN:
        problem = f"{len(token)} characters" if token else f"the environment has no {TOKEN_VARIABLE}"
        raise ConfigError(
            TOKEN_VARIABLE, "", problem, f"the same {LEAST_TOKEN} or more characters on all hosts of a run"
        )
    return token.encode()


def address_of(text: str, option: str) -> tuple[str, int]:
    """``HOST``, ``HOST:PORT`` or ``[ADDRESS]:PORT``.

    Raises:
        ConfigError: it is none of them.
    """
    host, colon, port = text.rpartition(":") if text.count(":") == 1 or text.startswith("[") else (text, "", "")
    if text.startswith("[") and text.endswith("]"):
        host, colon, port = text, "", ""
    number = port if colon else str(PORT)
    if not host or not number.isascii() or not number.isdigit() or not 0 < int(number) < 1 << 16:
        raise ConfigError(option, "", f"{text!r} is no address", f"HOST, or HOST:PORT (without a port: {PORT})")
    return host.strip("[]"), int(number)


class Link:
    """One end of a sealed connection. Not for threads."""

    def __init__(self, sock: socket.socket, key: bytes, side: Side) -> None:
        self._socket, self._key, self._side = sock, key, side
        self._sent = self._received = 0

    def send(self, body: bytes) -> None:
        """Raises:
        OSError: it is broken.
        """
        tag = _tag(self._key, self._side, self._sent, body)
        self._sent += 1
        self._socket.sendall(_LENGTH.pack(len(body)) + tag + body)

    def receive(self) -> bytes:
        """Raises:
        OSError: it is broken, ended, or what came is not what was sent.
        """
        (length,) = _LENGTH.unpack(_exactly(self._socket, _LENGTH.size))
        if length > MOST_BYTES:
            raise OSError("a frame that is too long")
        tag, body = _exactly(self._socket, TAG_BYTES), _exactly(self._socket, length)
        other: Side = "worker" if self._side == "master" else "master"
        if not hmac.compare_digest(tag, _tag(self._key, other, self._received, body)):
            raise OSError("a frame that the other side has not sealed")
        self._received += 1
        return body

    def wait_at_most(self, timeout_s: float) -> None:
        """For all that is sent or received from now on."""
        self._socket.settimeout(timeout_s)

    def close(self) -> None:
        self._socket.close()


def call(address: tuple[str, int], token: bytes, timeout_s: float) -> Link:
    """Connect to a master.

    Raises:
        OSError: nobody is there, or it does not answer.
        RigError: who answers is no master, or has another token.
    """
    sock = socket.create_connection(address, timeout_s)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greeting = _exactly(sock, len(MAGIC) + NONCE_BYTES)
        if not greeting.startswith(MAGIC):
            raise RigError(f"who answers at {address[0]}:{address[1]} is no master of this version of Gauntlet")
        nonce = secrets.token_bytes(NONCE_BYTES)
        key = _key(token, greeting[len(MAGIC) :], nonce)
        sock.sendall(nonce + _proof(key, "worker"))
        try:
            proof = _exactly(sock, TAG_BYTES)
        except ConnectionError:
            proof = b""
        if not hmac.compare_digest(proof, _proof(key, "master")):
            raise RigError(f"the master at {address[0]}:{address[1]} has another {TOKEN_VARIABLE}")
    except BaseException:
        sock.close()
        raise
    return Link(sock, key, "worker")


def answer(sock: socket.socket, token: bytes) -> Link:
    """Let in who has the token.

    Raises:
        OSError: who called has another one, or went.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    nonce = secrets.token_bytes(NONCE_BYTES)
    sock.sendall(MAGIC + nonce)
    said = _exactly(sock, NONCE_BYTES + TAG_BYTES)
    key = _key(token, nonce, said[:NONCE_BYTES])
    if not hmac.compare_digest(said[NONCE_BYTES:], _proof(key, "worker")):
        raise PermissionError("another token")
    sock.sendall(_proof(key, "master"))
    return Link(sock, key, "master")


def _key(token: bytes, master: bytes, worker: bytes) -> bytes:
    """Of one connection: what was recorded on another opens nothing here."""
    return hmac.digest(token, MAGIC + master + worker, "sha256")


def _proof(key: bytes, side: Side) -> bytes:
    return hmac.digest(key, b"proof " + side.encode(), "sha256")


def _tag(key: bytes, side: Side, number: int, body: bytes) -> bytes:
    return hmac.digest(key, b"frame " + side.encode() + _NUMBER.pack(number) + body, "sha256")


def _exactly(sock: socket.socket, size: int) -> bytes:
    parts, left = [], size
    while left:
        part = sock.recv(min(left, 1 << 16))
        if not part:
            raise ConnectionError("the other side is gone")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
