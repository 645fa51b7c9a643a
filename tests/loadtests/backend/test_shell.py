"""What connections share: figures of one node or of all, and goodbyes that are spread."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any, cast

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request

from loadtests.backend.cluster import Member
from loadtests.backend.commits import AtOnce
from loadtests.backend.connection import SocketLink
from loadtests.backend.options import ServerOptions
from loadtests.backend.shell import Shell
from loadtests.contract import load
from tests.loadtests.backend.conftest import Stage


class Neighbours:
    """A member that knows of one other node."""

    def stats(self, own: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return {"node-1": own, "node-2": {**dict.fromkeys(own, 5), "more": 1}}


def shell(stage: Stage, member: Neighbours | None = None) -> Shell:
    return Shell(ServerOptions(), load("reference"), stage.backend, AtOnce(), cast("Member | None", member))


def health(one: Shell, path: str = "/ws/health") -> tuple[int, dict[str, Any]]:
    answer = one.respond(cast("ServerConnection", None), Request(path, Headers()))
    assert answer is not None
    return answer.status_code, json.loads(answer.body)


def test_one_server_says_its_own_figures(stage: Stage) -> None:
    link = stage.join()
    stage.ask(link)
    status, said = health(shell(stage))
    assert (status, said["node"], said["connections"], said["turns_running"]) == (200, "node-1", 1, 1)
    assert "nodes" not in said


def test_a_node_says_the_sum_and_whose_it_is(stage: Stage) -> None:
    stage.join()
    _, said = health(shell(stage, Neighbours()))
    assert said["connections"] == 6
    assert {name: one["connections"] for name, one in said["nodes"].items()} == {"node-1": 1, "node-2": 5}


def test_any_other_path_is_not_there(stage: Stage) -> None:
    assert health(shell(stage), "/elsewhere")[0] == 404


def test_goodbyes_are_spread_and_who_comes_meanwhile_hears_one_too(stage: Stage) -> None:
    closed: list[tuple[float, int]] = []

    @dataclass(eq=False)
    class Leaving:
        one: Shell
        brings: bool = False

        def close(self, code: int, _reason: str) -> None:
            closed.append((time.monotonic(), code))
            self.one.links.discard(cast("SocketLink", self))
            if self.brings:
                self.one.links.add(cast("SocketLink", Leaving(self.one)))

    one = shell(stage)
    one.links |= {cast("SocketLink", Leaving(one, brings=i == 0)) for i in range(4)}
    asyncio.run(one.drain(1012, 0.2))
    assert [code for _, code in closed] == [1012] * 5
    assert closed[-1][0] - closed[0][0] >= 0.15
