"""The published JSON Schema of contract files: current, described, and of the same mind as the loader."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest
import yaml

from loadtests.contract import load
from loadtests.contract.compile import built_in
from loadtests.contract.published import PUBLISHED, file_schema, text

CHECKER = jsonschema.Draft202012Validator(file_schema())
LEAST: dict[str, Any] = {"contract": 1, "name": "n", "send": {"template": {}}, "events": {"e": {}}}


def test_the_stored_schema_is_current() -> None:
    """Run ``python -c "from loadtests.contract.published import *; PUBLISHED.write_text(text())"`` after a change."""
    assert PUBLISHED.read_text(encoding="utf-8") == text()


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(file_schema())


@pytest.mark.parametrize("name", built_in())
def test_the_built_in_files_fit_as_written_and_as_a_whole(name: str) -> None:
    for data in (yaml.safe_load(built_in()[name].read_text()), yaml.safe_load(load(name).text)):
        assert [error.message for error in CHECKER.iter_errors(data)] == []


@pytest.mark.parametrize("key", LEAST)
def test_what_must_be_said_may_be_inherited_all_but_the_name(key: str) -> None:
    less = {k: v for k, v in LEAST.items() if k != key}
    assert CHECKER.is_valid(LEAST)
    assert not CHECKER.is_valid(less)
    assert CHECKER.is_valid({**less, "extends": "netra"}) is (key != "name")


@pytest.mark.parametrize(
    ("part", "inherits"),
    [
        ({"send": {"resend": True}}, True),
        ({"cancel": {"within_ms": 5}}, True),
        ({"control": {"keepalive": {"every_ms": 5}}}, True),
        ({"events": {"e": None}}, True),
        ({"streams": [{"event": "e"}]}, False),
        ({"prelude": [{"method": "GET"}]}, False),
        ({"evnts": {}}, False),
        ({"events": {"e": {"role": "finish"}}}, False),
        ({"turn": {"deadline_ms": 0}}, False),
    ],
)
def test_what_stands_in_lists_is_whole_and_what_is_merged_need_not_be(part: dict[str, Any], inherits: bool) -> None:
    assert CHECKER.is_valid({"name": "n", "extends": "netra", **part}) is inherits
    if part.keys() & {"send", "cancel", "control"}:
        assert not CHECKER.is_valid({**copy.deepcopy(LEAST), **part})


def test_keys_are_described_as_where_they_are_declared() -> None:
    records = file_schema()["$defs"]
    assert records["Auth"]["properties"]["value"]["description"] == "`{token}` is replaced by the session's token"
    assert records["Stream"]["properties"]["start"]["description"] == "number of the first chunk"
    undescribed = [
        name for name, record in records.items() if not any("description" in p for p in record["properties"].values())
    ]
    assert len(undescribed) < len(records) / 3
