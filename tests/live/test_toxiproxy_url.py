"""A Toxiproxy that somebody else runs: used for our proxies, and nothing of a stranger's in it is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from chaos.server import ToxiproxyServer, provide
from tests.live.gauntlet import CHAOS, Ended, gauntlet, scenario

pytestmark = pytest.mark.live

STRANGER = {"name": "strangers-redis", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:6379", "enabled": True}
TOXIC = {
    "name": "slow",
    "type": "latency",
    "stream": "downstream",
    "toxicity": 1.0,
    "attributes": {"latency": 99, "jitter": 1},
}


def call(server: ToxiproxyServer, path: str, body: dict[str, Any] | None = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    with urlopen(Request(server.url + path, data), timeout=5) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ended, Any, Any]]:
    """The run, and all that stood in the Toxiproxy before and after it."""
    folder: Path = tmp_path_factory.mktemp("shared")
    server = ToxiproxyServer.start(provide(print), {}, folder / "toxiproxy.log")
    try:
        call(server, "/proxies", STRANGER)
        call(server, f"/proxies/{STRANGER['name']}/toxics", TOXIC)
        before = call(server, "/proxies")
        ended = gauntlet("run", scenario(folder / "short.yaml", CHAOS), "--toxiproxy-url", server.url, cwd=folder)
        yield ended, before, call(server, "/proxies")
        assert server.alive
    finally:
        server.stop()


def test_a_run_through_it_is_go_and_the_fault_bit(shared: tuple[Ended, Any, Any]) -> None:
    ended, _, _ = shared
    assert (ended.code, ended.ids) == (0, set()), ended
    assert [fault["effect"] for fault in ended.verdict["faults"]] == ["confirmed"]
    assert ended.verdict["cleanup"] == "nothing left behind"


def test_the_stranger_s_proxy_is_as_it_was_and_ours_are_gone(shared: tuple[Ended, Any, Any]) -> None:
    _, before, after = shared
    assert after == before
    assert [toxic["name"] for toxic in after["strangers-redis"]["toxics"]] == ["slow"]
