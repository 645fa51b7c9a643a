"""After the teardown nothing of ours is left, whatever state the proxies were in; and the journal says so."""

from __future__ import annotations

import socket
import threading

import pytest

from chaos.faults import parse_fault
from chaos.listeners import open_listeners
from chaos.teardown import teardown
from chaos.toxiproxy import Control, ControlError
from loadtests.journal import read_journal

pytestmark = pytest.mark.live


@pytest.fixture
def foreign(toxiproxy, echo_port, tmp_path):
    return open_listeners(["control", "treated"], ("127.0.0.1", echo_port), "r1", log_dir=tmp_path, url=toxiproxy.url)


def cleanup(tmp_path):
    (record,) = (record for record in read_journal(tmp_path / "history.jsonl") if record["type"] == "cleanup")
    return record["ok"], record["left"]


def test_private_processes_are_gone(listeners, journal, tmp_path):
    assert teardown(listeners.values(), journal)
    assert not any(listener.server.alive for listener in listeners.values())
    assert cleanup(tmp_path) == (True, [])


def test_a_process_that_died_before_is_no_trouble(listeners, journal, tmp_path):
    listeners["treated"].server.kill()
    assert teardown(listeners.values(), journal)
    assert cleanup(tmp_path) == (True, [])


def test_ours_go_from_a_strangers_toxiproxy_with_their_toxics_and_the_strangers_stay(
    foreign, toxiproxy, journal, tmp_path
):
    theirs = Control(toxiproxy.url, "")
    stranger = theirs.create("stranger", f"127.0.0.1:{foreign['control'].address[1] - 1}", "127.0.0.1:9")
    treated = foreign["treated"]
    treated.control.add_toxic(treated.proxy, "w1", parse_fault({"kind": "jam", "direction": "up"}, "", "").toxics[0])
    foreign["control"].control.disable(foreign["control"].proxy)
    assert teardown(foreign.values(), journal)
    assert theirs.proxies() == {"stranger": stranger}
    assert cleanup(tmp_path) == (True, [])


def test_what_would_not_go_is_named(foreign, journal, tmp_path, monkeypatch):
    def refuse(name):
        raise ControlError(f"{name} will not go")

    monkeypatch.setattr(foreign["treated"].control, "delete", refuse)
    assert not teardown(foreign.values(), journal)
    assert cleanup(tmp_path) == (False, ["gauntlet-r1-treated will not go"])


def test_a_jam_that_holds_much_does_not_hang_a_strangers_toxiproxy(foreign, toxiproxy, journal, tmp_path):
    """Taking its toxics off after a disable would, and for the stranger too."""
    treated = foreign["treated"]
    for toxic in parse_fault({"kind": "jam"}, "", "").toxics:
        treated.control.add_toxic(treated.proxy, f"w1-{toxic.stream}", toxic)
    clients = [socket.create_connection(treated.address) for _ in range(3)]
    for _ in range(5):
        for client in clients:
            client.sendall(b"x" * 200)
        threading.Event().wait(0.02)
    assert teardown(foreign.values(), journal)
    assert cleanup(tmp_path) == (True, [])
    assert Control(toxiproxy.url, "").proxies() == {}
    for client in clients:
        client.close()


def hung(toxiproxy, echo_port, tmp_path, wedge, *, knocking):
    """Two listeners in a stranger's Toxiproxy, of which the first hangs."""
    opened = open_listeners(["control", "treated"], ("127.0.0.1", echo_port), "r1", log_dir=tmp_path, url=toxiproxy.url)
    stuck = opened["control"]
    stuck.control.delete(stuck.proxy)
    stuck.address = wedge(stuck.control, stuck.proxy, knocking=knocking)
    return opened


def test_one_that_hangs_keeps_no_other_and_goes_too(toxiproxy, echo_port, wedge, journal, tmp_path):
    opened = hung(toxiproxy, echo_port, tmp_path, wedge, knocking=False)
    assert teardown(opened.values(), journal)
    assert cleanup(tmp_path) == (True, [])
    assert Control(toxiproxy.url, "").proxies() == {}


def test_one_that_a_delete_would_hang_for_all_is_left_and_named(toxiproxy, echo_port, wedge, journal, tmp_path):
    theirs = Control(toxiproxy.url, "")
    opened = hung(toxiproxy, echo_port, tmp_path, wedge, knocking=True)
    stranger = theirs.create("stranger", f"127.0.0.1:{opened['treated'].address[1] - 1}", "127.0.0.1:9")
    assert not teardown(opened.values(), journal)
    ok, (left,) = cleanup(tmp_path)
    assert (ok, left.startswith("gauntlet-r1-control: it hangs"), "restart it by hand" in left) == (False, True, True)
    assert theirs.proxy("gauntlet-r1-treated") is None
    assert theirs.proxy("stranger") == stranger
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(opened["control"].address)


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        (["applying", "applied", "reverting", "not-reverted"], ["command of w1: its revert failed"]),
        (["applying", "applied"], ["command of w1: not reverted"]),
        (["applying", "applied", "reverting", "reverted"], []),
    ],
    ids=str,
)
def test_a_command_still_in_force_is_left(steps, left, journal, tmp_path):
    for step in steps:
        journal.append("command", id="w1", step=step, argv=["x"], revert=["true"], timeout_s=1, without=[])
    assert teardown([], journal, tmp_path / "history.jsonl") is not bool(left)
    assert cleanup(tmp_path) == (not left, left)
