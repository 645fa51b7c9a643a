"""The published JSON Schema of scenario files: current, described, and of the same mind as the loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from loadtests import scenario
from loadtests.errors import ConfigError
from loadtests.scenario import BUILT_IN
from loadtests.scenarioschema import PUBLISHED, file_schema, text

CHECKER = jsonschema.Draft202012Validator(file_schema())
LEAST: dict[str, Any] = {
    "scenario": 1, "name": "n", "users": 10, "pace_ms": 1000, "prompts": ["p"], "phases": [{"name": "a", "s": 1}],
}  # fmt: skip


def test_the_stored_schema_is_current() -> None:
    """Run ``python -c "from loadtests.scenarioschema import *; PUBLISHED.write_text(text())"`` after a change."""
    assert PUBLISHED.read_text(encoding="utf-8") == text()


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(file_schema())


@pytest.mark.parametrize("name", scenario.names())
def test_the_built_in_files_fit_as_written_and_as_a_whole(name: str) -> None:
    whole = msgspec.json.decode(msgspec.json.encode(scenario.load(name)[0]))
    for data in (yaml.safe_load((BUILT_IN / f"{name}.yaml").read_text()), whole):
        assert [error.message for error in CHECKER.iter_errors(data)] == []


@pytest.mark.parametrize(
    ("part", "fits"),
    [
        ({}, True),
        ({"retry": "web-client"}, True),
        ({"retry": {"base_ms": 5}}, True),
        ({"arrivals": {"model": "open", "rate_per_s": 3}}, True),
        ({"mix": [{"name": "a", "talks": False}, {"name": "b"}]}, True),
        ({"phases": [{"name": "a", "s": 1, "load": [0, 1]}]}, True),
        ({"people": [{"name": "Ada"}]}, True),
        ({"prompts": None, "prompts_from": "p.txt"}, True),
        ({"prompts": None}, False),
        ({"prompts_from": "p.txt"}, False),
        ({"people_from": "p.txt", "people": []}, False),
        ({"retry": "web-cliemt"}, False),
        ({"retry": {"bas_ms": 5}}, False),
        ({"arrivals": {"model": "opne"}}, False),
        ({"phases": [{"name": "a", "s": 1, "load": [0]}]}, False),
        ({"phases": [{"name": "a", "s": 0}]}, False),
        ({"users": 0}, False),
        ({"prompts": []}, False),
        ({"prompts": None, "journey": [{"send": "x"}, {"await": "done"}, {"switch_thread": {}}]}, True),
        ({"mix": [{"name": "a", "journey": [{"send": {}}, {"await": {"role": "started", "within_ms": 9}}]}]}, True),
        ({"journey": [{"send": "x", "await": "done"}]}, False),
        ({"journey": [{"send": "x"}, {}]}, False),
        ({"journey": [{"send": "x"}, {"await": "begun"}]}, False),
        ({"journey": [{"send": "x"}, {"http": {"get": "no/path"}}]}, False),
        ({"journey": [{"send": "x"}, {"python": "nothing"}]}, False),
        ({"journey": [{"send": "x"}, {"think": None}]}, False),
        ({"usres": 1}, False),
    ],
)
def test_schema_and_loader_are_of_one_mind(tmp_path: Path, part: dict[str, Any], fits: bool) -> None:
    path = tmp_path / "mine.yaml"
    (tmp_path / "p.txt").write_text("hello")
    data = {key: value for key, value in {**LEAST, **part}.items() if value is not None}
    path.write_text(yaml.safe_dump(data))
    assert CHECKER.is_valid(data) is fits
    if fits:
        scenario.load(str(path))
    else:
        with pytest.raises(ConfigError):
            scenario.load(str(path))


def test_keys_are_described_as_where_they_are_declared() -> None:
    records = file_schema()["$defs"]
    described = records["Arrivals"]["properties"]["late_ms"]["description"]
    assert described.startswith("open: an arrival that finds nobody free waits so long")
    assert records["Scenario"]["properties"]["mix"]["description"] == "kinds of users; none: all are alike"
