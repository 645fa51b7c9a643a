"""A contract as an AsyncAPI 3 document: the backend's side of it, for whoever generates clients or reads in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from loadtests.contract.compile import Contract, EventRule
from loadtests.contract.decoder import IDS
from loadtests.contract.envelope import places_of, told_by, type_paths, typed_as
from loadtests.contract.example import VALUES, example_frame
from loadtests.contract.template import PLACE, placeholders

__all__ = ["document", "payload_of"]

VERSION = "3.0.0"
CHANNEL = "chat"
Schema = dict[str, Any]


def document(contract: Contract) -> Schema:
    """The whole document, ready for YAML or JSON."""
    file = contract.file
    sent = {_key(rule.name): _event(contract, rule.name, rule) for rule in contract.events}
    sent |= {_key(alias): _event(contract, alias, contract.by_name[name]) for alias, name in file.aliases.items()}
    received = dict(_received(contract))
    return {
        "asyncapi": VERSION,
        "info": {
            "title": file.title or file.name,
            "version": contract.digest,
            "description": f"Made from the contract {file.name}; what backends answer is judged by it.",
        },
        "defaultContentType": "application/json",
        "channels": {
            CHANNEL: {
                "address": file.endpoint.path,
                "messages": {
                    name: {"$ref": f"#/components/messages/{_escaped(name)}"} for name in {**sent, **received}
                },
                "parameters": {
                    name: {"description": "taken by the prelude"} for name in placeholders(file.endpoint.path)
                },
                "bindings": {"ws": _binding(contract)},
            }
        },
        "operations": {
            "events": _operation("send", sent, "What the backend says."),
            **{name: _operation("receive", [name], message["summary"]) for name, message in received.items()},
        },
        "components": {"messages": {**sent, **received}},
    }


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _key(name: str) -> str:
    """A component's name may hold letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^\w.\-]", "_", name)


def _operation(action: str, messages: Iterable[str], summary: str) -> Schema:
    channel = f"#/channels/{CHANNEL}"
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{_escaped(name)}"} for name in messages],
    }


def _binding(contract: Contract) -> Schema:
    query = {name: {"type": "string", "const": value} for name, value in contract.file.endpoint.query.items()}
    query = {name: {"type": "string"} if PLACE.search(one["const"]) else one for name, one in query.items()}
    binding: Schema = {"method": "GET", "bindingVersion": "0.1.0"}
    return binding | ({"query": {"type": "object", "properties": query}} if query else {})


def _received(contract: Contract) -> Iterable[tuple[str, Schema]]:
    """What clients send, by what it is for."""
    file, handshake = contract.file, contract.file.handshake
    yield "message", _template(file.send.template, "A user's message, which begins a turn.")
    if file.cancel is not None:
        yield "cancel", _template(file.cancel.template, "Stops the turn in flight.")
    if contract.resumes:
        yield "resume", _template(file.resume.ask, "Goes on with an event stream on another connection.")
    for i, step in enumerate(handshake.steps):
        if step.send is not None:
            yield f"handshake{i}", _template(step.send, "A step of the handshake.")
    for kind, answer in file.control.replies.items():
        yield f"reply.{_key(kind)}", _template(answer, f"Answers {kind}.")
    if file.control.keepalive is not None:
        yield "keepalive", _template(file.control.keepalive.send, "Said while nothing else is.")


def _template(template: Any, summary: str) -> Schema:
    return {"summary": summary, "payload": _shape(template), "examples": [{"payload": _filled(template)}]}


def _shape(value: Any) -> Schema:
    if isinstance(value, Mapping):
        return {
            "type": "object",
            "properties": {key: _shape(item) for key, item in value.items()},
            "required": list(value),
        }
    if isinstance(value, list):
        return {"type": "array", **({"items": [_shape(item) for item in value]} if value else {})}
    if isinstance(value, str) and PLACE.search(value):
        return {"type": "integer" if value == "{cursor}" else "string"}
    return {"const": value}


def _filled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item) for item in value]
    if not isinstance(value, str):
        return value
    return VALUES["cursor"] if value == "{cursor}" else PLACE.sub(lambda m: str(VALUES.get(m[1], f"{m[1]}_1")), value)


def _event(contract: Contract, kind: str, rule: EventRule) -> Schema:
    message: Schema = {
        "name": kind,
        "summary": f"Deprecated: {rule.name}." if kind != rule.name else f"Role: {rule.role}.",
        "tags": [
            {"name": rule.role},
            *([{"name": "demanded"}] if rule.demanded else []),
            *([{"name": "deprecated"}] if kind != rule.name else []),
        ],
        "payload": payload_of(contract, kind, rule),
    }
    if kind == rule.name:
        message["examples"] = [{"payload": example_frame(contract, kind, VALUES)}]
    return message


def payload_of(contract: Contract, kind: str, rule: EventRule) -> Schema:
    """What the decoder accepts as a whole frame of this type: its type at its paths, each required field at one of its own."""
    envelope, wire, paths = contract.file.envelope, told_by(contract.file), type_paths(contract.file.envelope)
    direct: list[Schema] = [_at(path, {"const": part}) for path, part in typed_as(envelope, kind)]
    outer: dict[str, list[str]] = {}
    for name, inner in envelope.wrappers.items() if len(paths) == 1 else ():
        for path in inner if name != kind else ():
            outer.setdefault(path, []).append(name)
    ways = [{"allOf": [_at(paths[0], {"enum": names}), _at(path, {"const": kind})]} for path, names in outer.items()]
    told: list[Schema] = [{"anyOf": [{"allOf": direct}, *ways]}] if ways else direct
    for field in rule.fields:
        places = [place for name in wire[field] for place in places_of(envelope, name)]
        told.append({"anyOf": [_at(place, _value(field)) for place in places]})
    return {"type": "object", "allOf": told}


def _value(field: str) -> Schema:
    if field == "cursor":
        return {"type": "integer"}
    if field == "version":
        return {"type": ["string", "integer"]}
    return {"type": "string", "minLength": 1} if field in IDS else {"not": {"enum": [None, ""]}}


def _at(path: str, schema: Schema) -> Schema:
    """A value of this schema at a dotted path."""
    for step in reversed(path.split(".")):
        if step.isdecimal():
            items: list[Any] = [*([True] * int(step)), schema]
            schema = {"type": "array", "items": items, "minItems": len(items)}
        else:
            schema = {"type": "object", "properties": {step: schema}, "required": [step]}
    return schema
