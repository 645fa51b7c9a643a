"""Paths into JSON, plain and typed: the two agree, and contradictions leave no typed way."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loadtests.contract.paths import Records, at_path


@pytest.mark.parametrize(
    ("data", "path", "value"),
    [
        ({"a": {"b": 1}}, "a.b", 1),
        ({"a": 1}, "a.b", None),
        ({}, "a", None),
        (None, "a", None),
        ({"a": [1]}, "a.0", 1),
        ({"a": [1]}, "a.1", None),
        ({"a": [1]}, "a.-1", None),
        ({"a": [{"b": 2}]}, "a.0.b", 2),
        ({"a": {"0": 3}}, "a.0", 3),
        ({"a": "text"}, "a.0", None),
    ],
)
def test_paths_end_in_a_value_or_in_none(data: object, path: str, value: object) -> None:
    assert at_path(data, path) == value


def read(leaves: dict[str, Any], raw: bytes) -> dict[str, Any]:
    records = Records()
    for path, kind in leaves.items():
        records.leaf(path, kind)
    decode = records.decoder()
    assert decode is not None
    root = decode(raw)
    return {path: eval(records.expression(path), {"root": root}) for path in leaves}


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b'{"a": null}',
        b'{"a": {"b": {"c": "deep"}}}',
        b'{"a": {"list": []}}',
        b'{"a": {"list": [{"d": "one"}]}}',
        b'{"a": {"list": [null, {"d": "two", "e": 2}]}, "x": "y"}',
    ],
)
def test_a_record_reads_what_the_path_does(raw: bytes) -> None:
    leaves = {"a.b.c": str, "a.list.0.d": str, "a.list.1.d": str, "a.list.1.e": int, "x": str}
    found = read(leaves, raw)
    assert found == {path: at_path(msgspec.json.decode(raw), path) for path in leaves}


@pytest.mark.parametrize("raw", [b'{"a": 1}', b'{"a": {"list": {}}}', b'{"a": {"b": {"c": 1}}}'])
def test_what_does_not_fit_is_refused_for_the_plain_way_to_judge(raw: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        read({"a.b.c": str, "a.list.0": str}, raw)


@pytest.mark.parametrize(
    "leaves",
    [
        [("a", str), ("a.b", str)],
        [("a", str), ("a", int)],
        [("a.0", str), ("a.1", int)],
        [('a"b', str)],
    ],
)
def test_contradictions_leave_no_typed_way(leaves: list[tuple[str, Any]]) -> None:
    records = Records()
    for path, kind in leaves:
        records.leaf(path, kind)
    assert records.decoder() is None


def test_raw_content_gives_way_to_a_type() -> None:
    assert read({"a": str}, b'{"a": "x"}') == {"a": "x"}
    records = Records()
    for kind in (msgspec.Raw, str, msgspec.Raw):
        records.leaf("a", kind)
    decode = records.decoder()
    assert decode is not None
    assert eval(records.expression("a"), {"root": decode(b'{"a": "x"}')}) == "x"


def test_no_word_of_a_contract_stands_in_the_code_made_from_it() -> None:
    records = Records()
    records.leaf("__import__('os').system.0", str)
    assert "import" not in records.expression("__import__('os').system.0")
