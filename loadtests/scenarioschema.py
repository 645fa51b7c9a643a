"""The JSON Schema of scenario files, for editors and for other programs; each key is described as where it is declared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from loadtests import limits, prompts, retry, scenario, workload
from loadtests.contract import schema
from loadtests.remarks import describe

__all__ = ["PUBLISHED", "file_schema", "text"]

PUBLISHED = Path(__file__).with_name("scenario.schema.json")


def file_schema() -> dict[str, Any]:
    """Of files as they are written: a retry policy may be named there."""
    made = msgspec.json.schema(scenario.Scenario)
    records = made["$defs"]
    describe(records, [scenario, workload, limits, prompts, retry, schema])
    policy = records["Scenario"]["properties"]["retry"]
    keys = {key: policy.pop(key) for key in ("$ref", "allOf") if key in policy}
    policy["anyOf"] = [keys, {"enum": retry.names()}]
    whole = records["Scenario"]
    for key, what in (
        ("prompts", "prompts: CSV, JSON lines, or a text a line"),
        ("people", "people: CSV or JSON lines"),
    ):
        whole["properties"][f"{key}_from"] = {
            "type": "string",
            "description": f"a file with {what}; its path from this file's folder",
        }
        whole.setdefault("allOf", []).append({"not": {"required": [key, f"{key}_from"]}})
    whole["required"].remove("prompts")
    whole["anyOf"] = [{"required": ["prompts"]}, {"required": ["prompts_from"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Gauntlet scenario, format 1",
        "description": "How many users do what for how long, which faults they meet, and what must hold.",
        **made,
    }


def text() -> str:
    """As it is stored."""
    return json.dumps(file_schema(), indent=1, sort_keys=True) + "\n"
