"""The JSON Schema of scenario files, for editors and for other programs; each key is described as where it is declared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from loadtests import journey, limits, prompts, retry, scenario, workload
from loadtests.contract import schema
from loadtests.remarks import describe

__all__ = ["PUBLISHED", "file_schema", "text"]

#: a word of Python's, and so declared under another name
AWAIT = "until the turn has shown a role, or `done`: until all that is under way has ended, and well"
PUBLISHED = Path(__file__).with_name("scenario.schema.json")


def file_schema() -> dict[str, Any]:
    """Of files as they are written: a retry policy may be named there."""
    made = msgspec.json.schema(scenario.Scenario)
    records = made["$defs"]
    describe(records, [scenario, workload, journey, limits, prompts, retry, schema])
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
    # Users may have something to say by their journeys alone.
    whole["anyOf"] = [{"required": ["prompts_from"]}] + [
        {"required": [key], "properties": {key: {"minItems": 1}}} for key in ("prompts", "journey", "mix")
    ]
    step = records["JourneyStep"]
    step["minProperties"] = step["maxProperties"] = 1
    for key, place in step["properties"].items():
        about = {"description": place["description"]} if "description" in place else {}
        choices = [one for one in place["anyOf"] if one != {"type": "null"}]
        step["properties"][key] = {**about, **(choices[0] if len(choices) == 1 else {"anyOf": choices})}
    step["properties"]["await"]["description"] = AWAIT
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Gauntlet scenario, format 1",
        "description": "How many users do what for how long, which faults they meet, and what must hold.",
        **made,
    }


def text() -> str:
    """As it is stored."""
    return json.dumps(file_schema(), indent=1, sort_keys=True) + "\n"
