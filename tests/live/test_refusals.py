"""What cannot work is said before any load: exit 2, one sentence that names file and place, no row written."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
import trustme
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from tests.live.foreign_server import free_port
from tests.live.gauntlet import Ended, backend, gauntlet, processes_of, scenario

pytestmark = pytest.mark.live

SHORT = ("--no-chaos", "--users", "30", "--duration", "8s")


def refused(tmp_path: Path, *arguments: str | Path, env: dict[str, str] | None = None) -> str:
    """The message of a run that must not begin; it is one sentence, and no load was made."""
    ended = gauntlet("run", *arguments, env=env, cwd=tmp_path)
    assert ended.code == 2, ended
    assert "Traceback" not in ended.err
    assert ended.rows_bytes == 0
    assert not (ended.run / "verdict.json").exists()
    assert not processes_of(ended.run)
    return ended.err[ended.err.index("gauntlet: ") :]


def impatient(folder: Path) -> Path:
    """The audited contract for who does not want to wait ten seconds for a welcome."""
    file = folder / "impatient.yaml"
    file.write_text("contract: 1\nname: impatient\nextends: netra\nhandshake: {timeout_ms: 1500}\n")
    return file


@contextmanager
def websocket(handler: Callable[[ServerConnection], None]) -> Iterator[str]:
    with serve(handler, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/ws"
        server.shutdown()


@contextmanager
def plain_http() -> Iterator[str]:
    class Page(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"ws://127.0.0.1:{server.server_address[1]}/ws"
        server.shutdown()


# -- what is wrong with the words ----------------------------------------------------------------------------------------


def test_a_contract_that_does_not_exist(tmp_path: Path) -> None:
    text = refused(tmp_path, "smoke", *SHORT, "--contract", "referense")
    assert "--contract: no contract 'referense'; did you mean 'reference'?" in text


def test_a_misspelt_key_of_a_scenario(tmp_path: Path) -> None:
    file = scenario(tmp_path / "mine.yaml", usres=3)
    assert f"{file} at usres: unknown key; did you mean 'users'?" in refused(tmp_path, file)


def test_a_misspelt_key_of_a_fault(tmp_path: Path) -> None:
    file = scenario(tmp_path / "mine.yaml")
    file.write_text(
        file.read_text().replace("- name: steady", "- fault: {kind: latency, latncy_ms: 5}\n  name: steady")
    )
    text = refused(tmp_path, file)
    assert str(file) in text
    assert "phases[1].fault.latncy_ms" in text
    assert "unknown key; did you mean 'latency_ms'?" in text


def test_an_unknown_metric_in_a_gate(tmp_path: Path) -> None:
    file = scenario(tmp_path / "mine.yaml", gates={"turn.totl": ["p(95)<1000"]})
    assert f"{file} at gates.turn.totl: unknown metric 'turn.totl'; did you mean 'turn.total'?" in refused(
        tmp_path, file
    )


def test_an_unknown_phase_in_a_gate(tmp_path: Path) -> None:
    file = scenario(tmp_path / "mine.yaml", gates={"turn.total{phase:stedy}": ["p(95)<1000"]})
    assert "unknown phase 'stedy'; did you mean 'steady'?" in refused(tmp_path, file)


def test_a_host_that_nobody_allowed(tmp_path: Path) -> None:
    text = refused(tmp_path, "smoke", *SHORT, "--target", "ws://192.0.2.1:9/ws")
    assert "--allow-target 192.0.2.1" in text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--defect", "lost-evnt"), "did you mean 'lost-event'?"),
        (("--token-env", "NO_SUCH_VARIABLE"), "the environment has no NO_SUCH_VARIABLE"),
        (("--target", "http://127.0.0.1:9/"), "is no WebSocket URL"),
        (("--target", "ws://user:secret@127.0.0.1:9/"), "credentials in the URL"),
        (("--duration", "soon"), "--duration"),
        (("--processes", "0"), "--processes"),
        (("--label", "build"), "--label"),
    ],
)
def test_options_that_make_no_run(tmp_path: Path, words: tuple[str, ...], text: str) -> None:
    told = refused(tmp_path, "smoke", "--no-chaos", *words)
    assert text in told
    assert "secret" not in told


def test_a_run_never_writes_over_another(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "verdict.json").write_text("{}")
    ended = gauntlet("run", "smoke", *SHORT, "--out", tmp_path / "full", cwd=tmp_path)
    assert (ended.code, (tmp_path / "full" / "verdict.json").read_text()) == (2, "{}")
    assert "is not empty" in ended.err


# -- what is wrong with the target -----------------------------------------------------------------------------------------


def test_nobody_listens(tmp_path: Path) -> None:
    text = refused(tmp_path, "smoke", *SHORT, "--target", f"ws://127.0.0.1:{free_port()}/ws")
    assert "preflight failed at connect" in text
    assert "is the backend running" in text


def test_an_http_server_that_speaks_no_websocket(tmp_path: Path) -> None:
    with plain_http() as url:
        text = refused(tmp_path, "smoke", *SHORT, "--target", url)
    assert "200" in text
    assert "not a WebSocket at this path" in text


def test_a_server_that_accepts_and_never_answers_the_upgrade(tmp_path: Path) -> None:
    began = monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/ws"
        assert "preflight failed at connect" in refused(tmp_path, "smoke", *SHORT, "--target", url)
    assert monotonic() - began < 40


def test_a_token_that_is_refused(tmp_path: Path) -> None:
    with backend("--require-token") as url:
        words = ("smoke", *SHORT, "--target", url, "--contract", "reference")
        assert "--token-env" in refused(tmp_path, *words)


def test_a_contract_for_another_protocol_shows_the_frames_that_do_not_fit(tmp_path: Path) -> None:
    def chatter(connection: ServerConnection) -> None:
        connection.send('{"op": "HELLO", "version": 3}')
        with contextlib.suppress(ConnectionClosed):
            connection.recv()

    with websocket(chatter) as url:
        text = refused(tmp_path, "smoke", *SHORT, "--target", url, "--contract", impatient(tmp_path))
    assert "contract impatient does not fit" in text
    assert '{"op": "HELLO", "version": 3}' in text


@pytest.mark.parametrize("wrong", ["ca", "name"])
def test_a_certificate_that_does_not_prove_the_name(tmp_path: Path, wrong: str) -> None:
    ca, stranger = trustme.CA(), trustme.CA()
    issued = ca.issue_cert("chat.test")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    (stranger if wrong == "ca" else ca).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    name = "other.test" if wrong == "name" else "chat.test"
    with backend("--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem") as url:
        port = url.rpartition(":")[2].partition("/")[0]
        text = refused(
            tmp_path, "smoke", *SHORT, "--contract", "reference", "--target", f"wss://{name}:{port}/ws",
            "--resolve", f"{name}=127.0.0.1", "--ca", tmp_path / "ca.pem",
        )  # fmt: skip
    assert "certificate" in text


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hello")
    text = refused(tmp_path, "smoke", *SHORT, "--target", "wss://127.0.0.1:1/ws", "--ca", tmp_path / "ca.pem")
    assert "--ca" in text


# -- connected and silent is no set-up error: that is NO-GO --------------------------------------------------------------


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, float]:
    folder = tmp_path_factory.mktemp("silent")
    contract = impatient(folder)
    began = monotonic()
    with websocket(lambda connection: [None for _ in connection] and None) as url:
        return gauntlet(
            "run", "smoke", *SHORT, "--target", url, "--contract", contract, cwd=folder
        ), monotonic() - began


def test_a_server_that_accepts_and_says_nothing_is_no_go_for_silence(silent: tuple[Ended, float]) -> None:
    ended, took_s = silent
    assert (ended.code, ended.verdict["verdict"]) == (99, "no-go"), ended
    assert "silence" in ended.ids
    assert took_s < 60


def test_nothing_but_silence_is_found_and_the_books_balance(silent: tuple[Ended, float]) -> None:
    ended, _ = silent
    assert ended.ids == {"silence"}
    assert ended.checks["self"]["verdict"] == "valid"
    assert ended.verdict["books"]["dropped"] == ended.verdict["books"]["planned"]
