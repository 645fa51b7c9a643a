"""The foreign server does what its page says, before any harness is measured by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from websockets.sync.client import connect

from loadtests.contract import load
from loadtests.errors import RigError
from tests.live.foreign_server import build, foreign_server

pytestmark = pytest.mark.live

FIVE = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]


@pytest.mark.parametrize("shape", ["flat", "data", "payload", "wrapped"])
def test_one_turn_in_each_shape_decodes_under_netra_and_stands_in_the_truth_file(shape: str, tmp_path: Path) -> None:
    netra = load("netra")
    with foreign_server("-shape", shape, "-gap", "1ms", truth=tmp_path / "truth.jsonl") as server:
        with connect(server.url, subprotocols=["jwt.ann.x.y"], open_timeout=5) as client:  # type: ignore[list-item]
            assert client.subprotocol == "jwt.ann.x.y"
            assert json.loads(client.recv(timeout=5))["type"] == netra.file.handshake.ready
            client.send(json.dumps({"type": "user_message", "payload": {"content": "hi", "run_id": "r1"}}))
            seen = [netra.decode(client.recv(timeout=5, decode=False)) for _ in FIVE]
        assert [(netra.label(s[0]), s[2], s[5][0]) for s in seen] == [(name, 0, "r1") for name in FIVE]
        assert [(e.run, e.event, e.written) for e in server.emitted()] == [("r1", name, True) for name in FIVE]


def test_it_is_built_once_for_its_source() -> None:
    first = build()
    stamp = first.stat().st_mtime_ns
    assert (build(), first.stat().st_mtime_ns) == (first, stamp)


def test_a_wrong_flag_is_told_at_once() -> None:
    with pytest.raises(RigError, match="no-such-flag"), foreign_server("-no-such-flag"):
        pass
