"""The JSON Schema of contract files, for editors and for other programs; each key is described as where it is declared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from loadtests.contract import schema
from loadtests.contract.schema import FORMAT, ContractFile
from loadtests.remarks import describe

__all__ = ["PUBLISHED", "file_schema", "text"]

PUBLISHED = Path(__file__).with_name("contract.schema.json")


def file_schema() -> dict[str, Any]:
    """Of files as they are written: one that extends another need not say what that one says."""
    made = msgspec.json.schema(ContractFile)
    records = made["$defs"]
    describe(records, [schema])
    for record in records.values():
        for place in record["properties"].values():
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


def text() -> str:
    """As it is stored."""
    return json.dumps(file_schema(), indent=1, sort_keys=True) + "\n"
