"""Several nodes on one log, as processes of their own: what a client is owed when one of them goes, with or without a word."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from loadtests.backend.defects import CLUSTER_DEFECTS
from loadtests.history import NODE_LABEL, RowKind
from loadtests.rundir import read_run
from tests.live.gauntlet import Ended, gauntlet, scenario, together, until
from tests.loadtests.backend import sockets
from tests.loadtests.backend.sockets import get

pytestmark = pytest.mark.live

WITHIN_S = 15.0
SPREAD_S = 1.0
SESSIONS = 12
ONE, OTHER = "node-1", "node-2"


class Nodes:
    """Two of them, and the hand on their parent."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = self.line().removeprefix("listening ")

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def order(self, words: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()
        return self.line()

    async def do(self, words: str) -> None:
        assert await asyncio.to_thread(self.order, words) == f"done {words}"

    @contextlib.asynccontextmanager
    async def joined(self, node: str = "", token: str = "") -> AsyncIterator[Client]:
        """A welcomed client; of that node, if one is named."""
        how: dict[str, Any] = {"subprotocols": [f"jwt.{token}"]} if token else {}
        while True:
            socket = await connect(self.url + ("" if token else "?resume=cursor"), compression=None, **how)
            client = Client(socket)
            client.welcome = await client.next()
            if not node or client.welcome["data"]["node"] == node:
                break
            await socket.close()
        try:
            yield client
        finally:
            socket.transport.abort()


class Client(sockets.Client):
    """Reads events, whether they come live, from a replay or from what was kept."""

    within_s = WITHIN_S

    async def events(self, count: int = 1_000) -> list[dict[str, Any]]:
        """So many, or up to a turn's end, whichever comes first."""
        found: list[dict[str, Any]] = []
        while len(found) < count and not (found and is_end(found[-1])):
            frame = await self.next()
            frame = frame["data"] if frame.get("recovered") else frame
            found += [frame] if "seq" in frame else []
        return found


def is_end(event: Mapping[str, Any]) -> bool:
    return event["type"] == "agent_error" or bool(
        event["type"] == "agent_completed" and event["agent_name"] == "supervisor"
    )


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events]


@contextlib.contextmanager
def cluster(*options: str) -> Iterator[Nodes]:
    command = [sys.executable, "-P", "-m", "loadtests.backend", "--lifeline", "--nodes", "2", *options]
    words = [*command, "--drain-spread", str(SPREAD_S)]
    with subprocess.Popen(words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Nodes(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(WITHIN_S)
            finally:
                process.kill()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with cluster() as both:
        yield both


live = partial(sockets.live, within_s=4 * WITHIN_S)


def test_a_session_cut_from_one_node_resumes_on_the_other_in_the_middle_of_its_turn(nodes: Nodes) -> None:
    async def scene() -> None:
        async with nodes.joined(ONE) as client:
            await client.ask()
            had = await client.events(2)
            stream = client.stream
        async with nodes.joined(OTHER) as client:
            answer = await client.resume(stream, 2)
            had += await client.events()
            assert answer["data"]["resumed"]
        assert numbers(had) == [*range(1, len(had) + 1)]
        assert [is_end(event) for event in had].count(True) == 1
        assert had[-1]["type"] == "agent_completed"

    live(scene)


def test_who_comes_back_takes_the_stream_from_a_connection_that_is_still_open_elsewhere(nodes: Nodes) -> None:
    async def scene() -> None:
        async with nodes.joined(ONE) as old, nodes.joined(OTHER) as new:
            await old.ask()
            await old.events(1)
            assert (await new.resume(old.stream, 1))["data"]["resumed"]
            _, code = await old.until_closed()
            assert code == 1001
            rest = await new.events()
            assert numbers(rest) == [*range(2, 2 + len(rest))]

    live(scene)


def test_a_message_that_is_sent_again_to_another_node_is_executed_once(nodes: Nodes) -> None:
    async def scene() -> None:
        async with nodes.joined(ONE) as client:
            await client.ask("m1")
            stream = client.stream
        async with nodes.joined(OTHER) as client:
            await client.resume(stream, 0)
            await client.ask("m1")
            had = await client.events()
            await client.ask("m1")
            await client.ask("m2")
            had += await client.events()
        begun = [
            event["run_id"] for event in had if event["type"] == "agent_started" and event["agent_name"] == "supervisor"
        ]
        assert begun == ["run_m1", "run_m2"]
        assert numbers(had) == [*range(1, len(had) + 1)]

    live(scene)


def test_what_was_kept_for_a_user_follows_him_to_another_node(nodes: Nodes) -> None:
    async def scene() -> None:
        async with nodes.joined(ONE, token="ann.secret") as client:
            await client.ask()
            had = await client.events(2)
            # A close that is waited for: without numbers to resume from, what was on its way would be lost with the socket.
            closing = asyncio.create_task(client.socket.close())
            last, _ = await client.until_closed()
            await closing
        kept = had + [frame for frame in last if "seq" in frame]
        async with nodes.joined(OTHER, token="ann.secret") as client:
            had = kept + await client.events()
        assert numbers(had) == [*range(1, len(had) + 1)]
        assert len(had) > len(kept)
        assert is_end(had[-1])

    live(scene)


def test_an_old_stream_that_does_not_exist_is_refused_by_every_node(nodes: Nodes) -> None:
    async def scene() -> None:
        async with nodes.joined(ONE) as client:
            assert (await client.resume("st_made_up", 3))["data"] == {
                "resumed": False, "stream_id": "st_made_up", "from_seq": 3, "reason": "unknown stream",
            }  # fmt: skip
            await client.ask()
            assert is_end((await client.events())[-1])

    live(scene)


def test_a_node_killed_in_the_middle_of_turns_leaves_each_with_exactly_one_end(nodes: Nodes) -> None:
    async def scene() -> None:
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(nodes.joined((ONE, OTHER)[i % 2])) for i in range(SESSIONS)]
            for client in clients:
                await client.ask()
            had = [await client.events(1) for client in clients]
            await nodes.do("kill 1")
            for i, client in enumerate(clients):
                with contextlib.suppress(ConnectionClosed):
                    had[i] += await client.events()
            for i in range(0, SESSIONS, 2):
                if not is_end(had[i][-1]):
                    back = await stack.enter_async_context(nodes.joined())
                    assert (await back.resume(clients[i].stream, had[i][-1]["seq"]))["data"]["resumed"]
                    had[i] += await back.events()
        for events in had:
            assert numbers(events) == [*range(1, len(events) + 1)]
            assert [is_end(event) for event in events].count(True) == 1
        ends = Counter(events[-1]["type"] for events in had)
        assert ends["agent_error"] > 0  # else nothing was under way
        assert all(had[i][-1]["type"] == "agent_completed" for i in range(1, SESSIONS, 2))
        await nodes.do("start 1")

    live(scene)


def test_an_announced_restart_of_each_node_loses_nothing_and_spreads_its_closes(nodes: Nodes) -> None:
    codes: Counter[int] = Counter()
    closed_s: list[float] = []

    async def one_session(has_begun: asyncio.Event) -> list[dict[str, Any]]:
        """As clients are to do it: back at once, wherever that is, until the turn has ended and the rollout is over."""
        had: list[dict[str, Any]] = []
        stream, asked = "", 0
        while not over.is_set() or not is_end(had[-1]):
            with contextlib.suppress(ConnectionClosed, OSError, EOFError):
                async with nodes.joined() as client:
                    try:
                        if not stream:
                            stream = client.stream
                        else:
                            assert (await client.resume(stream, len(had)))["data"]["resumed"]
                        while not over.is_set() or not is_end(had[-1]):
                            if not had or is_end(had[-1]):
                                asked += 1
                                await client.ask(f"m{asked}")
                            had += await client.events(1)
                            has_begun.set()
                    except ConnectionClosed as closed:
                        codes[closed.rcvd.code if closed.rcvd else 1006] += 1
                        closed_s.append(time.monotonic())
                        raise
        return had

    over = asyncio.Event()

    async def scene() -> None:
        begun = [asyncio.Event() for _ in range(SESSIONS)]
        sessions = [asyncio.create_task(one_session(event)) for event in begun]
        await asyncio.gather(*(event.wait() for event in begun))
        await nodes.do("roll")
        over.set()
        for had in await asyncio.gather(*sessions):
            assert numbers(had) == [*range(1, len(had) + 1)]
            runs = Counter(event["run_id"] for event in had if is_end(event))
            assert set(runs.values()) == {1}
            assert {event["run_id"] for event in had} == set(runs)
            assert {event["type"] for event in had if is_end(event)} == {"agent_completed"}

    live(scene)
    assert set(codes) == {1001, 1012}
    assert sum(codes.values()) >= SESSIONS
    assert max(closed_s) - min(closed_s) > SPREAD_S


def test_orders_that_cannot_be_done_say_why(nodes: Nodes) -> None:
    assert "is up" in nodes.order("start 1")
    assert "node 7 is not up" in nodes.order("kill 7")
    assert "say roll" in nodes.order("dance")
    assert nodes.order("pause 2") == "done pause 2"
    assert nodes.order("resume 2") == "done resume 2"


def test_health_is_of_all_nodes(nodes: Nodes) -> None:
    def settled() -> dict[str, Any] | None:
        health = get(nodes.url.replace("ws", "http", 1) + "/health")[1]
        return health if set(health["nodes"]) == {ONE, OTHER} else None

    health = until(settled, WITHIN_S)
    assert health is not None
    assert health["events_sent"] == sum(one["events_sent"] for one in health["nodes"].values()) > 0


def test_nodes_do_not_outlive_their_parent() -> None:
    with cluster() as both:
        mine = psutil.Process(both.process.pid).children()
        assert len(mine) == 2
        both.process.kill()
        until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in mine), WITHIN_S)


# -- whole runs --------------------------------------------------------------------------------------------------------

DOWN: dict[str, float] = {"warm-up": 2.0, "steady": 3.0, "down": 2.0, "recovery": 8.0}
KILL: dict[str, float] = {"warm-up": 2.0, "steady": 3.0, "kill": 2.0, "recovery": 8.0}
CLEAN = ""
USERS = 30
#: what a turn may lack whose beginning nobody can look up any more
BESIDE = {"epoch-ignored": {"complete"}, "unknown-elsewhere": {"complete"}}


def patient(folder: Path) -> Path:
    """The contract, with budgets that also a slow machine keeps: what is asked here is whether all arrives, and not how soon."""
    file = folder / "patient.yaml"
    budgets = {"connect.ready": ["p(90)<15000"], "event.agent_started": ["p(95)<15000"], "turn.total": ["p(95)<20000"]}
    file.write_text(f"contract: 1\nname: patient\nextends: reference\nbudgets: {json.dumps(budgets)}\n")
    return file


def under_load(folder: Path, defect: str, kill: bool) -> Ended:
    """A run against a cluster: half of its sessions lose their connections, or one node is killed."""
    planted = ("--defect", defect, "--spared-turns", "2") if defect else ()
    with cluster(*planted) as both:
        path = scenario(folder / "mine.yaml", KILL if kill else DOWN, **({"scope": "backend"} if kill else {}))
        if kill:
            victim = psutil.Process(both.process.pid).children()[0].pid
            fault = {
                "kind": "command",
                "apply": ["kill", "-9", str(victim)],
                "verify": ["sh", "-c", f"! kill -0 {victim}"],
            }
            text = path.read_text()
            rows = f"faults: [{json.dumps({'at_s': 0, 'for_s': 2, 'fault': fault})}]"
            assert "name: kill\n" in text
            path.write_text(text.replace("- name: kill\n", f"- name: kill\n  {rows}\n"))
        return gauntlet("run", path, "--target", both.url, "--contract", patient(folder), cwd=folder)


def rolled(folder: Path) -> Ended:
    """A run without a fault, in the middle of which each node is restarted."""
    with cluster() as both, ThreadPoolExecutor(1) as pool:

        def roll() -> str:
            health = f"{both.url.replace('ws', 'http', 1)}/health"
            until(lambda: get(health)[1]["connections"] >= USERS, what="the users")
            return both.order("roll")

        done = pool.submit(roll)
        path = scenario(folder / "mine.yaml", {"warm-up": 2.0, "steady": 12.0}, users=USERS)
        ended = gauntlet("run", path, "--no-chaos", "--target", both.url, "--contract", patient(folder), cwd=folder)
        assert done.result() == "done roll"
    return ended


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ended]:
    def run(name: str, *, kill: bool) -> Ended:
        return under_load(tmp_path_factory.mktemp(name or "clean"), name, kill)

    jobs: dict[str, Callable[[], Ended]] = {
        "down": lambda: run(CLEAN, kill=False),
        "kill": lambda: run(CLEAN, kill=True),
        "roll": lambda: rolled(tmp_path_factory.mktemp("roll")),
        **{name: lambda name=name: run(name, kill=name == "zombie-after-kill") for name in CLUSTER_DEFECTS},  # type: ignore[misc]
    }
    return together(jobs)


@pytest.mark.parametrize("name", ["down", "kill", "roll"])
def test_a_sound_cluster_is_go(runs: Mapping[str, Ended], name: str) -> None:
    ended = runs[name]
    assert (ended.code, ended.ids) == (0, set()), ended


@pytest.mark.parametrize("name", CLUSTER_DEFECTS)
def test_what_only_a_cluster_shows_is_no_go_with_the_ids_of_its_row(runs: Mapping[str, Ended], name: str) -> None:
    ended = runs[name]
    assert ended.code == 99, ended
    assert ended.ids - BESIDE.get(name, set()) == set(CLUSTER_DEFECTS[name].ids["reference"]), ended


def test_a_rollout_moves_everybody_and_every_turn_ends_well(runs: Mapping[str, Ended]) -> None:
    data = read_run(runs["roll"].run)
    codes = Counter(data.rows["code"][data.rows["kind"] == RowKind.CLOSE].tolist())
    assert set(codes) == {1000, 1001, 1012}
    assert codes[1001] + codes[1012] >= USERS
    books = runs["roll"].verdict["books"]
    assert (books["failed"], books["censored"], books["ok"]) == (0, 0, books["sent"])


def test_rows_say_which_node_welcomed_a_session(runs: Mapping[str, Ended]) -> None:
    data = read_run(runs["down"].run)
    ready = data.rows[data.rows["kind"] == RowKind.READY]
    assert {data.strings[label] for label in ready["labels"]} == {NODE_LABEL + ONE, NODE_LABEL + OTHER}
    moved = [
        session
        for session in np.unique(ready["session"])
        if len(np.unique(ready["labels"][ready["session"] == session])) > 1
    ]
    assert moved
