"""The AsyncAPI document: valid by the published schema, and its payloads accept exactly what the decoder does."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from loadtests.contract import asyncapi, load
from loadtests.contract.asyncapi import payload_of
from loadtests.contract.compile import built_in
from loadtests.contract.example import VALUES, example_frame

PUBLISHED = json.loads(Path(__file__).with_name("asyncapi-3.0.0.schema.json").read_bytes())
CHECKER = jsonschema.Draft7Validator(PUBLISHED)


@cache
def document(name: str) -> dict[str, Any]:
    return asyncapi.document(load(name))


@pytest.mark.parametrize("name", built_in())
def test_the_document_is_valid(name: str) -> None:
    made = document(name)
    assert [error.message for error in CHECKER.iter_errors(made)] == []
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize("break_", ["asyncapi", "info", "channels", "operations"])
def test_the_schema_would_tell(break_: str) -> None:
    made = {**document("ag-ui"), break_: 7}
    assert list(CHECKER.iter_errors(made))


@pytest.mark.parametrize("name", built_in())
def test_every_reference_leads_somewhere(name: str) -> None:
    made = document(name)

    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [ref for value in part.values() for ref in references(value)]
        return [ref for value in part for ref in references(value)] if isinstance(part, list) else []

    found = references(made)
    assert found
    for reference in found:
        here: Any = made
        for step in reference.removeprefix("#/").split("/"):
            here = here[step.replace("~1", "/").replace("~0", "~")]


@pytest.mark.parametrize("name", built_in())
def test_every_event_has_a_message_that_its_example_fits(name: str) -> None:
    contract = load(name)
    messages = document(name)["components"]["messages"]
    for rule in contract.events:
        message = messages[rule.name]
        assert {"name": rule.role} in message["tags"]
        validator = jsonschema.Draft7Validator(message["payload"])
        for one in message["examples"]:
            assert validator.is_valid(one["payload"]), rule.name
    for alias in contract.file.aliases:
        assert {"name": "deprecated"} in messages[alias]["tags"]


def accepted(name: str, kind: str, frame: dict[str, Any]) -> tuple[bool, bool]:
    """By the document, by the decoder."""
    contract = load(name)
    rule = contract.by_name[contract.file.aliases.get(kind, kind)]
    index, _, bits, *_ = contract.decode(json.dumps(frame).encode())
    return jsonschema.Draft7Validator(payload_of(contract, kind, rule)).is_valid(
        frame
    ), index == rule.index and not bits


TOOL = {"run_id": "r", "agent_name": "a", "seq": 1, "tool_name": "t", "execution_id": "e"}


@pytest.mark.parametrize(
    ("frame", "right"),
    [
        ({"type": "tool_executing", **TOOL}, True),
        ({"type": "tool_executing", "data": TOOL}, True),
        ({"type": "tool_executing", "payload": TOOL}, True),
        ({"type": "tool_executing", **TOOL, "tool_name": None, "name": "other name"}, True),
        ({"type": "agent_progress", "data": {"event": "tool_executing", **TOOL}}, True),
        ({"type": "system_message", "event": "tool_executing", **TOOL}, True),
        ({"type": "agent_progress", "event": "tool_executing", **TOOL}, False),
        ({"type": "tool_executing", **TOOL, "seq": "1"}, False),
        ({"type": "tool_executing", **TOOL, "execution_id": ""}, False),
        ({"type": "tool_executing", "run_id": "r"}, False),
        ({"type": "tool_completed", **TOOL, "results": {}}, False),
    ],
)
def test_a_payload_is_accepted_as_the_decoder_does(frame: dict[str, Any], right: bool) -> None:
    assert accepted("reference", "tool_executing", frame) == (right, right)


def test_a_type_of_several_parts_is_told_part_by_part() -> None:
    frame = example_frame(load("graphql-transport-ws"), "next.Thought", VALUES)
    assert accepted("graphql-transport-ws", "next.Thought", frame) == (True, True)
    assert accepted("graphql-transport-ws", "next.Thought", {**frame, "type": "error"}) == (False, False)


def test_what_clients_send_is_there_with_what_it_is_for() -> None:
    made = document("reference")
    operations = {name: one["action"] for name, one in made["operations"].items()}
    assert operations == {
        "events": "send", "message": "receive", "cancel": "receive", "resume": "receive", "reply.ping": "receive",
        "reply.heartbeat": "receive", "keepalive": "receive",
    }  # fmt: skip
    assert "handshake1" in document("netra-v2")["operations"]
    for name, message in made["components"]["messages"].items():
        if name in operations:
            assert jsonschema.Draft7Validator(message["payload"]).is_valid(message["examples"][0]["payload"])
