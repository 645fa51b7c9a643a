"""Templates: pieces once, values many times, and always valid JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.contract.template import PLACEHOLDERS, Template

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
