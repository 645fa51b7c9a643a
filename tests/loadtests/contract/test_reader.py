"""Reading named values out of a frame: the typed way is the plain way, in every envelope."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.contract.reader import Reader
from loadtests.contract.schema import Envelope

NETRA = Envelope(merge=["payload", "data"], recovered="recovered")
TEXT = Reader(NETRA, (("text", str), ("index", int), ("deep.0.text", str), ("any", str | int | float | bool)))


@pytest.mark.parametrize(
    ("frame", "values"),
    [
        ({"text": "a", "index": 0}, ("a", 0, None, None)),
        ({"data": {"text": "a", "index": 1}}, ("a", 1, None, None)),
        ({"payload": {"text": "a"}, "index": 2}, ("a", 2, None, None)),
        ({"payload": {"text": "a"}, "data": {"text": "b"}}, ("b", None, None, None)),
        ({"recovered": True, "data": {"type": "t", "payload": {"text": "a"}}}, ("a", None, None, None)),
        ({"text": 7, "index": "7"}, (None, None, None, None)),
        ({"index": True, "any": True}, (None, None, None, True)),
        ({"deep": [{"text": "d"}], "any": 1.5}, (None, None, "d", 1.5)),
        ({"any": []}, (None, None, None, None)),
        ([], (None, None, None, None)),
    ],
)
def test_values_are_read_wherever_the_envelope_puts_them(frame: Any, values: tuple[Any, ...]) -> None:
    raw = json.dumps(frame).encode()
    assert TEXT.read(raw) == values
    assert TEXT.read_slowly(raw) == values


WORDS = st.sampled_from(["text", "index", "deep", "any", "payload", "data", "recovered", "type"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**65),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.dictionaries(WORDS, inner, max_size=5), st.lists(inner, max_size=2)),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_fast_is_slow(tree: Any) -> None:
    raw = json.dumps(tree).encode()
    assert TEXT.read(raw) == TEXT.read_slowly(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"[" * 100_000, b'{"text": "\xff"}', b'{"text": "a", "x": "\xff"}', b"7"]
)
def test_bytes_that_are_no_frame_hold_nothing(raw: bytes) -> None:
    assert TEXT.read(raw) == (None, None, None, None)
