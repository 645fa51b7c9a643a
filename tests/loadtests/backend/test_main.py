"""The backend as a process: one line when ready, a clean end by signal or lifeline, plain errors."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from loadtests.backend.__main__ import parse
from loadtests.backend.server import ServerOptions

WITHIN_S = 15


@contextlib.contextmanager
def backend(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", "-m", "loadtests.backend", *arguments]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    word, url = process.stdout.readline().split()
    assert word == "listening"
    return url


def test_options_default_to_those_of_the_server() -> None:
    assert parse([]) == (ServerOptions(), False)


def test_options_are_taken_over() -> None:
    options, lifeline = parse(["--seed", "3", "--defect", "silent", "--shape", "data", "--require-token", "--lifeline"])
    assert (options.seed, options.defect, options.shape, options.require_token) == (3, "silent", "data", True)
    assert lifeline


def test_what_may_be_given_more_than_once_is_collected() -> None:
    arguments = ["--outcome", "failed=0.1", "--outcome", "refused=0.2", "--event-version", "0", "--event-version", "1"]
    options, _ = parse([*arguments, "--concurrent", "reject", "--ping-timeout", "3"])
    assert options.outcomes == {"failed": 0.1, "refused": 0.2}
    assert options.event_versions == ("0", "1")
    assert (options.concurrent, options.ping_interval_s, options.ping_timeout_s) == ("reject", 20.0, 3.0)


@pytest.mark.live
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_a_signal_ends_it_well(number: signal.Signals) -> None:
    with backend() as process:
        with connect(url_of(process), compression=None) as client:
            assert "stream_id" in client.recv(timeout=WITHIN_S)
            process.send_signal(number)
            assert process.wait(WITHIN_S) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""


@pytest.mark.live
def test_the_lifeline_ends_it_and_without_one_stdin_does_not() -> None:
    for lifeline in (True, False):
        with backend(*(["--lifeline"] if lifeline else [])) as process:
            url = url_of(process)
            assert process.stdin is not None
            process.stdin.close()
            if lifeline:
                assert process.wait(WITHIN_S) == 0
                continue
            with connect(url, compression=None) as client:
                assert client.recv(timeout=WITHIN_S)
            assert process.poll() is None


@pytest.mark.live
def test_a_killed_process_s_log_is_good_for_the_next(tmp_path: Path) -> None:
    log = ("--db", str(tmp_path / "log.db"))
    message = '{"type":"user_message","message_id":"m1","payload":{"content":"x","run_id":"r1"}}'
    with backend(*log) as process, connect(url_of(process) + "?resume=cursor", compression=None) as client:
        stream = client.recv(timeout=WITHIN_S).split('"stream_id":"')[1].split('"')[0]
        client.send(message)
        had = 0
        while '"final_response"' not in client.recv(timeout=WITHIN_S):
            had += 1
        process.kill()
    with backend(*log) as process, connect(url_of(process) + "?resume=cursor", compression=None) as client:
        client.recv(timeout=WITHIN_S)
        client.send(json.dumps({"type": "session_restore", "payload": {"stream_id": stream, "last_seq": 0}}))
        assert '"resumed":true' in client.recv(timeout=WITHIN_S)
        for number in range(1, had + 2):  # what was delivered, and so the end, had been written before
            assert f'"seq":{number},' in client.recv(timeout=WITHIN_S)


@pytest.mark.live
def test_an_impossible_option_is_one_sentence_and_exit_2() -> None:
    for arguments, words in (
        (["--defect", "silnt"], "silent"),
        (["--outcome", "x=1"], "--outcome"),
        (["--host", "192.0.2.1"], "cannot listen"),
    ):
        with backend(*arguments) as process:
            assert process.wait(WITHIN_S) == 2
            assert process.stderr is not None
            said = process.stderr.read()
            assert words in said
            assert "Traceback" not in said


@pytest.mark.live
def test_several_nodes_are_one_address_and_obey(tmp_path: Path) -> None:
    with backend("--nodes", "2", "--lifeline", "--db", str(tmp_path / "log.db")) as process:
        url = url_of(process)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("kill 2\nkill 2\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done kill 2\n"
        assert process.stdout.readline() == "failed kill 2: node 2 is not up\n"
        with connect(url, compression=None) as client:
            assert '"node":"node-1"' in str(client.recv(timeout=WITHIN_S))
        process.stdin.close()
        assert process.wait(WITHIN_S) == 0
