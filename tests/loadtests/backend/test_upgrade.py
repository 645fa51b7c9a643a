"""Who is asking: by subprotocol, header, query, in this order; never shown."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import cast

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.typing import Subprotocol

from loadtests.backend.upgrade import Client, client_of, echo_token, json_response, observes
from loadtests.pings import CANARY

NOBODY = cast("ServerConnection", None)


def client(path: str = "/ws", subprotocol: str | None = None, **headers: str) -> Client:
    return client_of(Request(path, Headers(headers)), subprotocol)


@pytest.mark.parametrize(
    ("seen", "user", "trusted"),
    [
        (client(), "", False),
        (client(subprotocol="jwt.ann.x.y"), "ann", True),
        (client(Authorization="Bearer bob.x"), "bob", True),
        (client(Authorization="bearer bob"), "bob", True),
        (client(Authorization="Basic bob"), "", False),
        (client("/ws?token=eve.1"), "eve", True),
        (client("/ws?token=bad-one"), "bad-one", False),
        (client("/ws?token=eve", "jwt.ann", Authorization="Bearer bob"), "ann", True),
        (client(subprotocol="jwt..x"), "", False),
    ],
)
def test_a_client_is_known_by_its_token_up_to_the_first_dot(seen: Client, user: str, trusted: bool) -> None:
    assert (seen.user, seen.trusted) == (user, trusted)


def test_only_the_query_makes_a_client_resume_by_cursor() -> None:
    assert [client(path).cursor for path in ("/ws", "/ws?resume=cursor", "/ws?resume=no")] == [False, True, False]


def test_the_token_subprotocol_is_given_back_whole_and_no_other_is() -> None:
    offered = [Subprotocol("chat"), Subprotocol("jwt.a.b.c")]
    assert echo_token(NOBODY, offered) == "jwt.a.b.c"
    assert echo_token(NOBODY, offered[:1]) is None


def test_a_client_s_token_is_not_in_what_it_shows() -> None:
    assert "secret" not in repr(client(subprotocol="jwt.ann.secret.secret"))


def test_a_json_response_says_its_length_and_kind() -> None:
    response = json_response(HTTPStatus.OK, {"a": 1})
    assert (response.status_code, json.loads(response.body)) == (200, {"a": 1})
    assert response.headers["Content-Length"] == str(len(response.body))
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("agents", "seen"),
    [((), False), ((CANARY,), True), (("curl",), False), (("curl", CANARY), True), (("a", "b"), False)],
)
def test_a_canary_is_known_by_its_own_word(agents: tuple[str, ...], seen: bool) -> None:
    assert observes(Request("/ws", Headers([("User-Agent", one) for one in agents]))) is seen
    assert not observes(None)
