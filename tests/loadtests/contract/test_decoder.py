"""The typed way to decode a frame is the plain way, on anything that a server may send."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadtests.contract import Contract, load
from loadtests.contract.compile import built_in
from loadtests.contract.decoder import (
    APPROVED,
    DEPRECATED,
    IDS,
    LEGACY,
    MISSING_SHIFT,
    NO_TYPE,
    NOT_JSON,
    UNAPPROVED,
    VERSION_DEPRECATED,
    VERSION_UNKNOWN,
    WRONG_TYPE,
)
from loadtests.contract.schema import ContractFile

ODD = """
contract: 1
name: odd
send: {template: {}}
envelope:
  type: [kind, body.what.0.kind]
  join: "/"
  wrappers: {w: [body.kind, body.what.1.kind]}
  merge: [body, body.inner, what]
  recovered: again
versions: {path: v, accepted: ["1"], deprecated: ["0"]}
fields:
  turn: [body.run, run]
  agent: [agent, body.what.0.agent]
  tool: [what.0.tool]
  cursor: [n]
  said: [said, body.said]
  first: [errors.0.message]
events:
  began: {role: started, fields: [turn, agent, version]}
  a/b: {role: content, fields: [said, first]}
  over: {role: done, fields: [cursor]}
aliases: {done: over}
legacy: [old]
"""


def odd() -> Contract:
    text = msgspec.yaml.decode(ODD.encode(), type=ContractFile)
    return Contract(text, "odd", ODD)


CONTRACTS = {**{name: load(name) for name in built_in()}, "odd": odd()}
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


def trees(name: str) -> st.SearchStrategy[Any]:
    """JSON made of the contract's own words, in places that are often its own too."""
    file = CONTRACTS[name].file
    types = [file.envelope.type] if isinstance(file.envelope.type, str) else file.envelope.type
    paths = [*types, *file.envelope.merge, *(w for ways in file.envelope.wrappers.values() for w in ways)]
    paths += [wire for names in file.fields.values() for wire in names] + [file.versions.path or "v", "x"]
    steps = sorted({step for path in paths for step in path.split(".")} | {file.envelope.recovered or "x"})
    kinds = [*file.events, *file.aliases, *file.legacy, *(part for event in file.events for part in event.split("."))]
    leaves = st.one_of(SCALARS, st.sampled_from([*kinds, "a", "b", "w", "1", "0", "2"]))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.dictionaries(st.sampled_from(steps), inner, max_size=6), st.lists(inner, max_size=2)
        ),
        max_leaves=12,
    )


@pytest.mark.parametrize("name", CONTRACTS)
def test_there_is_a_fast_way(name: str) -> None:
    """Else all that follows would hold without it."""
    decoder = CONTRACTS[name].decoder
    assert decoder.decode != decoder.decode_slowly


@pytest.mark.parametrize("name", CONTRACTS)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_fast_is_slow_in_any_nesting(name: str, data: st.DataObject) -> None:
    decoder, raw = CONTRACTS[name].decoder, json.dumps(data.draw(trees(name))).encode()
    assert decoder.decode(raw) == decoder.decode_slowly(raw)


@pytest.mark.parametrize("name", CONTRACTS)
@settings(max_examples=100, deadline=None)
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
@settings(max_examples=80, deadline=None)
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
    ("frame", "kind", "event"),
    [
        ({"kind": "began"}, "began", "began"),
        ({"kind": "a", "body": {"what": [{"kind": "b"}]}}, "a/b", "a/b"),
        ({"body": {"what": [{"kind": "over"}]}}, "over", "over"),
        ({"kind": "w", "body": {"kind": "over"}}, "over", "over"),
        ({"kind": "w", "body": {"what": [{}, {"kind": "done"}]}}, "done", "over"),
        ({"kind": 7, "body": {"what": []}}, "", "-"),
    ],
)
def test_a_type_may_be_of_several_parts(frame: dict[str, Any], kind: str, event: str) -> None:
    found = seen(frame, "odd")
    assert (found["kind"], found["event"]) == (kind, event)


def test_a_dotted_name_is_a_path_from_the_root_and_a_plain_one_stands_in_any_container() -> None:
    frame = {
        "kind": "began",
        "body": {"run": "r", "inner": {"agent": "near"}},
        "what": [{"tool": "t"}],
        "agent": "far",
        "v": 1,
    }
    found = seen(frame, "odd")
    assert {name: found.get(name) for name in ("turn", "agent", "tool", "version", "bits")} == {
        "turn": "r", "agent": "near", "tool": "t", "version": "1", "bits": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "standing"),
    [
        ({"kind": "began", "v": "1"}, APPROVED),
        ({"kind": "began", "v": 1}, APPROVED),
        ({"kind": "began", "v": "0"}, VERSION_DEPRECATED),
        ({"kind": "began", "v": 2}, VERSION_UNKNOWN),
        ({"kind": "began"}, APPROVED),
        ({"kind": "done", "v": "1"}, DEPRECATED),
        ({"kind": "done", "v": "2"}, VERSION_UNKNOWN),
        ({"kind": "old", "v": "2"}, LEGACY),
        ({"kind": "never", "v": "2"}, UNAPPROVED),
    ],
)
def test_a_version_counts_where_the_type_is_approved(frame: dict[str, Any], standing: int) -> None:
    """A version that an event does not carry is for the event's required fields to miss."""
    assert seen(frame, "odd")["standing"] == standing


@pytest.mark.parametrize("version", [True, 1.5, [], 1 << 80])
def test_a_version_is_a_word_or_a_number(version: object) -> None:
    assert seen({"kind": "over", "n": 1, "v": version}, "odd")["bits"] == WRONG_TYPE


def test_a_field_without_names_is_not_on_the_wire() -> None:
    assert "turn" not in seen({"type": "agent_started", "run_id": "its-own"}, "netra-demo")


def test_a_wire_name_that_no_record_can_hold_is_read_all_the_same() -> None:
    file = msgspec.yaml.decode(ODD.replace("turn: [body.run, run]", "turn: ['ru\"n']").encode(), type=ContractFile)
    one = Contract(file, "odd", "")
    assert one.decode(b'{"kind":"over","ru\\"n":"r","n":1}')[5][0] == "r"
