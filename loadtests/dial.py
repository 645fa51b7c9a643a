"""Where a connection goes and what it says there: two different things.

Address is not identity: a session dials its cohort's Toxiproxy listener on loopback and presents the target's own Host,
Origin, server name and credentials, and checks the target's certificate, so ``wss://`` works unchanged behind it.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import SplitResult, quote, urlencode, urlsplit, urlunsplit

from loadtests.contract.prelude import fill
from loadtests.contract.schema import Auth, Endpoint
from loadtests.contract.template import PLACE
from loadtests.errors import ConfigError

__all__ = ["Dial", "Target", "tls_context"]

DEFAULT_PORTS = {"ws": 80, "wss": 443}
#: a server that is asked for a session's URL may call itself by any of these
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
URL_TEXT = re.compile(r"[\x21-\x7e]*")
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Dial:
    """One connection to make: TCP ``address``, then an upgrade request for ``uri`` with these headers."""

    address: tuple[str, int]
    uri: str
    origin: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    #: our own address; empty: the system's choice
    source: str = ""
    #: how much the kernel keeps for us unread; 0: the system's choice
    receive_buffer_bytes: int = 0
    #: permessage-deflate is offered
    deflate: bool = False

    def via(self, address: tuple[str, int]) -> Dial:
        """The same identity at another address."""
        return replace(self, address=address)

    @property
    def netloc(self) -> str:
        """Host and port as the Host header has them."""
        return urlsplit(self.uri).netloc

    def __repr__(self) -> str:
        """Without query, headers and subprotocols: they may carry a token."""
        return f"Dial({self.address[0]}:{self.address[1]} as {self.uri.partition('?')[0]})"


@dataclass(frozen=True, slots=True)
class Target:
    """A backend's address and identity, from ``--target`` and the contract's endpoint."""

    scheme: str
    host: str
    port: int
    #: with ``{names}`` where a prelude fills it
    path: str
    query: tuple[tuple[str, str], ...]
    #: where to connect, when ``--resolve`` says so
    address: str
    #: offered whatever the token
    subprotocols: tuple[str, ...] = ()
    deflate: bool = False

    @classmethod
    def parse(cls, url: str, endpoint: Endpoint, resolve: str = "") -> Target:
        """``ws://host:port/path``; the contract's path stands in when the URL has none, its query is added.

        Raises:
            ConfigError: no WebSocket URL, credentials or a query in it, or a bad ``--resolve``.
        """
        # An error must not repeat what may be a secret.
        shown = "it" if "@" in url else repr(re.split(r"[?#]", url, maxsplit=1)[0])
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ConfigError("--target", "", f"{shown} cannot be read", "ws://HOST:PORT/PATH") from None
        if parts.scheme not in DEFAULT_PORTS or not host:
            raise ConfigError("--target", "", f"{shown} is no WebSocket URL", "ws:// or wss://HOST[:PORT][/PATH]")
        if parts.username or parts.password:
            raise ConfigError("--target", "", "credentials in the URL", "--token-env VAR")
        if parts.query or parts.fragment:
            hint = "none: give secrets by --token-env; fixed parameters belong in the contract's endpoint.query"
            raise ConfigError("--target", "", f"{shown} came with a query", hint)
        address = host
        if resolve:
            name, _, address = resolve.partition("=")
            if not address:
                raise ConfigError("--resolve", "", f"{resolve!r}", "HOST=ADDRESS")
            address = address if name == host else host
        path = parts.path if parts.path not in {"", "/"} else endpoint.path
        port = port or DEFAULT_PORTS[parts.scheme]
        query, offered = tuple(endpoint.query.items()), tuple(endpoint.subprotocols)
        return cls(parts.scheme, host, port, path, query, address, offered, endpoint.deflate)

    @property
    def url(self) -> str:
        """Without the query, which may carry a credential."""
        return f"{self.scheme}://{self._netloc}{self.path}"

    @property
    def _netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def dial(
        self, auth: Auth, token: str | None, tls: ssl.SSLContext | None, values: Mapping[str, str] = NOTHING
    ) -> Dial:
        """The connection of one user; ``values`` fill the names of a prelude. Without a token no credentials are offered.

        Raises:
            ConfigError: the backend's own URL for the session is of another host, or none.
        """
        headers: tuple[tuple[str, str], ...] = ()
        subprotocols = self.subprotocols
        path, own_query = self._place(values)
        pairs = [(name, fill(value, values)) for name, value in self.query]
        query = [q for q in (own_query, urlencode(pairs)) if q]
        if auth.mode != "none" and _offers(auth.value, token, values):
            value = fill(auth.value, {**values, "token": token or ""})
            if auth.mode == "subprotocol":
                subprotocols = (*subprotocols, value)
            elif auth.mode == "header":
                headers = ((auth.name or "Authorization", value),)
            else:
                query.append(f"{quote(auth.name or 'token')}={quote(value)}")
        uri = urlunsplit((self.scheme, self._netloc, path, "&".join(query), ""))
        origin = f"{'https' if self.scheme == 'wss' else 'http'}://{self._netloc}"
        name = self.host if self.scheme == "wss" else None
        return Dial((self.address, self.port), uri, origin, headers, subprotocols, tls, name, deflate=self.deflate)

    def _place(self, values: Mapping[str, str]) -> tuple[str, str]:
        """Path and query of a session: of the whole URL that a backend gave for it, or the contract's path, filled."""
        if not PLACE.fullmatch(self.path):
            return fill(self.path, values, lambda value: quote(value, safe="")), ""
        parts = _given(fill(self.path, values))
        if parts.hostname and parts.hostname != self.host and not {parts.hostname, self.host} <= LOOPBACK:
            hint = f"one on {self.host}: faults and limits are set up for the target"
            raise ConfigError("endpoint.path", "", f"the backend gave a URL on {parts.hostname}", hint)
        return parts.path if parts.path.startswith("/") else f"/{parts.path}", parts.query


def _given(url: str) -> SplitResult:
    """A server's URL, which is a secret and not repeated; one with a space in it would end the request's first line."""
    try:
        if not URL_TEXT.fullmatch(url):
            raise ValueError
        return urlsplit(url)
    except ValueError:
        raise ConfigError(
            "endpoint.path", "", "the backend gave a URL that cannot be read", "ws://HOST/PATH or /PATH"
        ) from None


def _offers(value: str, token: str | None, values: Mapping[str, str]) -> bool:
    """Whether there is a credential to offer: the token, or what a prelude took."""
    needs = set(PLACE.findall(value))
    return token is not None if "token" in needs or not needs else needs <= values.keys()


def tls_context(scheme: str, ca: str | Path | None) -> ssl.SSLContext | None:
    """A context that checks the certificate, against ``--ca`` if given; None for ``ws``.

    Raises:
        ConfigError: the CA file cannot be read or is none.
    """
    if scheme != "wss":
        return None
    try:
        context = ssl.create_default_context(cafile=os.fspath(ca) if ca else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"--ca {ca}", "", f"cannot be used: {error}", "a PEM file with CA certificates") from None
    context.set_alpn_protocols(["http/1.1"])
    return context
