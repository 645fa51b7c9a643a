"""Calls before the upgrade: what is asked, what is taken, and what a hostile answer cannot do."""

from __future__ import annotations

import json

import pytest

from loadtests.contract.prelude import MOST_TAKEN, CallError, fill, request, taken
from loadtests.contract.schema import Call

TICKET = Call(
    path="/rooms/{room}/ticket", headers={"Authorization": "Bearer {token}", "X-Room": "{room}"},
    body={"ttl": 300, "for": "{room}", "by": ["{token}!"]}, take={"ticket": "data.0.id"},
)  # fmt: skip


def test_a_call_is_filled_in_all_its_parts() -> None:
    made = request(TICKET, {"token": "t", "room": "a/b c"})
    assert (made.method, made.path) == ("POST", "/rooms/a%2Fb%20c/ticket")
    assert dict(made.headers) == {"Authorization": "Bearer t", "X-Room": "a/b c", "Content-Type": "application/json"}
    assert json.loads(made.body) == {"ttl": 300, "for": "a/b c", "by": ["t!"]}


def test_without_a_token_no_credentials_are_offered() -> None:
    made = request(TICKET, {"room": "r"})
    assert "Authorization" not in dict(made.headers)
    assert json.loads(made.body)["by"] == ["!"]


def test_a_call_without_a_body_has_none() -> None:
    assert request(Call(path="/x", method="GET"), {}) == ("GET", "/x", (), b"")


@pytest.mark.parametrize(
    ("body", "value"),
    [(b'{"data": [{"id": "tick"}]}', "tick"), (b'{"data": [{"id": 7}]}', "7"), (b'{"data": {"0": {"id": "x"}}}', "x")],
)
def test_an_answer_gives_its_values(body: bytes, value: str) -> None:
    assert taken(TICKET, 201, body) == {"ticket": value}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b'{"secret": 1}', "answered 401, expected 200 or 201"),
        (500, b"", "answered 500"),
        (200, b"<html>secret</html>", "the answer is no JSON"),
        (200, b"\xff", "the answer is no JSON"),
        (200, b"[" * 100_000, "the answer is no JSON"),
        (200, b"{}", "nothing at 'data.0.id' in the answer, expected text for {ticket}"),
        (200, b'{"data": [{"id": true}]}', "bool at 'data.0.id'"),
        (200, b'{"data": [{"id": ["secret"]}]}', "list at 'data.0.id'"),
        (200, b'{"data": [{"id": ""}]}', "is empty"),
        (200, b'{"data": [{"id": "secret\\r\\nX-Evil: 1"}]}', "is not printable"),
        (200, json.dumps({"data": [{"id": "s" * (MOST_TAKEN + 1)}]}).encode(), "is longer than"),
    ],
)
def test_an_answer_that_will_not_do_is_told_and_never_repeated(status: int, body: bytes, words: str) -> None:
    with pytest.raises(CallError) as caught:
        taken(TICKET, status, body)
    assert caught.value.status == status
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_call_that_takes_nothing_needs_no_json() -> None:
    assert taken(Call(path="/", status=(204,)), 204, b"") == {}


def test_a_name_without_a_value_leaves_nothing_and_other_braces_stay() -> None:
    assert fill("{a}-{b}-{ c }", {"a": "{b}", "b": ""}) == "{b}--{ c }"
