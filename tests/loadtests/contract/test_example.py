"""A contract's own example: the judge finds nothing wrong with it, and an order that allows none is seen."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from loadtests.contract import Contract, load
from loadtests.contract.compile import built_in
from loadtests.contract.example import Said, example, example_frame, legal_turn
from loadtests.contract.schema import ContractFile
from loadtests.findings import Finding
from loadtests.history import End
from loadtests.session import Identity, Session
from loadtests.turn import Rules
from tests.loadtests.contract.test_check import SMALL

MS = 1_000_000


class Tape:
    """As much of a recorder as a session needs."""

    def __init__(self) -> None:
        self.frames_received = 0
        self._strings: dict[str, int] = {}
        self.known = self._strings.get
        self._rows = 0

    def row(self, *_: Any) -> int:
        self._rows += 1
        return self._rows

    def ordinary(self, *_: Any) -> int:
        return self.row()

    def intern(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings) + 1)

    def keep(self, *_: Any, **__: Any) -> None:
        pass


def played(contract: Contract, said: list[Said]) -> tuple[Session, list[Finding]]:
    """The example as a conversation with a real session; what the client says there must be what the session says."""
    tape, found = Tape(), list[Finding]()
    rules = Rules(contract, frozenset(map(tape.intern, contract.file.agents.root)))
    session = Session(contract, rules, Identity("gx0badcafe", 1), tape, found.append, lambda: "now")
    now = MS
    session.dial(now)
    session.opened(now)
    for one in said:
        now += MS
        session.tick(now + 1000 * MS)
        if one.by == "client":
            if session.ready:
                session.begin(now, "hello", now)
            assert json.loads(session.outbox.pop(0)).keys() == one.frame.keys()
            continue
        text = json.dumps(one.frame)
        if session.flight is not None:
            text = text.replace("run_1", session.flight.turn_id)
        session.frame(text.encode(), now)
    session.stop(now)
    return session, found


@pytest.mark.parametrize("name", built_in())
def test_the_judge_finds_nothing_wrong_with_an_example(name: str) -> None:
    contract = load(name)
    session, found = played(contract, example(contract))
    assert [finding.kind.name for finding in found] == []
    assert (session.turns, session.last_end, session.flights) == (1, End.OK, {})


@pytest.mark.parametrize("name", built_in())
def test_an_example_without_one_demanded_event_is_not_right(name: str) -> None:
    """Else the test above would show nothing."""
    contract = load(name)
    said = example(contract)
    for rule in contract.demanded:
        if rule.role == "done":
            continue
        less = [
            one
            for one in said
            if one.by == "client" or contract.decode(json.dumps(one.frame).encode())[0] != rule.index
        ]
        _, found = played(contract, less)
        assert found, rule.name


@pytest.mark.parametrize("name", built_in())
def test_an_example_shows_a_tool_a_thought_and_a_whole_text(name: str) -> None:
    contract = load(name)
    roles = {contract.roles[index] for index in legal_turn(contract)}
    wanted = {"started", "thinking", "tool-open", "tool-close", "done"} | ({"content"} if contract.stream_of else set())
    assert wanted <= roles


@pytest.mark.parametrize("name", built_in())
def test_any_event_can_be_shown(name: str) -> None:
    contract = load(name)
    for rule in contract.events:
        index, standing, bits, *_ = contract.decode(
            json.dumps(example_frame(contract, rule.name, {"cursor": 1})).encode()
        )
        assert (index, standing, bits) == (rule.index, 0, 0), rule.name


def small(old: str = "", new: str = "") -> Contract:
    text = SMALL.replace(old, new) if old else SMALL
    return Contract(msgspec.yaml.decode(text.encode(), type=ContractFile), "small", text)


def named(contract: Contract) -> list[str]:
    return [contract.label(index) for index in legal_turn(contract)]


def test_what_is_closed_is_opened_before() -> None:
    demanding = "closed: {role: tool-close, demanded: true}"
    assert named(small("closed: {role: tool-close}", demanding)) == ["began", "opened", "closed", "ended"]


def test_a_state_is_passed_through_that_shows_nothing_demanded() -> None:
    states = "{a: {began: b}, b: {piece: c}, c: {ended: c}}"
    contract = small("{a: {began: b}, b: {ended: b}}", states)
    assert [contract.label(index) for index in legal_turn(contract, whole=False)] == ["began", "piece", "ended"]


@pytest.mark.parametrize(
    "states",
    [
        "{a: {began: a}, b: {ended: b}}",
        "{a: {ended: b}, b: {began: b}}",
        "{a: {began: b, piece: a}, b: {}, c: {ended: c}}",
    ],
)
def test_an_order_that_lets_no_turn_end_well_has_no_example(states: str) -> None:
    contract = small()
    rows = msgspec.yaml.decode(states.encode())
    contract.automaton = {s: {contract.by_name[e].index: t for e, t in row.items()} for s, row in rows.items()}
    contract.ordered = (False, *(any(r.name in row for row in rows.values()) for r in contract.events))
    assert legal_turn(contract) == ()


def test_without_an_order_the_roles_have_theirs() -> None:
    text = SMALL[: SMALL.index("order:")]
    contract = Contract(msgspec.yaml.decode(text.encode(), type=ContractFile), "small", text)
    assert named(contract) == ["began", "opened", "closed", "ended"]


@pytest.mark.parametrize(
    ("path", "frame"),
    [
        ("run", {"type": "ended", "run": "r"}),
        ("a.b", {"type": "ended", "a": {"b": "r"}}),
        ("a.1.b", {"type": "ended", "a": [{}, {"b": "r"}]}),
        ("a.0", {"type": "ended", "a": ["r"]}),
    ],
)
def test_a_field_stands_at_its_path(path: str, frame: dict[str, Any]) -> None:
    assert example_frame(small("turn: [run]", f"turn: [{path}]"), "ended", {"turn": "r", "cursor": 1}) == {
        **frame,
        "n": 1,
    }
