"""verdict.json keeps its schema, whatever a run and a server did."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from reports.render.json import SCHEMA_PATH, render_json
from tests.reports.judgements import EXAMPLES, go, no_go


def validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_fits_the_schema(name: str) -> None:
    assert not [error.message for error in validator().iter_errors(json.loads(render_json(EXAMPLES[name]())))]


@pytest.mark.parametrize("broken", [{"verdict": "maybe"}, {"schema": 2}, {"checks": [{"id": "order"}]}])
def test_the_schema_refuses_what_is_none(broken: dict[str, object]) -> None:
    assert not validator().is_valid(json.loads(render_json(go())) | broken)


def test_keys_are_sorted_and_equal_judgements_make_equal_texts() -> None:
    text = render_json(no_go())
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert text == render_json(no_go())


def test_numbers_that_are_none_become_null() -> None:
    gate = replace(
        go().gates[0], observed=float("nan"), samples=np.int64(7), interval=(np.float64(0.0), np.float64(0.5))
    )  # type: ignore[arg-type]
    written = json.loads(render_json(replace(go(), gates=(gate,))))["gates"][0]
    assert (written["observed"], written["samples"], written["interval"]) == (None, 7, [0.0, 0.5])


def test_what_the_design_page_shows_is_there() -> None:
    verdict = json.loads(render_json(no_go()))
    assert verdict["verdict"] == "no-go"
    pairing = next(check for check in verdict["checks"] if check["id"] == "pairing")
    assert (
        pairing["witnesses"][0] | {"session": "gx5f1e0c2a-003", "turn": "014", "row": 4017} == pairing["witnesses"][0]
    )
    assert {"planned", "dropped", "sent", "ok", "failed", "censored"} <= verdict["books"].keys()
    assert {"fit", "loop_lag_p99_ms", "cpu_p95", "rows_lost"} <= verdict["generator"].keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_text_is_small_and_holds_no_control_character(name: str) -> None:
    text = render_json(EXAMPLES[name]())
    assert len(text.encode()) < 200_000
    assert not [char for char in text if ord(char) < 32 and char != "\n"]
