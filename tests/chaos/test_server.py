"""A private Toxiproxy process: it starts, answers, and is gone when told."""

from __future__ import annotations

import socket

import pytest
import requests

from chaos.ports import port_range
from chaos.server import ToxiproxyServer
from loadtests.errors import RigError


@pytest.mark.live
def test_it_answers_below_the_ephemeral_range_and_stops(toxiproxy):
    assert toxiproxy.port in port_range()
    assert requests.get(f"{toxiproxy.url}/version", timeout=1).status_code == 200
    assert toxiproxy.alive
    toxiproxy.stop()
    assert not toxiproxy.alive
    assert toxiproxy.process.returncode == 0
    toxiproxy.stop()


@pytest.mark.live
def test_it_logs_no_chunk(toxiproxy, tmp_path):
    requests.get(f"{toxiproxy.url}/proxies", timeout=1)
    assert (tmp_path / "toxiproxy.log").read_text() == ""


@pytest.mark.live
def test_a_strangers_answer_on_the_port_is_not_taken_for_ours(toxiproxy, toxiproxy_binary, tmp_path):
    with pytest.raises(RigError, match=r"second\.log"):
        ToxiproxyServer.start(toxiproxy_binary, {}, tmp_path / "second.log", toxiproxy.port)
    assert toxiproxy.alive


def test_a_program_that_ends_at_once_is_an_error_that_names_its_log(tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no luck >&2\nexit 2\n")
    broken.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(RigError, match=r"server\.log"):
        ToxiproxyServer.start(broken, {}, tmp_path / "server.log", port)
    assert "no luck" in (tmp_path / "server.log").read_text()


def test_a_program_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(RigError, match="cannot be started: No such file"):
        ToxiproxyServer.start(tmp_path / "missing", {}, tmp_path / "server.log")
