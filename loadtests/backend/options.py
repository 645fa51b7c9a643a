"""What the reference backend may be told; knows nothing of how it is served."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from loadtests.backend.engine import STATUSES
from loadtests.backend.frames import Shape
from loadtests.backend.planting import SPARED_TURNS
from loadtests.configfile import nearest
from loadtests.errors import ConfigError

__all__ = ["ServerOptions", "argv_of", "server_tls", "shares_of"]

#: where a field is not called as its option
_WORD = {
    "outcomes": "outcome", "event_versions": "event_version", "ping_interval_s": "ping_interval",
    "ping_timeout_s": "ping_timeout", "drain_spread_s": "drain_spread",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """What ``gauntlet serve`` may be told."""

    host: str = "127.0.0.1"
    #: 0: any free one
    port: int = 0
    #: a file, or ``:memory:``
    db: str = ":memory:"
    seed: int = 0
    defect: str = ""
    defect_share: float = 0.1
    #: so many turns are never hit
    spared_turns: int = SPARED_TURNS
    shape: Shape = "flat"
    require_token: bool = False
    #: a file that says of which era tokens must be; whose is of an earlier one is told so and let go, also while connected
    era_file: Path | None = None
    #: shares of turns that end otherwise than well, by status
    outcomes: Mapping[str, float] = field(default_factory=dict)
    #: what happens to a message while a turn of its thread is under way; empty: what the contract says
    concurrent: str = ""
    #: so many turns run at a time, and one more fails; 0: any number
    at_once: int = 0
    #: of the event format, mixed by turns; empty: the contract's first
    event_versions: tuple[str, ...] = ()
    #: seconds between pings, and until a missing answer ends a connection
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0
    tls_cert: Path | None = None
    tls_key: Path | None = None
    build: str = "reference"
    node: str = "node-1"
    #: processes on one log, at one port
    nodes: int = 1
    #: it is one of those
    member: bool = False
    #: with which code an announced restart closes its connections, and over how long
    goodbye_code: int = 1012
    drain_spread_s: float = 1.0


def shares_of(texts: Iterable[str]) -> dict[str, float]:
    """``degraded=0.1`` and the like.

    Raises:
        ConfigError: no such status, no such share.
    """
    shares: dict[str, float] = {}
    for text in texts:
        status, _, share = text.partition("=")
        if status not in STATUSES:
            raise ConfigError("--outcome", "", f"no status {status!r}", nearest(status, list(STATUSES)))
        try:
            shares[status] = float(share)
        except ValueError:
            raise ConfigError("--outcome", "", f"{text!r} has no share", f"such as {status}=0.1") from None
    if not (all(share >= 0 for share in shares.values()) and sum(shares.values()) <= 1):
        raise ConfigError("--outcome", "", f"shares {shares}", "none below 0, together 1 at most")
    return shares


def argv_of(options: ServerOptions) -> list[str]:
    """What makes another process's options the same."""
    words: list[str] = []
    for one in fields(options):
        value, name = getattr(options, one.name), "--" + _WORD.get(one.name, one.name).replace("_", "-")
        match value:
            case True:
                words.append(name)
            case False | None:
                pass
            case Mapping():
                words += [word for key, share in value.items() for word in (name, f"{key}={share}")]
            case tuple():
                words += [word for version in value for word in (name, str(version))]
            case _:
                words += [name, str(value)]
    return words


def server_tls(options: ServerOptions) -> ssl.SSLContext | None:
    """None for plain ``ws``.

    Raises:
        ConfigError: the certificate or its key cannot be used.
    """
    if options.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "--tls-cert", "", f"cannot be used: {error}", "PEM files of a certificate and its key"
        ) from None
    return context
