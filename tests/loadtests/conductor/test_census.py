"""The backend's own count of its sessions: asked for over HTTP, without our own canaries, and nothing where it does not say."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from loadtests.backend.options import ServerOptions
from loadtests.backend.server import serving
from loadtests.conductor import census
from loadtests.conductor.census import Census, counted
from loadtests.journal import Journal, read_journal
from loadtests.pings import CANARY
from tests.loadtests.backend.sockets import live
from tests.loadtests.servers import until

GOOD = {"monotonic_ns": 7, "connections": 5, "observers": 2}


def test_canaries_are_no_sessions() -> None:
    assert counted(GOOD) == (7, 3)


@pytest.mark.parametrize(
    "said", [None, [], "x", {}, {**GOOD, "connections": "5"}, {"monotonic_ns": 7, "connections": 5}]
)
def test_who_does_not_say_is_not_counted(said: object) -> None:
    assert counted(said) is None


def test_users_are_counted_once_a_second_and_canaries_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "EVERY_S", 0.02)
    file = tmp_path / "history.jsonl"
    journal = Journal(file)

    async def scene() -> None:
        async with serving(ServerOptions()) as url:
            one = Census(url, journal)
            begun_ns = time.monotonic_ns()
            one.start()
            async with connect(url), connect(url), connect(url, user_agent_header=CANARY):
                await asyncio.to_thread(until, lambda: any(one["sessions"] == 2 for one in read_journal(file)))
            await asyncio.to_thread(one.stop)
            views = read_journal(file)
            assert max(view["sessions"] for view in views) == 2
            assert begun_ns < views[0]["at_ns"] <= views[-1]["at_ns"] < time.monotonic_ns()

    live(scene)


def test_a_backend_that_does_not_answer_is_no_count_and_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "EVERY_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = Census(f"ws://127.0.0.1:{server.getsockname()[1]}/ws", Journal(tmp_path / "history.jsonl"))
        one.start()
        for _ in range(2):  # the first was not the end of it
            server.accept()[0].close()
        one.stop()
        one.stop()
    assert read_journal(tmp_path / "history.jsonl") == []
