"""The sweep finds what carries the tag, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

import pytest

from chaos.sweep import TAG, proxy_prefix, sweep, tagged

SLEEPER = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]


@pytest.fixture
def sleeper():
    started = []

    def start(run_id):
        process = subprocess.Popen(SLEEPER, env={**os.environ, TAG: run_id}, stdout=subprocess.PIPE)
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_only_the_run_named_is_ended(sleeper):
    run_id = uuid.uuid4().hex
    ours, longer, other = sleeper(run_id), sleeper(run_id + "0"), sleeper("other")
    swept = sweep(run_id)
    assert (swept.killed, swept.left) == (1, [])
    assert ours.wait(2) < 0
    assert (longer.poll(), other.poll()) == (None, None)


def test_what_is_spared_stays_and_we_ourselves_too(sleeper, monkeypatch):
    run_id = uuid.uuid4().hex
    ours = sleeper(run_id)
    assert sweep(run_id, spare=frozenset({ours.pid})).killed == 0
    assert tagged(run_id) == [ours.pid]


def test_an_empty_run_id_is_refused():
    with pytest.raises(ValueError, match="strangers"):
        sweep("")


def test_a_toxiproxy_that_is_gone_holds_nothing():
    assert sweep(uuid.uuid4().hex, ["http://127.0.0.1:1"]).left == []


def test_the_prefix_ends_with_the_run_id():
    assert proxy_prefix("r1") == "gauntlet-r1-"
