"""The run's children: started, waited for, ended; and a sentence with the reason when one does not come up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from loadtests.assignment import ENVIRONMENT, Assignment
from loadtests.conductor import processes
from loadtests.conductor.processes import Backend, Load, ask_probe
from loadtests.errors import RigError
from tests.live.gauntlet import until
from tests.loadtests.histories import NONCE

pytestmark = pytest.mark.live
TAG = {"GAUNTLET_TEST_RUN": "this-one"}


def environment_of(pid: int) -> dict[str, str]:
    return psutil.Process(pid).environ()


def test_the_backend_listens_carries_the_tag_and_knows_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_TOKEN", "hush")
    backend = Backend(tmp_path, TAG, 3, "", "CHAT_TOKEN", "build-7")
    try:
        with connect(backend.url, open_timeout=10) as client:
            assert "stream_id" in str(client.recv(timeout=10))
        found = environment_of(backend._process.pid)
        assert (found["GAUNTLET_TEST_RUN"], "CHAT_TOKEN" in found) == ("this-one", False)
        assert backend.alive
    finally:
        backend.stop()
    assert not backend.alive
    assert backend._process.returncode == 0
    backend.stop()


def test_a_backend_that_does_not_come_up_is_told_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(RigError, match=r"backend\.log"):
        Backend(tmp_path, TAG, 3, "no-such-defect", "", "")
    assert "no-such-defect" in (tmp_path / "backend.log").read_text()


def stubborn() -> subprocess.Popen[bytes]:
    script = "import signal,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\nwhile True: signal.pause()"
    process = subprocess.Popen([sys.executable, "-P", "-c", script], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"up\n"
    return process


def test_a_child_that_will_not_end_is_killed() -> None:
    process = stubborn()
    processes._end(process, 0.2)
    assert process.returncode == -signal.SIGKILL
    assert process.stdout
    process.stdout.close()
    processes._end(process, 0.2)


class Started:
    """Instead of starting: what would have been."""

    def __init__(self, command: list[str], **how: Any) -> None:
        self.command, self.how, self.returncode, self.pid = command, how, None, os.getpid()


@pytest.mark.parametrize(
    ("workers", "web", "has", "has_not"),
    [
        (1, False, ["--headless", "--only-summary"], ["--processes", "--autostart"]),
        (3, False, ["--headless", "--processes", "3", "--master-bind-host"], ["--autostart"]),
        (1, True, ["--autostart", "--web-port"], ["--headless", "--processes"]),
    ],
)
def test_locust_is_started_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, web: bool, has: list[str], has_not: list[str]
) -> None:
    monkeypatch.setattr(processes.subprocess, "Popen", Started)
    load = Load(tmp_path, TAG, 60, workers, "ws://h", web=web)
    started: Any = load._process
    assert started.command[:4] == [sys.executable, "-P", "-m", "locust"]
    assert set(has) <= set(started.command)
    assert not set(has_not) & set(started.command)
    assert bool(load.web_url) is web
    assert started.how["env"][ENVIRONMENT] == str(tmp_path / "assignment.json")
    assert started.how["env"]["GAUNTLET_TEST_RUN"] == "this-one"
    assert Path(started.command[started.command.index("-f") + 1]).is_file()


def test_locust_comes_up_and_ends_in_order(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    one = Assignment(
        run_dir=str(tmp_path),
        nonce=NONCE,
        seed=1,
        contract="netra",
        scenario="smoke",
        target="ws://127.0.0.1:9",
        users=2,
    )
    (tmp_path / "assignment.json").write_bytes(msgspec.json.encode(one))
    load = Load(tmp_path, TAG, 2, 1, "ws://127.0.0.1:9", web=False)
    try:
        until((tmp_path / "rows" / "worker-0.up").exists, what="being up")
        assert load.alive
    finally:
        assert load.stop()
    assert json.loads((tmp_path / "rows" / "worker-0.json").read_text())["errors"] == {}


def test_a_probe_that_crashes_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(RigError, match=r"the preflight crashed: .*assignment\.json"):
        ask_probe(tmp_path, TAG, 30)


def test_a_probe_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "assignment.json")
    with pytest.raises(RigError, match="did not end within"):
        ask_probe(tmp_path, TAG, 2)


# -- what faults do to the backend -------------------------------------------------------------------------------------


@pytest.fixture
def comes_back(tmp_path: Path) -> Iterator[Backend]:
    one = Backend(tmp_path, TAG, 3, "", "", "", {"ping_interval_s": 5}, comes_back=True)
    try:
        yield one
    finally:
        one.stop()


def served(url: str) -> bool:
    with connect(url, open_timeout=10) as client:
        return "stream_id" in str(client.recv(timeout=10))


def test_a_killed_backend_comes_back_at_the_same_address_with_its_database(comes_back: Backend, tmp_path: Path) -> None:
    url, first = comes_back.url, comes_back._process.pid
    with connect(url, open_timeout=10) as client:
        client.recv(timeout=10)
        comes_back.kill()
        assert comes_back.alive  # a fault did that: the run goes on
        with pytest.raises(ConnectionClosedError):
            client.recv(timeout=10)
    with pytest.raises(OSError, match="refused"):
        served(url)
    assert (tmp_path / "backend.sqlite").exists()
    comes_back.start()
    assert (comes_back.url, served(url), comes_back._process.pid != first) == (url, True, True)
    comes_back._process.kill()
    comes_back._process.wait()
    assert not comes_back.alive  # nobody meant that


def test_a_paused_backend_keeps_its_connections_and_answers_later(comes_back: Backend) -> None:
    with connect(comes_back.url, open_timeout=10) as client:
        client.recv(timeout=10)
        comes_back.pause()
        pong = client.ping()
        assert not pong.wait(0.2)
        assert comes_back.alive
        comes_back.resume()
        assert pong.wait(10)


def test_a_restart_closes_in_order_and_is_served_when_it_returns(comes_back: Backend) -> None:
    with connect(comes_back.url, open_timeout=10) as client:
        client.recv(timeout=10)
        comes_back.restart()
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code in {1001, 1012}
    assert served(comes_back.url)


def test_a_backend_that_is_paused_can_be_stopped(comes_back: Backend) -> None:
    comes_back.pause()
    comes_back.stop()
    assert comes_back._process.returncode == 0


def test_a_backend_whose_port_is_taken_meanwhile_is_told(comes_back: Backend) -> None:
    host, port = comes_back.url.removeprefix("ws://").split("/")[0].split(":")
    comes_back.kill()
    with socket.create_server((host, int(port))), pytest.raises(RigError, match=r"backend\.log"):
        comes_back.start()


# -- a backend of several nodes ----------------------------------------------------------------------------------------

WITHIN_S = 15.0
#: a node whose parent is gone without a word
GONE_S = 2.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    one = Backend(
        tmp_path_factory.mktemp("cluster"), TAG, 3, "", "", "", {"nodes": 2, "drain_spread_s": 0.2}, comes_back=True
    )
    try:
        yield one
    finally:
        one.stop()


def nodes_of(backend: Backend) -> list[psutil.Process]:
    return psutil.Process(backend._process.pid).children()


def living(nodes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in nodes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@contextmanager
def welcomed(url: str, node: str = "") -> Iterator[tuple[ClientConnection, str]]:
    """A client and its stream; of that node, if one is named."""
    while True:
        with connect(f"{url}?resume=cursor", open_timeout=WITHIN_S) as client:
            welcome = json.loads(client.recv(timeout=WITHIN_S))["data"]
            if node in {"", welcome["node"]}:
                yield client, welcome["stream_id"]
                return


def ask(client: ClientConnection) -> None:
    payload = {"content": "how much?", "thread_id": "t1", "run_id": "run_m1"}
    client.send(json.dumps({"type": "user_message", "message_id": "m1", "payload": payload}))


def is_end(event: dict[str, Any]) -> bool:
    return event["type"] == "agent_error" or (
        event["type"] == "agent_completed" and event["agent_name"] == "supervisor"
    )


def events(client: ClientConnection, count: int = 1_000) -> list[dict[str, Any]]:
    """So many, or up to the turn's end."""
    found: list[dict[str, Any]] = []
    while len(found) < count and not (found and is_end(found[-1])):
        frame = json.loads(client.recv(timeout=WITHIN_S))
        found += [frame] if "seq" in frame else []
    return found


def resumed(url: str, stream: str, had: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is still owed to a client that was cut."""
    with welcomed(url) as (client, _):
        client.send(
            json.dumps({"type": "session_restore", "payload": {"stream_id": stream, "last_seq": had[-1]["seq"]}})
        )
        assert json.loads(client.recv(timeout=WITHIN_S))["data"]["resumed"]
        return had + events(client)


def is_whole(had: list[dict[str, Any]]) -> bool:
    return [one["seq"] for one in had] == [*range(1, len(had) + 1)] and [is_end(one) for one in had].count(True) == 1


def test_a_node_is_killed_and_comes_back_and_the_other_goes_on(cluster: Backend) -> None:
    first, other = nodes_of(cluster)
    with welcomed(cluster.url, "node-1") as (cut, stream), welcomed(cluster.url, "node-2") as (spared, _):
        ask(cut)
        had = events(cut, 2)
        cluster.kill_node()
        with pytest.raises(ConnectionClosedError):
            events(cut)
        assert spared.ping().wait(WITHIN_S)
        assert is_whole(resumed(cluster.url, stream, had))
    assert (living([first, other]), cluster.alive) == ([other], True)
    cluster.start_node()
    assert len(living(nodes_of(cluster))) == 2
    with welcomed(cluster.url, "node-1"):
        pass


def test_each_time_it_is_another_node_that_is_killed(tmp_path: Path) -> None:
    """Whom the first kill cut is with the other node by the second one, which would else cut nobody."""
    one = Backend(tmp_path, TAG, 3, "", "", "", {"nodes": 2})
    try:
        for node in ("node-1", "node-2", "node-1"):
            with welcomed(one.url, node) as (client, _):
                one.kill_node()
                with pytest.raises(ConnectionClosedError):
                    client.recv(timeout=WITHIN_S)
            one.start_node()
    finally:
        one.stop()


def test_a_rollout_restarts_every_node_and_announces_it(cluster: Backend) -> None:
    before = nodes_of(cluster)
    with welcomed(cluster.url, "node-1") as (one, _), welcomed(cluster.url, "node-2") as (two, _):
        cluster.roll()
        for client in (one, two):
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=WITHIN_S)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code in {1001, 1012}
    assert (living(before), len(living(nodes_of(cluster))), served(cluster.url)) == ([], 2, True)


def test_an_order_that_cannot_be_done_says_why_and_the_next_one_is_answered(cluster: Backend) -> None:
    with pytest.raises(RigError, match=r"failed start \d: node \d is up; see .*backend\.log"):
        cluster.start_node()
    cluster.roll()


def test_orders_of_several_threads_come_one_after_the_other(cluster: Backend) -> None:
    begun = threading.Barrier(2)

    def one(words: str) -> None:
        begun.wait()
        for _ in range(20):
            cluster._order(words, WITHIN_S)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(one, words) for words in ("resume 1", "resume 2")]:
            done.result()


def test_a_parent_that_is_silent_is_not_waited_for_and_its_late_answer_is_nobody_elses(cluster: Backend) -> None:
    process = cluster._process
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(RigError, match=r"no answer to 'start 1' within 0\.2 s"):
        cluster._order("start 1", 0.2)  # refused, but too late
    process.send_signal(signal.SIGCONT)
    cluster._order("resume 1", WITHIN_S)


def test_a_cluster_that_is_killed_leaves_no_node_and_resumes_from_its_database(cluster: Backend) -> None:
    url, before = cluster.url, nodes_of(cluster)
    with welcomed(url) as (client, stream):
        ask(client)
        had = events(client, 2)
        cluster.kill()
        with pytest.raises(ConnectionClosedError):
            events(client)
    until(lambda: not living(before), GONE_S, what="the nodes' end")
    with pytest.raises(OSError, match="refused"):
        served(url)
    with pytest.raises(RigError, match="no answer to 'roll'"):
        cluster.roll()
    cluster.start()
    assert (cluster.url, cluster.alive) == (url, True)
    assert is_whole(resumed(url, stream, had))


def test_a_parent_that_dies_of_itself_takes_its_nodes_along(cluster: Backend) -> None:
    before = nodes_of(cluster)
    with welcomed(cluster.url):
        cluster._process.kill()
        cluster._process.wait()
        assert not cluster.alive
        until(lambda: not living(before), GONE_S, what="the nodes' end")
    cluster.stop()
    cluster.start()
    assert served(cluster.url)


def test_a_paused_cluster_answers_nothing_by_any_node_and_goes_on(cluster: Backend) -> None:
    with welcomed(cluster.url, "node-1") as (one, _), welcomed(cluster.url, "node-2") as (two, _):
        cluster.pause()
        pongs = [client.ping() for client in (one, two)]
        assert not any(pong.wait(0.2) for pong in pongs)
        cluster.resume()
        assert all(pong.wait(WITHIN_S) for pong in pongs)


def test_a_cluster_that_is_restarted_whole_resumes(cluster: Backend) -> None:
    with welcomed(cluster.url) as (client, stream):
        ask(client)
        had = events(client, 2)
        cluster.restart()
        with pytest.raises(ConnectionClosed) as closed:
            had += events(client)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code in {1001, 1012}
    assert is_whole(resumed(cluster.url, stream, had))


def test_a_paused_cluster_can_be_stopped_and_leaves_no_node(tmp_path: Path) -> None:
    one = Backend(tmp_path, TAG, 3, "", "", "", {"nodes": 2})
    nodes = nodes_of(one)
    one.pause()
    one.stop()
    assert (one._process.returncode, living(nodes)) == (0, [])


def test_one_process_has_no_nodes_to_be_ordered_about(comes_back: Backend) -> None:
    for deed in (comes_back.kill_node, comes_back.start_node, comes_back.roll):
        with pytest.raises(RigError, match="the embedded backend is one process"):
            deed()
