"""Who does the deeds: what each does at the start, inside and at the end, and what it writes down before."""

from __future__ import annotations

import sys
import threading

import pytest

from chaos.faults import Step, parse_fault
from chaos.hands import OnBackend, OnListener, WithCommands
from chaos.revert import revert_all
from loadtests.errors import RigError
from loadtests.journal import Journal, read_journal


def fault(**asked):
    return parse_fault(asked, "s.yaml", "f")


class Control:
    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda proxy, *more, **named: self.calls.append((name, proxy, *more[:1], *named.values()))


class Listener:
    def __init__(self):
        self.control, self.proxy = Control(), "p"


@pytest.fixture
def listener():
    return Listener()


def test_toxics_are_named_by_window_type_and_stream(listener):
    hand = OnListener(listener, fault(kind="half-open"), "w3", threading.RLock())
    hand.begin()
    begun, listener.control.calls = listener.control.calls, []
    assert begun == [
        ("add_toxic", "p", "w3-bandwidth-upstream"),
        ("add_toxic", "p", "w3-bandwidth-downstream"),
        ("add_toxic", "p", "w3-slow_close-upstream"),
        ("add_toxic", "p", "w3-slow_close-downstream"),
    ]
    hand.end()
    assert listener.control.calls == [("renew", "p", "w3-")]


def test_a_flap_switches(listener):
    hand = OnListener(listener, fault(kind="flap"), "w1", threading.RLock())
    hand.begin()
    hand.step(Step("enable"))
    hand.step(Step("disable"))
    hand.end()
    assert [call[0] for call in listener.control.calls] == ["disable", "enable", "disable", "enable"]


@pytest.mark.parametrize(
    ("kind", "called"),
    [
        ("backend-kill", ["kill", "start"]),
        ("backend-pause", ["pause", "resume"]),
        ("backend-restart", ["restart"]),
    ],
)
def test_the_keeper_of_the_backend_is_called(kind, called):
    calls = []
    keeper = {name: lambda name=name: calls.append(name) for name in ("kill", "start", "pause", "resume", "restart")}
    hand = OnBackend(fault(kind=kind), keeper)
    hand.begin()
    hand.end()
    hand.end()
    assert calls == called


def test_a_backend_that_nobody_keeps_cannot_be_killed():
    hand = OnBackend(fault(kind="backend-kill"), {})
    with pytest.raises(RigError, match="nobody here can kill"):
        hand.begin()
    hand.end()


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "history.jsonl"


@pytest.fixture
def commands(journal, ledger):
    def make(**asked):
        return WithCommands(fault(kind="command", **asked), "w1", "r", journal, ledger, ("TOKEN",))

    return make


def counting(path):
    """A command that leaves a line each time it is run."""
    return ["sh", "-c", f"echo x >> {path}; exit 1"]


def steps(tmp_path):
    return [record["step"] for record in read_journal(tmp_path / "history.jsonl")]


def test_the_revert_stands_in_the_ledger_before_anything_is_applied(commands, tmp_path):
    read_it = f"import sys; sys.exit('\"applying\"' not in open({str(tmp_path / 'history.jsonl')!r}).read())"
    hand = commands(apply=[sys.executable, "-c", read_it], verify=["true"], revert=["true"], timeout_s=10)
    hand.begin()
    hand.end()
    hand.end()
    assert hand.verified is True
    assert steps(tmp_path) == ["applying", "applied", "verified", "reverting", "reverted"]
    first = read_journal(tmp_path / "history.jsonl")[0]
    assert (first["revert"], first["timeout_s"], first["without"]) == (["true"], 10, ["TOKEN"])


def test_what_was_applied_in_part_is_reverted(commands, tmp_path):
    hand = commands(apply=["false"], revert=["true"])
    with pytest.raises(RigError, match="apply command of w1: false: exit status 1"):
        hand.begin()
    hand.end()
    assert steps(tmp_path) == ["applying", "reverting", "reverted"]


def test_what_cannot_be_verified_is_not(commands, tmp_path):
    hand = commands(apply=["true"], verify=["false"], timeout_s=1)
    hand.begin()
    assert hand.verified is False
    assert steps(tmp_path)[-1] == "not-verified"


def test_nothing_begun_is_nothing_to_revert(commands, tmp_path):
    commands(apply=["true"], revert=["false"]).end()
    assert steps(tmp_path) == []


def test_a_revert_that_failed_is_not_run_again(commands, tmp_path):
    """What it did, nobody knows; that it failed is said each time."""
    hand = commands(apply=["true"], revert=counting(tmp_path / "runs"))
    hand.begin()
    for _ in range(2):
        with pytest.raises(RigError, match="revert command of w1: sh: exit status 1"):
            hand.end()
    assert (tmp_path / "runs").read_text() == "x\n"
    assert steps(tmp_path) == ["applying", "applied", "reverting", "not-reverted"]


def test_what_another_reverted_meanwhile_is_not_reverted_again(commands, ledger, tmp_path):
    """The guard took a conductor that stood still for dead."""
    hand = commands(apply=["true"], revert=["rm", str(tmp_path / "flag")])
    (tmp_path / "flag").touch()
    hand.begin()
    assert revert_all("r", ledger).done == ["w1"]
    hand.end()
    assert steps(tmp_path) == ["applying", "applied", "reverted"]


def test_guard_and_conductor_never_revert_side_by_side(commands, ledger, tmp_path, until):
    """Whoever comes second waits, and then finds nothing to do."""
    runs, go_on = tmp_path / "runs", tmp_path / "go-on"
    waiting = f"echo x >> {runs}; until test -e {go_on}; do sleep 0.02; done"
    hand = commands(apply=["true"], revert=["sh", "-c", waiting])
    hand.begin()
    conductor = threading.Thread(target=hand.end)
    conductor.start()
    until(runs.exists)
    reverted = []
    guard = threading.Thread(target=lambda: reverted.append(revert_all("r", ledger)))
    guard.start()
    guard.join(0.3)
    assert guard.is_alive()
    go_on.touch()
    conductor.join(5)
    guard.join(5)
    assert (reverted[0].done, reverted[0].failed, runs.read_text()) == ([], [], "x\n")
    assert steps(tmp_path) == ["applying", "applied", "reverting", "reverted"]


def test_a_stop_ends_verifying_and_leaves_it_open(commands, tmp_path, until):
    asked = tmp_path / "asked"
    hand = commands(apply=["true"], verify=["sh", "-c", f"touch {asked}; sleep 60"], revert=["true"], timeout_s=60)
    thread = threading.Thread(target=hand.begin)
    thread.start()
    until(asked.exists)
    hand.stop.set()
    thread.join(5)
    assert not thread.is_alive()
    hand.end()
    assert hand.verified is None
    assert steps(tmp_path) == ["applying", "applied", "reverting", "reverted"]


def test_a_full_disk_keeps_no_revert_from_being_run(commands, tmp_path, monkeypatch):
    hand = commands(apply=["true"], revert=["rm", str(tmp_path / "flag")])
    (tmp_path / "flag").touch()
    hand.begin()

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(Journal, "append", full)
    hand.end()
    assert not (tmp_path / "flag").exists()
