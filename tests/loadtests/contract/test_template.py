"""Templates: pieces once, values many times, and always valid JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.contract.template import PLACEHOLDERS, Template, placeholders

VALUES = {
    "content": "{turn}",
    "thread": "t",
    "turn": 'a "quoted" \\ name',
    "message": "m",
    "now": "n",
    "stream": "s",
    "cursor": 7,
}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ({"seq": "{cursor}"}, {"seq": 7}),
        ({"text": "no {cursor}."}, {"text": "no 7."}),
        ({"a": ["{cursor}", {"b": "{content}"}]}, {"a": [7, {"b": "{turn}"}]}),
        ({"a": "{unknown} {stream}"}, {"a": "{unknown} s"}),
        ({"a": "<{turn}>"}, {"a": '<a "quoted" \\ name>'}),
        ({"{": 3, "none": None}, {"{": 3, "none": None}),
    ],
)
def test_a_template_takes_its_values(template: dict[str, object], message: dict[str, object]) -> None:
    assert json.loads(Template(template).render(VALUES)) == message


@given(st.dictionaries(st.sampled_from(PLACEHOLDERS), st.text()))
def test_no_value_breaks_out_of_its_string(values: dict[str, str]) -> None:
    """Whatever a prompt holds, the message is JSON and holds it."""
    filled = {name: values.get(name, "") for name in PLACEHOLDERS}
    template = {name: "{" + name + "}" for name in PLACEHOLDERS}

    assert json.loads(Template(template).render(filled)) == filled


def test_a_contract_adds_names_of_its_own() -> None:
    template = Template({"a": "{room}", "b": "<{room}> {other}"}, ["room"])
    assert template.names == {"room"}
    assert json.loads(template.render({"room": 'x"y'})) == {"a": 'x"y', "b": '<x"y> {other}'}


def test_a_longer_name_is_not_taken_for_a_shorter_one() -> None:
    template = Template({"a": "{turn}{turn_id}"}, ["turn_id"])
    assert json.loads(template.render({"turn": "1", "turn_id": "2"})) == {"a": "12"}


@pytest.mark.parametrize(
    ("template", "names"),
    [("/a/{b}/{c_1}", ["b", "c_1"]), ({"{k}": ["{v}", 1, {"x": "{v} { y }"}]}, ["k", "v", "v"]), ("{A} {} {1a}", [])],
)
def test_every_word_in_braces_is_a_placeholder(template: object, names: list[str]) -> None:
    assert list(placeholders(template)) == names
