"""The server over real sockets: what a client sees, and what a fault leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from loadtests.backend.frames import SHAPES
from loadtests.backend.server import ServerOptions, serving
from loadtests.contract import load
from loadtests.errors import ConfigError, RigError
from tests.loadtests.backend.sockets import WITHIN_S, Client, get, live

pytestmark = pytest.mark.live

REFERENCE = load("reference")
CURSOR = "?resume=cursor"


@contextlib.asynccontextmanager
async def client(url: str, *, token: str = "", welcomed: bool = True, **how: Any) -> AsyncIterator[Client]:
    if token:
        how["subprotocols"] = [f"jwt.{token}"]
    async with connect(url, compression=None, **how) as socket:
        one = Client(socket)
        if welcomed:
            one.welcome = await one.next()
        yield one


def roles(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["type"] for frame in frames if frame.get("agent_name") == "supervisor"]


async def idle(url: str) -> None:
    """Until no turn is running."""
    async with asyncio.timeout(WITHIN_S):
        while (await asyncio.to_thread(get, url.replace("ws", "http", 1) + "/health"))[1]["turns_running"]:
            pass


def test_a_turn_over_a_real_socket_has_the_five_events_in_order() -> None:
    async def scene() -> None:
        async with serving(ServerOptions()) as url, client(url + CURSOR) as one:
            assert one.welcome["type"] == "connection_established"
            await one.ask()
            frames = await one.until_end()
            assert roles(frames)[:2] == ["agent_started", "agent_thinking"]
            assert {"tool_executing", "tool_completed"} <= set(roles(frames))
            assert [f["seq"] for f in frames] == list(range(1, len(frames) + 1))
            assert {f["stream_id"] for f in frames} == {one.stream}

    live(scene)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_fits_both_contracts(shape: Any) -> None:
    async def scene() -> None:
        async with serving(ServerOptions(shape=shape)) as url, client(url + CURSOR) as one:
            await one.ask()
            shown: dict[str, set[str]] = {"netra": set(), "reference": set()}
            while "agent_completed" not in shown["reference"]:
                raw = json.dumps(await one.next()).encode()
                for name, seen in shown.items():
                    contract = load(name)
                    index, standing, schema, *_ = contract.decode(raw)
                    assert (standing, schema) == (0, 0), raw
                    seen.add(contract.label(index))
            assert {rule.name for rule in REFERENCE.demanded} <= shown["netra"] == shown["reference"]

    live(scene)


@pytest.mark.parametrize("received", [0, 1, 3])
def test_a_turn_cut_by_an_aborted_connection_is_resumed_exactly_once(received: int, tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving(ServerOptions(db=str(tmp_path / "log.db"))) as url:
            async with client(url + CURSOR) as one:
                await one.ask()
                had = [await one.next() for _ in range(received)]
                one.socket.transport.abort()
            async with client(url + CURSOR) as two:
                answer = await two.resume(one.stream, received)
                assert answer["data"]["resumed"] is True
                rest = await two.until_end()
                assert [f["seq"] for f in had + rest] == list(range(1, len(had + rest) + 1))
                await two.ask("m2")
                after = await two.until_end()
                assert after[0]["seq"] == rest[-1]["seq"] + 1
                assert {f["stream_id"] for f in after} == {one.stream}

    live(scene)


def test_the_former_connection_of_a_resumed_stream_is_closed_and_gets_nothing_more() -> None:
    async def scene() -> None:
        async with serving(ServerOptions()) as url, client(url + CURSOR) as old, client(url + CURSOR) as new:
            await old.ask()
            await old.next()
            await new.resume(old.stream, 1)
            assert (await old.until_closed())[1] == 1001
            assert (await new.until_end())[0]["seq"] == 2

    live(scene)


def test_a_known_user_without_a_cursor_gets_what_it_missed_marked_recovered() -> None:
    async def scene() -> None:
        async with serving(ServerOptions()) as url:
            async with client(url, token="ann.x.y") as one:
                assert one.socket.subprotocol == "jwt.ann.x.y"
                await one.ask()
                had = [await one.next()]
                one.socket.transport.abort()
            await idle(url)
            async with client(url, token="ann.x.y") as two:
                late = await two.until_end()
            assert all(f["recovered"] is True for f in late)
            seqs = [f["seq"] for f in had + [f["data"] for f in late]]
            assert seqs == list(range(1, len(seqs) + 1))

    live(scene)


def test_without_credentials_or_cursor_a_cut_turn_is_abandoned() -> None:
    async def scene() -> None:
        async with serving(ServerOptions()) as url:
            async with client(url) as one:
                await one.ask()
                await one.next()
                one.socket.transport.abort()
            async with client(url) as two:
                await idle(url)
                await two.say(type="ping")
                assert (await two.next())["type"] == "pong"

    live(scene)


def test_the_same_message_twice_is_executed_once() -> None:
    async def scene() -> None:
        async with serving(ServerOptions()) as url, client(url + CURSOR) as one:
            await one.ask()
            await one.ask()
            frames = await one.until_end()
            await one.ask()
            await one.say(type="ping")
            assert (await one.next())["type"] == "pong"
            assert roles(frames).count("agent_started") == 1

    live(scene)


def test_history_bad_json_unknown_types_and_pings_over_one_socket() -> None:
    async def scene() -> None:
        async with serving(ServerOptions()) as url, client(url + CURSOR) as one:
            await one.socket.send("{")
            assert (await one.next())["error_code"] == "JSON_PARSE_ERROR"
            await one.socket.send(b"\xff\x00")
            assert (await one.next())["error_code"] == "JSON_PARSE_ERROR"
            await one.say(type="dance")
            assert (await one.next())["received_type"] == "dance"
            await one.ask()
            frames = await one.until_end()
            await one.say(type="get_thread_history", payload={"thread_id": "t1"})
            assert (await one.next())["data"]["events"] == frames

    live(scene)


@pytest.mark.parametrize(("token", "refused"), [("", True), ("bad.x.y", True), ("ann.x.y", False)])
def test_a_required_token_is_checked_after_the_upgrade(token: str, refused: bool) -> None:
    async def scene() -> None:
        options = ServerOptions(require_token=True)
        async with serving(options) as url, client(url, token=token) as one:
            if not refused:
                assert one.welcome["data"]["user_id"] == "ann"
                return
            assert one.welcome["error_code"] == "AUTH_FAILED"
            assert await one.until_closed() == ([], 1008)

    live(scene)


def test_tokens_of_a_former_era_are_refused_and_whoever_has_one_is_told_that_it_has_expired(tmp_path: Path) -> None:
    era = tmp_path / "era"

    async def scene() -> None:
        async with (
            serving(ServerOptions(era_file=era)) as url,
            client(url, token="ann.4.x") as old,
            client(url, token="bob.5") as new,
        ):
            assert old.welcome["data"]["user_id"] == "ann"  # nobody has said yet
            era.write_text("5")
            assert (await old.until_closed())[1] == 4001
            async with client(url, token="ann.4.x") as late:
                assert late.welcome["error_code"] == "AUTH_FAILED"
                assert await late.until_closed() == ([], 1008)
            await new.say(type="ping")
            assert (await new.next())["type"] == "pong"
            async with client(url, token="ann.5.y") as again:
                assert again.welcome["data"]["user_id"] == "ann"

    live(scene)


def test_header_and_query_tokens_are_credentials_too() -> None:
    async def scene() -> None:
        async with serving(ServerOptions()) as url:
            async with client(url, additional_headers={"Authorization": "Bearer bob.1"}) as one:
                assert one.welcome["data"]["user_id"] == "bob"
            async with client(url + "?token=eve.1") as one:
                assert one.welcome["data"]["user_id"] == "eve"

    live(scene)


def test_health_answers_over_http_and_other_paths_do_not() -> None:
    async def scene() -> None:
        async with serving(ServerOptions(build="b7", node="n7")) as url:
            base = url.replace("ws", "http", 1).removesuffix("/ws")
            status, health = await asyncio.to_thread(get, base + "/ws/health")
            assert (status, health["build"], health["node"]) == (200, "b7", "n7")
            assert isinstance(health["monotonic_ns"], int)
            assert (await asyncio.to_thread(get, base + "/elsewhere"))[0] == 404

    live(scene)


def test_never_ready_leaves_a_first_connection_waiting_and_serves_who_comes_back() -> None:
    async def scene() -> None:
        async with serving(ServerOptions(defect="never-ready")) as url, contextlib.AsyncExitStack() as stack:
            for _ in range(4):
                await stack.enter_async_context(client(url + CURSOR))
            async with client(url + CURSOR, welcomed=False) as one:
                await one.ask()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await one.socket.recv()
            for _ in range(5):
                async with client(url + CURSOR) as again:
                    assert again.welcome["type"] == "connection_established"

    live(scene)


def test_a_clean_close_in_the_middle_of_a_turn_loses_nothing_of_it() -> None:
    async def scene() -> None:
        async with serving(ServerOptions(defect="clean-close", spared_turns=0)) as url:
            async with client(url + CURSOR) as one:
                await one.ask()
                had, code = await one.until_closed()
                assert code == 1000
                assert had[-1]["type"] == "tool_executing"
            async with client(url + CURSOR) as two:
                await two.resume(one.stream, len(had))
                rest = await two.until_end()
            assert [f["seq"] for f in had + rest] == list(range(1, len(had + rest) + 1))

    live(scene)


def test_a_client_that_reads_nothing_holds_up_nobody_and_not_the_end() -> None:
    async def scene() -> None:
        async with (
            serving(ServerOptions()) as url,
            connect(url + CURSOR, compression=None, max_queue=1) as deaf,
            client(url + CURSOR) as one,
        ):
            deaf.transport.pause_reading()
            for n in range(40):
                payload = {"content": "x" * 100_000, "thread_id": f"t{n}"}
                message = {"type": "user_message", "message_id": f"d{n}", "payload": payload}
                await deaf.send(json.dumps(message))
            await one.ask()
            assert roles(await one.until_end())[-1] == "agent_completed"
            deaf.transport.abort()

    live(scene)


def test_a_new_process_on_the_same_log_resumes_streams_and_fails_what_was_cut(tmp_path: Path) -> None:
    async def scene() -> None:
        options = ServerOptions(db=str(tmp_path / "log.db"))
        async with serving(options) as url, client(url + CURSOR) as one:
            await one.ask()
            whole = await one.until_end()
            await one.ask("m2")
            cut = await one.next()
        async with serving(options) as url, client(url + CURSOR) as two:
            answer = await two.resume(one.stream, 2)
            assert answer["data"]["resumed"] is True
            rest = [await two.next() for _ in range(answer["data"]["last_seq"] - 2)]
            assert [f["seq"] for f in rest] == list(range(3, answer["data"]["last_seq"] + 1))
            assert rest[: len(whole) - 2] == whole[2:]
            assert cut in rest
            assert (rest[-1]["type"], rest[-1]["run_id"]) == ("agent_error", "run_m2")
            await two.ask("m1")
            await two.ask("m3")
            assert {f["message_id"] for f in await two.until_end()} == {"m3"}

    live(scene)


def test_tls_with_a_certificate_of_one_s_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("chat.test")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")

    async def scene() -> None:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        options = ServerOptions(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")
        async with serving(options) as url:
            assert url.startswith("wss://")
            async with client(url + CURSOR, ssl=context, server_hostname="chat.test") as one:
                await one.ask()
                assert roles(await one.until_end())[-1] == "agent_completed"

    live(scene)


def test_what_cannot_work_is_said_before_anything_listens(tmp_path: Path) -> None:
    async def start(options: ServerOptions) -> None:
        async with serving(options):
            raise AssertionError("it listens")

    async def scene() -> None:
        with pytest.raises(ConfigError, match="--defect"):
            await start(ServerOptions(defect="no-such"))
        with pytest.raises(ConfigError, match="--tls-cert"):
            await start(ServerOptions(tls_cert=tmp_path / "none.pem"))
        with pytest.raises(RigError, match="--db"):
            await start(ServerOptions(db=str(tmp_path / "no" / "such" / "folder")))
        async with serving(ServerOptions()) as url:
            with pytest.raises(RigError, match="cannot listen"):
                await start(ServerOptions(port=int(url.split(":")[2].partition("/")[0])))

    live(scene)


def test_a_log_that_cannot_be_written_stops_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_storage: object) -> None:
        raise RigError("the event log cannot be written: disk full")

    async def scene() -> None:
        stop = asyncio.Event()
        async with serving(ServerOptions(db=str(tmp_path / "log.db")), stop) as url, client(url) as one:
            monkeypatch.setattr("loadtests.backend.database.SqliteStorage.flush", broken)
            await one.ask()
            async with asyncio.timeout(WITHIN_S):
                await stop.wait()

    with pytest.raises(RigError, match="disk full"):
        live(scene)


async def health_of(url: str) -> dict[str, Any]:
    return (await asyncio.to_thread(get, url.replace("ws", "http", 1) + "/health"))[1]


async def connections_fall_to(url: str, count: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while (await health_of(url))["connections"] != count:
            pass


def test_a_turn_is_stopped_over_a_real_socket() -> None:
    async def scene() -> None:
        async with serving(ServerOptions()) as url, client(url + CURSOR) as one:
            await one.ask()
            await one.next()
            await one.say(type="stop_agent", payload={"run_id": "run_m1"})
            while (frame := await one.next())["type"] != "agent_stopped":
                pass
            assert frame["run_id"] == "run_m1"
            await one.ask("m2")
            assert {f["run_id"] for f in await one.until_end()} == {"run_m2"}

    live(scene)


def test_options_of_turns_reach_the_turns() -> None:
    async def scene() -> None:
        options = ServerOptions(outcomes={"throttled": 1.0}, concurrent="reject", event_versions=("7",))
        async with serving(options) as url, client(url + CURSOR) as one:
            await one.ask("m1")
            await one.ask("m2")
            frames = await one.until_end()
            assert [f["type"] for f in frames if f["run_id"] == "run_m2"] == ["message_rejected"]
            assert (frames[-1]["status"], frames[-1]["event_version"]) == ("throttled", "7")

    live(scene)


@pytest.mark.parametrize(("defect", "closed"), [("", False), ("eager-timeout", True)])
def test_a_slow_client_is_taken_for_dead_only_under_the_defect(defect: str, closed: bool) -> None:
    async def scene() -> None:
        async with serving(ServerOptions(defect=defect)) as url, client(url + CURSOR, ping_interval=None) as one:
            one.socket.transport.pause_reading()
            await asyncio.sleep(1.5)
            one.socket.transport.resume_reading()
            if closed:
                assert (await one.until_closed())[1] == 1011
            else:
                await one.say(type="ping")
                assert (await one.next())["type"] == "pong"

    live(scene)


@pytest.mark.parametrize(("defect", "left"), [("", 0), ("half-open-unnoticed", 1)])
def test_a_client_that_answers_nothing_is_released_but_under_the_defect(defect: str, left: int) -> None:
    async def scene() -> None:
        options = ServerOptions(defect=defect, ping_interval_s=0.2, ping_timeout_s=0.3)
        async with serving(options) as url, client(url + CURSOR, ping_interval=None, close_timeout=0.1) as one:
            one.socket.transport.pause_reading()
            if left:
                await asyncio.sleep(1.5)
            await connections_fall_to(url, left)

    live(scene)


@pytest.mark.parametrize(("defect", "blocked"), [("", False), ("one-slow-blocks-all", True)])
def test_a_client_that_reads_nothing_holds_up_others_only_under_the_defect(defect: str, blocked: bool) -> None:
    async def scene() -> None:
        async with (
            serving(ServerOptions(defect=defect)) as url,
            client(url + CURSOR, max_size=None) as slow,
            client(url + CURSOR) as other,
        ):
            slow.socket.transport.pause_reading()
            for n in range(8):
                await slow.ask(f"big{n}", "x" * 500_000, thread_id=f"t{n}")
            await idle(url)
            await other.say(type="ping")
            try:
                async with asyncio.timeout(1.0):
                    pong = await other.next()
            except TimeoutError:
                assert blocked
                slow.socket.transport.resume_reading()
                pong = await other.next()
            else:
                assert not blocked
            assert pong["type"] == "pong"
            slow.socket.transport.abort()

    live(scene)


def test_after_a_cut_the_door_stays_shut_and_says_so() -> None:
    async def scene() -> None:
        async with serving(ServerOptions(defect="refuses-return")) as url, contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(client(url + CURSOR)) for _ in range(6)]
            clients[0].socket.transport.abort()
            await connections_fall_to(url, 5)
            with pytest.raises(InvalidStatus, match="503"):
                await connect(url + CURSOR)

    live(scene)
