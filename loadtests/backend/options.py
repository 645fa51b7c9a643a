"""What the reference backend may be told; knows nothing of how it is served."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from loadtests.backend.frames import Shape
from loadtests.backend.planting import SPARED_TURNS
from loadtests.errors import ConfigError

__all__ = ["ServerOptions", "server_tls"]


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
    tls_cert: Path | None = None
    tls_key: Path | None = None
    build: str = "reference"
    node: str = "node-1"


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
