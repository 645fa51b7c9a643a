"""Text from a server is hostile: it may stand in no page as markup, reach no terminal raw, and keep no token."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from loadtests.contract import load
from tests.live.gauntlet import Ended, gauntlet

pytestmark = pytest.mark.live

NETRA = load("netra")
TOKEN = "s3cr3t-t0k3n-of-{user}"
PLAIN_TOKEN = "s3cr3t-t0k3n"
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
ANSI = "\x1b[2J\x1b]0;owned\x07\x1b[31m"
RIGHT_TO_LEFT = "\u202egnp.exe\u2066"
HUGE = "A" * 5_000_000


def nasty_frames(run: str, token: str) -> Iterator[Any]:
    """One turn that ends well, between frames that nobody should ever send."""
    name = NETRA.name_of
    ids = {"run_id": run, "agent_name": f"{SCRIPT}{ANSI}"}
    yield {"type": f"{SCRIPT}{ANSI}{RIGHT_TO_LEFT}", **ids}
    yield {"type": name("started"), **ids}
    yield {"type": name("thinking"), **ids, "reasoning": f"your token is {token}"}
    yield {"type": f"token-{token}", "run_id": run}
    tool = {"tool_name": f"{RIGHT_TO_LEFT}{token}", "execution_id": SCRIPT}
    yield {"type": name("tool-open"), **ids, **tool}
    yield {"type": name("tool-close"), **ids, **tool, "results": token}
    yield {"type": name("done"), **ids, "final_response": f"{ANSI}{token}"}
    yield ["\u2028", token]
    yield "\ud800"


def converse(connection: ServerConnection) -> None:
    """Reads whom it speaks with from the token, and says it back."""
    token = (connection.subprotocol or "").removeprefix("jwt.")
    with contextlib.suppress(ConnectionClosed):
        connection.send(json.dumps({"type": NETRA.file.handshake.ready, "data": {"token": token, "note": ANSI}}))
        for count, raw in enumerate(connection):
            run = json.loads(raw)["payload"]["run_id"]
            for frame in nasty_frames(run, token):
                connection.send(json.dumps(frame))
            connection.send("{" + token)
            connection.send(b"\x00\xff" + token.encode())
            if count == 1 and token.endswith("-3"):
                connection.send(json.dumps({"type": "x", "run_id": run, "blob": HUGE}))
            if count == 2 and token.endswith(("-4", "-5")):
                connection.close(4000, f"{SCRIPT[:40]} {token}")


@contextlib.contextmanager
def server() -> Iterator[str]:
    def select(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return offered[0] if offered else None

    with serve(converse, "127.0.0.1", 0, select_subprotocol=select, compression=None) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"ws://127.0.0.1:{listening.socket.getsockname()[1]}/ws"
        listening.shutdown()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("hostile")
    with server() as url:
        return gauntlet(
            "run", "smoke", "--no-chaos", "--users", "12", "--duration", "8s", "--target", url, "--token-env", "CHAT_TOKEN",
            env={"CHAT_TOKEN": TOKEN}, cwd=folder,
        )  # fmt: skip


def files(run: Path) -> list[Path]:
    return [file for file in run.rglob("*") if file.is_file()]


def test_it_ends_with_a_verdict(hostile: Ended) -> None:
    assert hostile.code == 99, hostile
    assert {"vocabulary", "schema"} <= hostile.ids
    assert hostile.checks["self"]["verdict"] == "valid", hostile.checks["self"]


def test_no_token_is_anywhere_under_the_run_directory_or_on_the_terminal(hostile: Ended) -> None:
    assert len(files(hostile.run)) > 12
    assert [file.name for file in files(hostile.run) if PLAIN_TOKEN.encode() in file.read_bytes()] == []
    assert PLAIN_TOKEN not in hostile.out + hostile.err


def test_the_terminal_gets_no_escape_and_no_reversal(hostile: Ended) -> None:
    for character in ("\x1b", "\x07", "\u202e", "\u2066"):
        assert character not in hostile.out + hostile.err


def test_the_page_and_the_summary_hold_no_markup_of_the_server(hostile: Ended) -> None:
    for name in ("report.html", "summary.md"):
        text = (hostile.run / name).read_text()
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_nothing_it_sent_swells_the_run_directory(hostile: Ended) -> None:
    assert max(file.stat().st_size for file in files(hostile.run)) < 4_000_000


@pytest.mark.parametrize("command", [("try", "hello"), ("doctor",)])
def test_a_single_turn_with_it_leaves_the_terminal_whole_too(tmp_path: Path, command: tuple[str, ...]) -> None:
    with server() as url:
        words = (*command, "--target", url, "--token-env", "CHAT_TOKEN")
        told = gauntlet(*words, env={"CHAT_TOKEN": TOKEN}, cwd=tmp_path)
    assert told.code in {0, 2, 99}, told
    for word in ("\x1b", "\x07", "\u202e", "\u2066", PLAIN_TOKEN, "Traceback"):
        assert word not in told.out + told.err


def test_a_turn_of_it_can_be_shown(hostile: Ended) -> None:
    witness = next(w for w in hostile.checks["vocabulary"]["witnesses"] if w["turn"])
    shown = gauntlet("show", hostile.run, f"{witness['session']}.{witness['turn']}", cwd=hostile.run.parent)
    assert shown.code == 0, shown
    assert "\x1b" not in shown.out
    assert "\u202e" not in shown.out
    assert PLAIN_TOKEN not in shown.out
