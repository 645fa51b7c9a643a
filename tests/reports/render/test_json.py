"""verdict.json keeps its schema, whatever a run and a server did."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from reports.render.json import SCHEMA_PATH, render_json
from tests.reports.judgements import EVENTS, EXAMPLES, go, no_go


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


def test_the_value_chain_is_for_programs_too_and_its_steps_stand_once() -> None:
    verdict = json.loads(render_json(go()))
    assert [step["name"] for step in verdict["funnel"]] == ["sent", *EVENTS[:4], "partial_result", EVENTS[4]]
    assert verdict["funnel"][0]["turns"] == verdict["books"]["sent"] == sum(verdict["books"]["outcomes"].values())
    assert "funnel" not in verdict["analytics"]
    assert [layer["name"] for layer in verdict["analytics"]["layers"]] == ["fast", "medium", "slow"]
    assert verdict["analytics"]["types"][0] == {
        "type": "agent_mood", "event": "", "standing": "not approved", "frames": 4, "bytes": 812, "example": "gx5f1e0c2a-005.2",
    }  # fmt: skip


def test_a_causes_consequences_are_counted_for_programs() -> None:
    cause = replace(no_go().causes[0], id="pairing", kind="open-without-close", turns=3, window="w2",
                    counted=(("terminal", "never-ended", 3),))  # fmt: skip
    written = json.loads(render_json(replace(no_go(), causes=(cause,))))
    assert validator().is_valid(written)
    assert written["causes"][0]["counted"] == [["terminal", "never-ended", 3]]
    assert (written["causes"][0]["turns"], written["causes"][0]["window"]) == (3, "w2")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_text_is_small_and_holds_no_control_character(name: str) -> None:
    text = render_json(EXAMPLES[name]())
    assert len(text.encode()) < 200_000
    assert not [char for char in text if ord(char) < 32 and char != "\n"]
