"""Who does the deeds: what each does at the start, inside and at the end, and what it writes down before."""

from __future__ import annotations

import sys
import threading

import pytest

from chaos.faults import Step, parse_fault
from chaos.hands import OnBackend, OnListener, WithCommands
from loadtests.errors import RigError
from loadtests.journal import read_journal


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


def commands(journal, **asked):
    return WithCommands(fault(kind="command", **asked), "w1", "r", journal, ("TOKEN",))


def steps(tmp_path):
    return [record["step"] for record in read_journal(tmp_path / "history.jsonl")]


def test_the_revert_stands_in_the_ledger_before_anything_is_applied(journal, tmp_path):
    read_it = f"import sys; sys.exit('\"applying\"' not in open({str(tmp_path / 'history.jsonl')!r}).read())"
    hand = commands(journal, apply=[sys.executable, "-c", read_it], verify=["true"], revert=["true"], timeout_s=10)
    hand.begin()
    hand.end()
    hand.end()
    assert hand.verified is True
    assert steps(tmp_path) == ["applying", "applied", "verified", "reverting", "reverted"]
    first = read_journal(tmp_path / "history.jsonl")[0]
    assert (first["revert"], first["timeout_s"], first["without"]) == (["true"], 10, ["TOKEN"])


def test_what_was_applied_in_part_is_reverted(journal, tmp_path):
    hand = commands(journal, apply=["false"], revert=["true"])
    with pytest.raises(RigError, match="apply command of w1: false: exit status 1"):
        hand.begin()
    hand.end()
    assert steps(tmp_path) == ["applying", "reverting", "reverted"]


def test_what_cannot_be_verified_is_not(journal, tmp_path):
    hand = commands(journal, apply=["true"], verify=["false"], timeout_s=1)
    hand.begin()
    assert hand.verified is False
    assert steps(tmp_path)[-1] == "not-verified"


def test_nothing_begun_is_nothing_to_revert(journal, tmp_path):
    commands(journal, apply=["true"], revert=["false"]).end()
    assert steps(tmp_path) == []
