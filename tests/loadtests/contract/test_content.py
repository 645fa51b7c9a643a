"""What chunks, whole texts, outcomes and answers are read as."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from loadtests import history
from loadtests.contract.compile import Contract
from loadtests.contract.content import OUTCOMES
from loadtests.contract.schema import ContractFile

TALK = """
contract: 1
name: talk
send: {template: {}}
envelope: {merge: [payload, data], recovered: again}
streams:
  - {event: piece, text: content, index: at, start: 1, final: {event: over, text: whole}}
  - {event: aside, text: data.aside}
outcomes: {path: status, values: {done: ok, partly: degraded, "429": throttled, "true": ok, "false": refused}, events: {stopped: cancelled}}
answer: {event: over, text: whole}
events:
  began: {role: started}
  piece: {role: content}
  aside: {role: content}
  over: {role: done}
  broken: {role: failed}
  stopped: {role: failed}
"""
SILENT = TALK[: TALK.index("streams")] + TALK[TALK.index("events:\n") :]


def compiled(text: str) -> Contract:
    return Contract(msgspec.yaml.decode(text.encode(), type=ContractFile), "talk", text)


ONE = compiled(TALK)


def index(name: str) -> int:
    return ONE.by_name[name].index


def raw(**frame: Any) -> bytes:
    return json.dumps(frame).encode()


@pytest.mark.parametrize(
    ("frame", "chunk"),
    [
        (raw(type="piece", content="a", at=1), (1, "a")),
        (raw(type="piece", data={"content": "a", "at": 2}), (2, "a")),
        (raw(type="s", again=True, data={"type": "piece", "payload": {"content": "a", "at": 3}}), (3, "a")),
        (raw(type="piece", content="a"), (None, "a")),
        (raw(type="piece", content="a", at="1"), (None, "a")),
        (raw(type="piece", at=4), (4, "")),
        (raw(type="piece", content=["a"], at=5), (5, "")),
        (b"\xff", (None, "")),
    ],
)
def test_a_chunk_has_a_number_and_a_text(frame: bytes, chunk: tuple[int | None, str]) -> None:
    assert ONE.stream_of[index("piece")].read(frame) == chunk


def test_streams_are_numbered_in_the_files_order() -> None:
    piece, aside = ONE.stream_of[index("piece")], ONE.stream_of[index("aside")]
    assert (piece.number, piece.start, piece.numbered) == (0, 1, True)
    assert (aside.number, aside.start, aside.numbered) == (1, 0, False)
    assert aside.read(raw(type="aside", data={"aside": "b"})) == (None, "b")
    assert set(ONE.stream_of) == {index("piece"), index("aside")}


@pytest.mark.parametrize(
    ("frame", "text"), [(raw(whole="ab"), "ab"), (raw(data={"whole": ""}), ""), (raw(whole=7), None), (raw(), None)]
)
def test_a_whole_text_is_a_text_or_is_not_there(frame: bytes, text: str | None) -> None:
    rule = ONE.final_of[index("over")]
    assert (rule.stream, rule.read(frame), ONE.read_answer(frame)) == (0, text, text)
    assert set(ONE.final_of) == {ONE.answer_event} == {index("over")}


@pytest.mark.parametrize(
    ("event", "frame", "outcome"),
    [
        ("over", raw(status="done"), "ok"),
        ("over", raw(status="partly"), "degraded"),
        ("over", raw(data={"status": 429}), "throttled"),
        ("over", raw(status=False), "refused"),
        ("over", raw(status="unheard of"), "ok"),
        ("over", raw(status=["done"]), "ok"),
        ("over", raw(), "ok"),
        ("broken", raw(), "failed"),
        ("broken", raw(status="partly"), "degraded"),
        ("stopped", raw(), "cancelled"),
        ("stopped", raw(status="unheard of"), "cancelled"),
    ],
)
def test_an_outcome_is_told_by_value_else_by_event_else_by_role(event: str, frame: bytes, outcome: str) -> None:
    assert OUTCOMES[ONE.outcome(index(event), frame)[0]] == outcome
    assert ONE.says_outcome


def test_an_outcome_that_the_contract_does_not_list_is_told_and_silence_is_none() -> None:
    frames = [raw(status="done"), raw(), raw(status=["done"]), raw(status="unheard of")]
    assert [ONE.outcome(index("over"), frame)[1] for frame in frames] == [True, True, True, False]


def test_a_contract_that_says_nothing_of_it_leaves_it_to_the_role() -> None:
    one = compiled(SILENT)
    assert (one.says_outcome, one.answer_event, one.read_answer(b"{}"), one.stream_of, one.final_of) == (
        False,
        0,
        None,
        {},
        {},
    )
    assert [OUTCOMES[one.outcome(one.by_name[name].index, b"{}")[0]] for name in ("over", "broken")] == ["ok", "failed"]


def test_outcomes_are_numbered_as_rows_number_them() -> None:
    assert OUTCOMES == history.OUTCOMES
