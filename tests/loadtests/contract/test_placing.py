"""Placeholders: in every place those that have a value by then, and no others."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loadtests.contract.placing import places
from loadtests.contract.schema import ContractFile

LEAST: dict[str, Any] = {"contract": 1, "name": "n", "send": {"template": {}}, "events": {"e": {}}}
TICKET = {"path": "/t", "take": {"ticket": "id"}}
ROOM = {"expect": "e", "take": {"room": "r"}}


def told(**parts: Any) -> list[tuple[str, str]]:
    return [(one.place, one.problem) for one in places(msgspec.convert({**LEAST, **parts}, ContractFile))]


@pytest.mark.parametrize(
    "parts",
    [
        {"send": {"template": {"a": ["{content} {thread}", {"b": "{turn}{message}{now}"}]}}},
        {"resume": {"ask": {"a": "{stream}{cursor}{now}"}}},
        {"cancel": {"template": {"a": "{thread}{turn}{message}{now}"}}},
        {"control": {"replies": {"e": {"a": "{now}"}}, "keepalive": {"send": {"a": "{now}"}, "every_ms": 1}}},
        {"prelude": [{"path": "/{token}", "headers": {"A": "{token}"}, "body": {"b": ["{token}"]}}]},
        {"prelude": [TICKET, {"path": "/{ticket}"}], "endpoint": {"path": "/{ticket}", "query": {"t": "{ticket}"}}},
        {"prelude": [TICKET], "auth": {"value": "{token}{ticket}"}, "send": {"template": {"a": "{ticket}"}}},
        {"handshake": {"steps": [ROOM, {"send": {"a": "{room}{now}"}}]}, "send": {"template": {"a": "{room}"}}},
        {"handshake": {"steps": [{"expect": "e", "take": {"thread": "t"}}, {"send": {"a": "{thread}"}}]}},
        {"send": {"template": {"query": "{ chat(a: 1) { id } } {Not} {0} {}"}}},
    ],
)
def test_what_has_a_value_may_be_named(parts: dict[str, Any]) -> None:
    assert told(**parts) == []


@pytest.mark.parametrize(
    ("parts", "place", "name"),
    [
        ({"send": {"template": {"a": "{stream}"}}}, "send.template", "stream"),
        ({"send": {"template": {"{token}": 1}}}, "send.template", "token"),
        ({"resume": {"ask": {"a": "{content}"}}}, "resume.ask", "content"),
        ({"cancel": {"template": {"a": "{content}"}}}, "cancel.template", "content"),
        ({"control": {"replies": {"e": {"a": "{turn}"}}}}, "control.replies.e", "turn"),
        ({"control": {"keepalive": {"send": {"a": "{turn}"}, "every_ms": 1}}}, "control.keepalive.send", "turn"),
        ({"prelude": [{"path": "/{ticket}"}, TICKET]}, "prelude[0].path", "ticket"),
        ({"prelude": [{"path": "/", "headers": {"a": "{now}"}}]}, "prelude[0].headers", "now"),
        ({"endpoint": {"path": "/{token}"}}, "endpoint.path", "token"),
        ({"handshake": {"steps": [ROOM]}, "endpoint": {"query": {"a": "{room}"}}}, "endpoint.query", "room"),
        ({"auth": {"value": "{tokn}"}}, "auth.value", "tokn"),
        ({"handshake": {"steps": [{"send": {"a": "{room}"}}, ROOM]}}, "handshake.steps[0].send", "room"),
    ],
)
def test_what_nobody_fills_is_told(parts: dict[str, Any], place: str, name: str) -> None:
    assert told(**parts) == [(place, f"nobody fills {{{name}}}")]


@pytest.mark.parametrize("name", ["content", "turn", "message", "now", "stream", "cursor", "token"])
def test_the_harnesss_own_names_cannot_be_taken(name: str) -> None:
    assert told(prelude=[{"path": "/", "take": {name: "x"}}]) == [
        (f"prelude[0].take.{name}", f"{{{name}}} is the harness's own")
    ]


@pytest.mark.parametrize("name", ["My", "a-b", "9a", "", "a b"])
def test_a_name_that_is_no_placeholder_cannot_be_taken(name: str) -> None:
    assert told(handshake={"steps": [{"expect": "e", "take": {name: "x"}}]}) == [
        (f"handshake.steps[0].take.{name}", f"{name!r} is no placeholder")
    ]
