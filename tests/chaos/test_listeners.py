"""Listeners: one process a cohort, or names of ours in a stranger's Toxiproxy."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chaos.faults import parse_fault
from chaos.listeners import open_listeners
from chaos.ports import port_range
from chaos.sweep import tagged
from chaos.toxiproxy import Control, Wedged
from chaos.wire import try_new
from loadtests.errors import RigError

pytestmark = pytest.mark.live


def test_each_cohort_has_a_process_of_its_own(listeners, dial, run_id):
    control, treated = listeners["control"], listeners["treated"]
    assert control.server.pid != treated.server.pid
    assert {control.address[1], treated.address[1]} <= set(port_range())
    assert try_new(dial.via(treated.address)) == "answered"
    assert sorted(tagged(run_id)) == sorted([control.server.pid, treated.server.pid])
    treated.server.kill()
    assert try_new(dial.via(treated.address)) == "refused"
    assert try_new(dial.via(control.address)) == "answered"


def test_a_restart_keeps_the_address(listeners, dial):
    treated = listeners["treated"]
    treated.control.disable(treated.proxy)
    treated.restart()
    assert try_new(dial.via(treated.address)) == "answered"


def test_a_strangers_toxiproxy_holds_all_cohorts_under_our_names(toxiproxy, echo_port, dial, tmp_path):
    url = toxiproxy.url.replace("127.0.0.1", "localhost")
    opened = open_listeners(["control", "treated"], ("127.0.0.1", echo_port), "r1", log_dir=tmp_path, url=url)
    assert sorted(Control(toxiproxy.url, "").proxies()) == ["gauntlet-r1-control", "gauntlet-r1-treated"]
    assert try_new(dial.via(opened["treated"].address)) == "answered"
    with pytest.raises(RigError, match="not ours to restart"):
        opened["treated"].restart()
    opened["treated"].close()
    assert toxiproxy.alive


def test_what_was_opened_is_closed_when_the_next_cohort_fails(toxiproxy, tmp_path):
    stranger = Control(toxiproxy.url, "")
    with pytest.raises(RigError, match="cannot be a name"):
        open_listeners(["control", "a/b"], ("127.0.0.1", 9), "r1", log_dir=tmp_path, url=toxiproxy.url)
    assert stranger.proxies() == {}


def test_nobody_at_the_url_is_an_error():
    with pytest.raises(Wedged, match="nobody answers"):
        open_listeners(["control"], ("127.0.0.1", 9), "r1", log_dir=Path(), url="http://127.0.0.1:1")


def test_a_server_that_is_no_toxiproxy_is_named(dial):
    host, port = dial.address
    with pytest.raises(RigError):
        open_listeners(["control"], ("127.0.0.1", 9), "r1", log_dir=Path(), url=f"http://{host}:{port}")


def test_a_host_that_does_not_exist_is_named():
    with pytest.raises(RigError, match="--toxiproxy-url"):
        open_listeners(["control"], ("127.0.0.1", 9), "r1", log_dir=Path(), url="http://no.such.host.invalid:1")


def test_a_wedge_by_a_stalled_reader_is_noticed_and_cured(listeners, dial, until):
    """The real one: a client that stops reading, then a toxic; the other cohort never notices."""
    treated = listeners["treated"]
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with sock, socket.create_server(("127.0.0.1", 0)) as flood:
        treated.control.delete(treated.proxy)
        treated.upstream = flood.getsockname()
        treated.control.create(treated.proxy, f"127.0.0.1:{treated.address[1]}", f"127.0.0.1:{treated.upstream[1]}")
        sock.connect(treated.address)
        upstream, _ = flood.accept()
        with upstream:
            upstream.settimeout(0.3)
            with pytest.raises(TimeoutError):
                upstream.sendall(bytes(64_000_000))
            (toxic,) = parse_fault({"kind": "latency", "latency_ms": 10}, "", "").toxics
            with pytest.raises(Wedged):
                treated.control.add_toxic(treated.proxy, "w1", toxic)
            treated.restart()
            assert treated.control.proxy(treated.proxy).toxics == ()
    assert try_new(dial.via(listeners["control"].address)) == "answered"


def test_an_armed_listener_is_armed_again_after_a_restart(toxiproxy_binary, echo_port, run_id, tmp_path):
    upstream = ("127.0.0.1", echo_port)
    opened = open_listeners(
        ["control", "treated"], upstream, run_id, log_dir=tmp_path, binary=toxiproxy_binary, armed=("treated",)
    )
    treated = opened["treated"]
    try:
        treated.restart()
        toxics = {name: one.control.proxy(one.proxy).toxics for name, one in opened.items()}
        assert [(toxic.name, toxic.toxicity) for toxic in toxics["treated"]] == [("armed", 0.0)]
        assert toxics["control"] == ()
    finally:
        for listener in opened.values():
            listener.close()


@pytest.fixture
def mute():
    """A control plane that makes and deletes proxies, and shows none: each look at one hangs."""
    made, over = {}, threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):  # the name that http.server calls
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made[body["name"]] = body
            self._say(201, json.dumps(body))

        def do_DELETE(self):
            self._say(204 if made.pop(self.path.rpartition("/")[2], None) else 404)

        def do_GET(self):
            over.wait()

        def _say(self, status, text=""):
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", made
    over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_was_made_and_could_not_be_read_back_is_deleted(mute):
    url, made = mute
    with pytest.raises(Wedged):
        open_listeners(["control"], ("127.0.0.1", 9), "r1", log_dir=Path(), url=url)
    assert made == {}
