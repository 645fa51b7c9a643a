"""From the upgrade to the welcome: steps in their order, frames that come early, pauses, what is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.contract import load
from loadtests.handshake import Handshake

STEPS = """
contract: 1
name: stepped
extends: netra
handshake:
  ready: connection_established
  steps:
    - {expect: handshake_response, take: {thread: data.thread_id}}
    - {send: {type: handshake_acknowledged, thread_id: "{thread}"}}
    - {expect: handshake_complete}
    - {pause_ms: 500}
"""
HELLO = json.dumps({"type": "handshake_response", "data": {"thread_id": "th-7"}}).encode()
NS_PER_MS = 1_000_000


@pytest.fixture
def shake(tmp_path: Path) -> Handshake:
    path = tmp_path / "stepped.yaml"
    path.write_text(STEPS)
    one = Handshake(load(str(path)), lambda: "now", {"thread": "own"})
    one.begin()
    return one


def test_each_step_waits_for_the_one_before(shake: Handshake) -> None:
    out: list[bytes] = []
    assert shake.advance(0, out) is None
    shake.hear("connection_established", b"welcome")  # early: it counts once its turn has come
    assert (shake.advance(0, out), out) == (None, [])
    shake.hear("handshake_response", HELLO)
    assert shake.advance(0, out) is None
    assert json.loads(out[0]) == {"type": "handshake_acknowledged", "thread_id": "th-7"}
    assert shake.values == {"thread": "th-7"}
    shake.hear("handshake_complete", b"{}")
    assert shake.advance(1000, out) is None
    assert shake.pause_until_ns == 1000 + 500 * NS_PER_MS
    assert shake.advance(shake.pause_until_ns - 1, out) is None
    assert shake.advance(shake.pause_until_ns, out) == b"welcome"
    assert len(out) == 1


def test_a_new_connection_begins_anew_and_forgets_what_was_taken(shake: Handshake) -> None:
    out: list[bytes] = []
    shake.hear("handshake_response", HELLO)
    shake.advance(0, out)
    assert shake.values == {"thread": "th-7"}
    shake.begin()
    assert shake.advance(0, out) is None
    assert (len(out), shake.values) == (1, {})


@pytest.mark.parametrize(
    "hello", [b"[1, 2", b"{}", b'{"data": {"thread_id": ""}}', b'{"data": {"thread_id": "%s"}}' % (b"x" * 5000)]
)
def test_a_step_that_brings_not_what_it_must_is_never_done(shake: Handshake, hello: bytes) -> None:
    out: list[bytes] = []
    shake.hear("handshake_response", hello)
    assert (shake.advance(0, out), out) == (None, [])


def test_only_what_is_waited_for_is_remembered(shake: Handshake) -> None:
    for number in range(100):
        shake.hear(f"noise-{number}", b"x")
    assert shake._heard == {}


def test_a_contract_without_welcome_and_steps_is_done_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text('contract: 1\nname: bare\nextends: netra\nhandshake: {ready: ""}\n')
    assert Handshake(load(str(path)), lambda: "now", {"thread": "own"}).advance(0, []) == b""


def test_a_token_is_said_and_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "init.yaml"
    path.write_text(
        "contract: 1\nname: init\nextends: netra\nhandshake: {steps: [{send: {type: init, key: 'Bearer {token}'}}]}\n"
    )
    out: list[bytes] = []
    shake = Handshake(load(str(path)), lambda: "now", {"token": "secret"})
    shake.advance(0, out)
    assert json.loads(out[0]) == {"type": "init", "key": "Bearer secret"}
    assert shake.values == {}


def test_what_a_step_takes_is_told_before_it_is_its_turn_but_for_the_id_that_witnesses_need(tmp_path: Path) -> None:
    path = tmp_path / "keyed.yaml"
    path.write_text(STEPS.replace("{thread: data.thread_id}", "{thread: data.thread_id, key: data.key}"))
    told: list[str] = []
    shake = Handshake(load(str(path)), lambda: "now", {}, told.append)
    for data in ({"thread_id": "th-7", "key": "k-1"}, {"key": 17}, {"key": ""}, {"key": "x" * 5000}, {}):
        shake.hear("handshake_response", json.dumps({"data": data}).encode())
    shake.hear("connection_established", json.dumps({"data": {"key": "k-2"}}).encode())
    assert told == ["k-1", "17"]
