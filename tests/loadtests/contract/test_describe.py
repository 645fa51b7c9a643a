"""A contract in words: every promise has its line, and what is not promised has none."""

from __future__ import annotations

import msgspec
import pytest

from loadtests.contract import Contract, load
from loadtests.contract.compile import built_in
from loadtests.contract.describe import described
from loadtests.contract.schema import ContractFile
from tests.loadtests.contract.test_check import SMALL


def told(text: str) -> dict[str, list[str]]:
    return dict(described(Contract(msgspec.yaml.decode(text.encode(), type=ContractFile), "small", text)))


def test_a_small_contract_is_told_whole() -> None:
    assert told(SMALL) == {
        "way in": ["/"],
        "ready": ["at once within 10 s"],
        "events": [
            "started: began", "tool-open: opened", "tool-close: closed", "done: ended*", "content: piece",
            "(*: a turn that ends well must have shown it)", "deprecated: finished for ended", "forbidden: old",
        ],
        "frames": ["type at type"],
        "carries": ["ended: turn", "(turn as run, cursor as n)"],
        "order": ["a (the start): began → b", "b: ended → b", "opened … closed, paired by tool, else count"],
        "turn": ["ends within 60 s", "cut: recovered-or-error, served again within 10 s"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("added", "heading", "line"),
    [
        ("endpoint: {path: /ws, query: {v: '2'}, subprotocols: [chat]}", "way in", "/ws?v=2"),
        ("endpoint: {subprotocols: [chat]}", "way in", "subprotocol chat"),
        ("auth: {mode: header, name: X-Key, value: '{token}'}", "way in", "with a token: header X-Key {token}"),
        ("prelude: [{path: /t, take: {ticket: id}}]", "way in", "POST /t, before each connection, gives ticket"),
        ("handshake: {steps: [{expect: began, take: {room: r}}]}", "ready", "expects began, takes room"),
        ("handshake: {steps: [{send: {type: hi}}]}", "ready", "sends hi"),
        ("handshake: {steps: [{send: {}}]}", "ready", "sends a message"),
        ("handshake: {steps: [{pause_ms: 5}], ready: began, timeout_ms: 500}", "ready", "pauses 5 ms"),
        ("handshake: {ready: began, timeout_ms: 500}", "ready", "began within 0.5 s"),
        ("versions: {path: v, accepted: ['2'], deprecated: ['1']}", "events", "versions at v: 2, and with a warning 1"),
        ("envelope: {type: [kind, what.kind], join: /}", "frames", "type at kind / what.kind"),
        ("envelope: {wrappers: {w: [a, b.c]}}", "frames", "or, within w, at a, b.c"),
        ("envelope: {merge: [data]}", "frames", "fields also in data, later ones win"),
        ("agents: {root: [chief]}", "order", "the turn is over when one of these agents is: chief"),
        ("turn: {concurrent: reject}", "turn", "a message while another turn is under way: reject"),
        ("cancel: {template: {}, within_ms: 1500}", "turn", "can be stopped, and is over within 1.5 s"),
        ("outcomes: {path: s, values: {yes: ok}, events: {ended: refused}}", "turn", "its end says at s how: yes is ok"),
        ("outcomes: {events: {ended: refused}}", "turn", "ended: refused"),
        ("streams: [{event: piece, text: t}]", "text", "piece brings pieces at t"),
        (
            "streams: [{event: piece, text: t, index: i, start: 1, final: {event: ended, text: w}}]", "text",
            "piece brings pieces at t, numbered from 1 at i; whole in ended at w",
        ),
        ("answer: {event: ended, text: w}", "text", "the answer is in ended at w"),
        (
            "client: {base_ms: 50, cap_ms: 2000, attempts: 5, herd_share: 0.25}", "client",
            ("waits up to 50 ms, 2 times as long each time, up to 2 s, 5 times in one outage; "
            "at most 25% of those cut together in one second"),
        ),
        ("budgets: {turn.total: ['p(95)<5']}", "budgets", "turn.total p(95)<5"),
    ],
)  # fmt: skip
def test_a_promise_has_its_line(added: str, heading: str, line: str) -> None:
    assert line in told(SMALL + added.replace("yes:", "'yes':"))[heading]
    assert line not in told(SMALL).get(heading, [])


def test_what_resumes_says_how() -> None:
    lines = dict(described(load("reference")))["turn"]
    assert "a message in doubt is sent again, and executed once" in lines
    assert any(line.startswith("events are numbered from 1;") for line in lines)


@pytest.mark.parametrize("name", built_in())
def test_every_approved_event_is_named(name: str) -> None:
    contract = load(name)
    events = " ".join(dict(described(contract))["events"])
    assert [rule.name for rule in contract.events if rule.name not in events] == []
