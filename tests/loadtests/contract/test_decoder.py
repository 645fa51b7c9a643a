"""The typed way to decode a frame is the plain way, on anything that a server may send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadtests.contract import load
from loadtests.contract.decoder import (
    APPROVED,
    DEPRECATED,
    IDS,
    LEGACY,
    MISSING_SHIFT,
    NO_TYPE,
    NOT_JSON,
    UNAPPROVED,
    WRONG_TYPE,
    at_path,
)  # fmt: skip

CONTRACTS = {name: load(name) for name in ("netra", "reference")}
KEYS = sorted(
    {wire for contract in CONTRACTS.values() for names in contract.file.fields.values() for wire in names}
    | {"type", "event", "recovered", "payload", "data", "x"}
)
TYPES = [
    "agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed", "agent_finished", "tool_call",
    "chat_message", "agent_progress", "system_message", "agent_response_complete", "no_such_type", "", "pong",
]  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=6),
    st.sampled_from(["", "r1", "supervisor"]), st.just([]), st.just({}), st.just([{"type": "x"}]),
)  # fmt: skip
LEAVES = st.dictionaries(st.sampled_from(KEYS), st.one_of(SCALARS, st.sampled_from(TYPES)), max_size=9)
CONTAINERS = st.one_of(SCALARS, LEAVES, st.builds(lambda a, b: {**a, "data": b}, LEAVES, LEAVES))
FRAMES = st.builds(
    lambda kind, fields, data, payload, extra: {**fields, **data, **payload, **kind, **extra},
    st.one_of(st.fixed_dictionaries({"type": st.sampled_from(TYPES)}), st.just({})),
    LEAVES,
    st.one_of(st.just({}), st.fixed_dictionaries({"data": CONTAINERS})),
    st.one_of(st.just({}), st.fixed_dictionaries({"payload": CONTAINERS})),
    st.one_of(st.just({}), st.fixed_dictionaries({"recovered": st.one_of(st.booleans(), SCALARS)})),
)
WHOLE = st.fixed_dictionaries({
    "run_id": st.just("r"), "agent_name": st.just("a"), "seq": st.integers(0, 9), "reasoning": SCALARS, "tool_name": st.text(max_size=2),
    "execution_id": st.text(max_size=2), "results": SCALARS,
})  # fmt: skip


def envelopes(fields: dict[str, Any], kind: str, shape: str) -> dict[str, Any]:
    match shape:
        case "flat":
            return {"type": kind, **fields}
        case "data" | "payload":
            return {"type": kind, shape: fields}
        case "wrapped":
            return {"type": "agent_progress", "data": {"event": kind, **fields}}
        case _:
            return {"type": "stored", "recovered": True, "data": {"type": kind, "payload": fields}}


SHAPED = st.builds(
    envelopes, WHOLE, st.sampled_from(TYPES), st.sampled_from(["flat", "data", "payload", "wrapped", "recovered"])
)


@pytest.mark.parametrize("name", CONTRACTS)
@settings(max_examples=250, deadline=None)
@given(frame=st.one_of(FRAMES, SHAPED), cut=st.one_of(st.none(), st.integers(0, 60)))
@example(frame={"type": "agent_thinking", "run_id": "r", "agent_name": "a", "seq": 1, "reasoning": None}, cut=None)
@example(frame={"type": "agent_thinking", "reasoning": "x", "data": {"reasoning": ""}}, cut=None)
@example(frame={"type": "agent_started", "x": 1e308}, cut=None)
def test_fast_is_slow_on_json(name: str, frame: dict[str, Any], cut: int | None) -> None:
    raw = json.dumps(frame).encode()
    decoder = CONTRACTS[name].decoder
    raw = raw if cut is None else raw[:cut]
    assert decoder.decode(raw) == decoder.decode_slowly(raw)


@pytest.mark.parametrize("name", CONTRACTS)
@settings(max_examples=150, deadline=None)
@given(
    raw=st.binary(max_size=40),
    around=st.sampled_from([b"%s", b'{"type":"agent_thinking","x":"%s"}', b'{"type":%s}', b'{"x":%s}']),
)
def test_fast_is_slow_on_bytes(name: str, raw: bytes, around: bytes) -> None:
    decoder, frame = CONTRACTS[name].decoder, around.replace(b"%s", raw)
    assert decoder.decode(frame) == decoder.decode_slowly(frame)


@pytest.mark.parametrize(
    "inside", [b"1e999", b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'"\xff"', b'"\\ud800"', b"-", b"nan"]
)  # fmt: skip
def test_a_skipped_value_is_judged_like_a_read_one(inside: bytes) -> None:
    decoder = CONTRACTS["reference"].decoder
    raw = b'{"type":"agent_started","run_id":"r","agent_name":"a","seq":1,"x":' + inside + b"}"
    assert decoder.decode(raw) == decoder.decode_slowly(raw)


def seen(frame: dict[str, Any] | bytes, name: str = "reference") -> dict[str, Any]:
    raw = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
    index, standing, bits, recovered, kind, ids = CONTRACTS[name].decode(raw)
    named = {k: v for k, v in zip(IDS, ids, strict=True) if v is not None}
    return {
        "event": CONTRACTS[name].label(index),
        "standing": standing,
        "bits": bits,
        "recovered": recovered,
        "kind": kind,
        **named,
    }


FIELDS = {"run_id": "r", "agent_name": "a", "seq": 7, "tool_name": "t", "execution_id": "e", "results": 0}


@pytest.mark.parametrize("shape", ["flat", "data", "payload", "wrapped", "recovered"])
def test_every_envelope_says_the_same(shape: str) -> None:
    assert seen(envelopes(FIELDS, "tool_completed", shape)) == {
        "event": "tool_completed", "standing": APPROVED, "bits": 0, "recovered": shape == "recovered", "kind": "tool_completed",
        "turn": "r", "agent": "a", "execution": "e", "tool": "t", "cursor": 7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "event", "standing"),
    [
        ("agent_completed", "agent_completed", APPROVED),
        ("agent_finished", "agent_completed", DEPRECATED),
        ("chat_message", "-", LEGACY),
        ("no_such_type", "-", UNAPPROVED),
    ],
)
def test_a_type_has_a_standing(kind: str, event: str, standing: int) -> None:
    found = seen({"type": kind, **FIELDS})
    assert (found["event"], found["standing"], found["kind"]) == (event, standing, kind)
    index, classified = CONTRACTS["reference"].decoder.classify(kind)
    assert (CONTRACTS["reference"].label(index), classified) == (event, standing)


def missing(event: str, *fields: str) -> int:
    wanted = CONTRACTS["reference"].by_name[event].fields
    return sum(1 << (MISSING_SHIFT + wanted.index(field)) for field in fields)


@pytest.mark.parametrize(
    ("change", "bits"),
    [
        ({}, 0),
        ({"reasoning": 0}, 0),
        ({"reasoning": []}, 0),
        ({"reasoning": None}, missing("agent_thinking", "reasoning")),
        ({"reasoning": ""}, missing("agent_thinking", "reasoning")),
        ({"reasoning": None, "thought": "yes"}, 0),
        ({"reasoning": "", "data": {"reasoning": "yes"}}, 0),
        ({"reasoning": "yes", "data": {"reasoning": None}}, 0),
        ({"run_id": None, "seq": None}, missing("agent_thinking", "turn", "cursor")),
        ({"run_id": 7}, WRONG_TYPE),
        ({"seq": "7"}, WRONG_TYPE),
        ({"seq": True}, WRONG_TYPE),
        ({"seq": 7.5}, WRONG_TYPE),
        ({"run_id": 7, "reasoning": None}, WRONG_TYPE | missing("agent_thinking", "reasoning")),
        ({"agent_name": None, "agent": "by its other name"}, 0),
    ],
)
def test_required_fields_are_there_and_of_their_type(change: dict[str, Any], bits: int) -> None:
    frame = {"type": "agent_thinking", "run_id": "r", "agent_name": "a", "seq": 1, "reasoning": "so", **change}
    assert seen(frame)["bits"] == bits


@pytest.mark.parametrize(
    ("raw", "bits"),
    [
        (b"", NOT_JSON), (b"{", NOT_JSON), (b"\xff", NOT_JSON), (b"{} {}", NOT_JSON), (b'\xef\xbb\xbf{"type":"x"}', NOT_JSON),
        (b"[]", NO_TYPE), (b"7", NO_TYPE), (b"{}", NO_TYPE), (b'{"type":7}', NO_TYPE),
    ],
)  # fmt: skip
def test_what_is_no_frame_says_how(raw: bytes, bits: int) -> None:
    assert seen(raw) == {"event": "-", "standing": UNAPPROVED, "bits": bits, "recovered": False, "kind": ""}


def test_a_wrapper_around_nothing_known_stays_what_it_is() -> None:
    assert seen({"type": "agent_progress", "data": {"event": "no_such_type"}})["event"] == "agent_progress"


@pytest.mark.parametrize(
    ("data", "path", "value"),
    [
        ({"a": {"b": 1}}, "a.b", 1),
        ({"a": 1}, "a.b", None),
        ({}, "a", None),
        (None, "a", None),
        ({"a": [1]}, "a.0", None),
    ],
)
def test_paths_end_in_a_value_or_in_none(data: object, path: str, value: object) -> None:
    assert at_path(data, path) == value
