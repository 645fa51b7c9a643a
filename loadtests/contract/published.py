"""The JSON Schema of contract files, for editors and for other programs; each key is described as where it is declared."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from loadtests.contract import schema
from loadtests.contract.schema import FORMAT, ContractFile

__all__ = ["PUBLISHED", "file_schema", "text"]

PUBLISHED = Path(__file__).with_name("contract.schema.json")


def file_schema() -> dict[str, Any]:
    """Of files as they are written: one that extends another need not say what that one says."""
    made = msgspec.json.schema(ContractFile)
    records = made["$defs"]
    for name, record in records.items():
        described = _described(getattr(schema, name))
        for key, place in record["properties"].items():
            if key in described:
                place["description"] = described[key]
            if "additionalProperties" in place and place["additionalProperties"] is not True:
                place["additionalProperties"] = {"anyOf": [place["additionalProperties"], {"type": "null"}]}
    whole = _needs(records, "ContractFile")
    whole["required"].remove("name")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Gauntlet contract, format {FORMAT}",
        "description": "What a chat backend promises. In a file that extends another, null takes an inherited key away.",
        **made,
        "required": ["name"],
        "if": {"not": {"required": ["extends"]}},
        "then": whole,
    }


def _needs(records: dict[str, Any], name: str) -> dict[str, Any]:
    """Takes the required keys out of a record and of all that it holds directly, for they may be inherited.

    What stands in lists is replaced as a whole, and stays as it is.
    """
    record = records[name]
    needs = {key: below for key, place in record["properties"].items() if (below := _below(records, place))}
    required = record.pop("required", [])
    return ({"required": required} if required else {}) | ({"properties": needs} if needs else {})


def _below(records: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
    for one in (place, *place.get("anyOf", ())):
        if "$ref" in one:
            return _needs(records, one["$ref"].rpartition("/")[2])
    return {}


def _described(record: type) -> dict[str, str]:
    """Key -> the ``#:`` remark above it in the source."""
    found: dict[str, str] = {}
    remark: list[str] = []
    for line in map(str.strip, inspect.getsource(record).splitlines()):
        if line.startswith("#:"):
            remark.append(line[2:].strip())
        else:
            key = line.partition(":")[0]
            if remark and key.isidentifier():
                found[key] = " ".join(remark).replace("``", "`")
            remark = []
    return found


def text() -> str:
    """As it is stored."""
    return json.dumps(file_schema(), indent=1, sort_keys=True) + "\n"
