"""The HTTP side of a connection: which paths there are, and who is asking. A token never leaves this module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from loadtests.pings import CANARY

__all__ = ["Client", "client_of", "echo_token", "json_response", "observes"]

TOKEN_PREFIX = "jwt."  # noqa: S105  # what stands before a token
BAD_TOKEN_PREFIX = "bad"  # noqa: S105  # what a refused one begins with
MOST_CHARACTERS = 128  # of a user's name
MOST_DIGITS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who is asking: no name without credentials."""

    user: str
    #: has a token that nothing is wrong with
    trusted: bool
    #: resumes by cursor
    cursor: bool
    #: in which its token was made: the number behind the token's first dot; 0: it names none
    era: int


def client_of(request: Request | None, subprotocol: str | None) -> Client:
    """By subprotocol, else by header, else by query; the user is the token up to its first dot."""
    path, headers = (request.path, request.headers) if request else ("", Headers())
    query = parse_qs(urlsplit(path).query)
    token = (subprotocol or "").removeprefix(TOKEN_PREFIX)
    if not token:
        scheme, _, value = headers.get("Authorization", "").partition(" ")
        token = value.strip() if scheme.lower() == "bearer" else ""
    token = token or query.get("token", [""])[0]
    user, _, rest = token.partition(".")
    user, era = user[:MOST_CHARACTERS], rest.partition(".")[0]
    trusted = bool(user) and not token.startswith(BAD_TOKEN_PREFIX)
    number = int(era) if era.isascii() and era.isdigit() and len(era) <= MOST_DIGITS else 0
    return Client(user=user, trusted=trusted, cursor=query.get("resume") == ["cursor"], era=number)


def observes(request: Request | None) -> bool:
    """It is no user who is asking, but a canary of the harness, by its own word."""
    return request is not None and CANARY in request.headers.get_all("User-Agent")


def echo_token(_socket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The audited wire gives the subprotocol back whole, token included."""
    return next((name for name in offered if name.startswith(TOKEN_PREFIX)), None)


def json_response(status: HTTPStatus, data: Any) -> Response:
    body = msgspec.json.encode(data)
    headers = Headers()
    headers["Content-Type"] = "application/json"
    headers["Content-Length"] = str(len(body))
    headers["Connection"] = "close"
    return Response(status.value, status.phrase, headers, body)
