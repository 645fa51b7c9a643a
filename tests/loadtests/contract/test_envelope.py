"""Opening a frame: its type, whatever wraps it, and where its fields may stand."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.contract.envelope import Opener, on_wire, places_of, told_by, type_paths, typed_as
from loadtests.contract.schema import ContractFile, Envelope, Event, Send, Versions

NETRA = Envelope(wrappers={"wrap": ["event", "data.event"]}, merge=["payload", "data"], recovered="recovered")


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ({"type": "began"}, "began"),
        ({"type": "wrap", "event": "began"}, "began"),
        ({"type": "wrap", "event": "nothing", "data": {"event": "began"}}, "began"),
        ({"type": "wrap", "event": 7}, "wrap"),
        ({"type": 7}, None),
        ({"type": "stored", "recovered": True, "data": {"type": "began"}}, "began"),
        ({"type": "stored", "recovered": True, "data": {"type": "wrap", "event": "began"}}, "began"),
        ({"type": "stored", "recovered": True, "data": {"no": "type"}}, "stored"),
        ({"type": "stored", "recovered": "yes", "data": {"type": "began"}}, "stored"),
    ],
)
def test_a_frame_says_what_it_is(frame: dict[str, Any], kind: str | None) -> None:
    assert Opener(NETRA, {"began"}).open(frame).kind == kind


def test_later_containers_win_over_earlier_ones_and_all_over_the_root() -> None:
    frame = {"type": "t", "a": 1, "b": 1, "c": 1, "payload": {"a": 2, "b": 2}, "data": {"a": 3, "b": None}}
    opened = Opener(NETRA).open(frame)
    assert [opened.find(name) for name in ("a", "b", "c", "payload.a", "d")] == [3, 2, 1, 2, None]


def test_a_stored_message_is_opened_as_the_live_one_was() -> None:
    opened = Opener(NETRA).open({"type": "s", "recovered": True, "data": {"type": "t", "payload": {"a": 1}}, "a": 9})
    assert (opened.recovered, opened.find("a"), opened.find("payload.a")) == (True, 1, 1)


@pytest.mark.parametrize(("kind", "paths"), [("type", ("type",)), (["a", "b.c"], ("a", "b.c"))])
def test_a_type_stands_at_one_path_or_at_several(kind: str | list[str], paths: tuple[str, ...]) -> None:
    assert type_paths(Envelope(type=kind)) == paths


def test_a_field_without_names_is_not_on_the_wire() -> None:
    file = ContractFile(
        contract=1, name="n", send=Send(template={}), events={"e": Event()}, fields={"turn": [], "tool": ["t", "u"]}
    )
    assert on_wire(file) == {"tool": ("t", "u")}


@pytest.mark.parametrize(("path", "fields"), [("v", {"version": ("v",)}), ("", {})])
def test_a_version_is_told_where_events_say_one(path: str, fields: dict[str, tuple[str, ...]]) -> None:
    file = ContractFile(
        contract=1, name="n", send=Send(template={}), events={"e": Event()}, fields={"tool": ["t"]},
        versions=Versions(path=path, accepted=["1"] if path else []),
    )  # fmt: skip
    assert told_by(file) == {"tool": ("t",), **fields}


def test_a_plain_name_may_stand_in_any_container_and_a_dotted_one_in_its_place_alone() -> None:
    assert [places_of(NETRA, path) for path in ("a", "data.a")] == [("a", "payload.a", "data.a"), ("data.a",)]


@pytest.mark.parametrize(
    ("paths", "kind", "told"),
    [
        ("type", "a.b", [("type", "a.b")]),
        (["t", "d.k"], "next.Answer", [("t", "next"), ("d.k", "Answer")]),
        (["t", "d.k"], "next.a.b", [("t", "next"), ("d.k", "a.b")]),
        (["t", "d.k"], "over", [("t", "over")]),
    ],
)
def test_a_type_is_told_part_by_part(paths: str | list[str], kind: str, told: list[tuple[str, str]]) -> None:
    assert typed_as(Envelope(type=paths), kind) == told
