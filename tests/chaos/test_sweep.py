"""The sweep finds what carries the tag, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid

import pytest

from chaos.faults import FAULTS
from chaos.plan import CONTROL, TREATED
from chaos.ports import free_port
from chaos.sweep import COHORTS, TAG, proxy_prefix, sweep, tagged
from chaos.toxiproxy import Control

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


def test_every_listener_that_a_plan_can_need_is_known():
    extras = {f"{TREATED}-{fault.extra}" for fault in FAULTS.values() if fault.extra}
    assert {CONTROL, TREATED, *extras} == set(COHORTS)


@pytest.mark.live
@pytest.mark.parametrize("whose", ["ours", "a stranger's"])
def test_what_is_known_by_name_goes_though_the_list_hangs(whose, toxiproxy, wedge):
    """Of the names, one is derived and one stands in the ledger; what hangs may be one of them."""
    run_id = uuid.uuid4().hex
    theirs, ours = Control(toxiproxy.url, ""), proxy_prefix(run_id)
    theirs.create("stranger", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    theirs.create(f"{ours}control", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    theirs.create(f"{ours}odd", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    wedge(theirs, f"{ours}treated" if whose == "ours" else "hangs")
    swept = sweep(run_id, [toxiproxy.url], known=[f"{ours}odd", "stranger"])
    assert (swept.left, swept.proxies) == ([], 3 if whose == "ours" else 2)
    assert [name for name in ("control", "odd", "treated") if theirs.proxy(ours + name)] == []
    assert theirs.proxy("stranger").enabled


@pytest.mark.live
def test_what_a_delete_would_hang_for_all_is_left_and_named(toxiproxy, wedge):
    run_id = uuid.uuid4().hex
    theirs, ours = Control(toxiproxy.url, ""), proxy_prefix(run_id)
    theirs.create("stranger", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    theirs.create(f"{ours}treated", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    wedge(theirs, f"{ours}control", knocking=True)
    swept = sweep(run_id, [toxiproxy.url])
    assert swept.left == [f"proxy {ours}control at {toxiproxy.url}, which hangs: restart that Toxiproxy"]
    assert (swept.proxies, theirs.proxy(f"{ours}treated")) == (1, None)
    assert theirs.proxy("stranger").enabled


@pytest.mark.live
def test_a_toxiproxy_that_stands_still_is_named(toxiproxy, monkeypatch):
    monkeypatch.setattr("chaos.sweep.DEADLINE_S", 1.0)
    toxiproxy.process.send_signal(signal.SIGSTOP)
    try:
        swept = sweep(uuid.uuid4().hex, [toxiproxy.url])
    finally:
        toxiproxy.process.send_signal(signal.SIGCONT)
    assert swept.left == [f"Toxiproxy at {toxiproxy.url}: TimeoutError"]
