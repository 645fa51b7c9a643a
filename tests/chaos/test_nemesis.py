"""The nemesis on real listeners: each fault bites, is measured, healed and written down."""

from __future__ import annotations

import time

import pytest

from chaos.nemesis import Nemesis
from chaos.plan import PhaseSpec, make_plan
from chaos.toxiproxy import Wedged
from loadtests.journal import read_journal

pytestmark = pytest.mark.live
STEPS = ["applying", "applied", "healing", "healed"]


def walk(fault, listeners, journal, dial, window_s=1.2):
    plan = make_plan([PhaseSpec("steady", 1), PhaseSpec("fault", window_s, fault), PhaseSpec("end", 1)], 1)
    nemesis = Nemesis(plan, listeners, journal, dial, time.monotonic_ns())
    nemesis.start()
    return nemesis


def records(tmp_path, kind):
    return [record for record in read_journal(tmp_path / "history.jsonl") if record["type"] == kind]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "latency", "latency_ms": 100},
        {"kind": "latency", "latency_ms": 50, "jitter_ms": 20, "direction": "up"},
        {"kind": "latency", "latency_ms": 60, "direction": "both"},
        {"kind": "jam"},
        {"kind": "jam", "direction": "up"},
        {"kind": "drop"},
        {"kind": "drop", "direction": "down"},
        {"kind": "down"},
    ],
    ids=str,
)
def test_a_fault_bites_is_measured_and_healed(fault, listeners, journal, dial, tmp_path):
    nemesis = walk(fault, listeners, journal, dial)
    assert nemesis.join(15)
    assert nemesis.errors == []
    (effect,) = records(tmp_path, "effect")
    assert effect["effect"] == "confirmed", effect
    assert effect["measured"]["unit"]
    assert effect["measured"]["value"]
    windows = records(tmp_path, "window")
    assert [window["step"] for window in windows] == STEPS
    assert sorted(window["at_ns"] for window in windows) == [window["at_ns"] for window in windows]
    for listener in listeners.values():
        state = listener.control.proxy(listener.proxy)
        assert (state.enabled, state.toxics) == (True, ())


def test_a_jam_heals_intact(listeners, journal, dial, tmp_path):
    assert walk({"kind": "jam"}, listeners, journal, dial).join(15)
    (effect,) = records(tmp_path, "effect")
    assert effect["measured"]["intact"] is True
    assert effect["measured"]["held"] >= 2


def test_a_drop_ends_the_connection_when_it_heals(listeners, journal, dial, tmp_path):
    assert walk({"kind": "drop"}, listeners, journal, dial).join(15)
    assert records(tmp_path, "effect")[0]["measured"]["ended"] == "heal"


@pytest.mark.parametrize(
    "fault", [{"kind": "latency", "latency_ms": 100}, {"kind": "jam"}, {"kind": "drop"}, {"kind": "down"}], ids=str
)
def test_a_fault_on_the_wrong_listener_is_absent(fault, listeners, journal, dial, tmp_path):
    wrong = listeners["treated"]
    wrong.control, wrong.proxy = listeners["control"].control, listeners["control"].proxy
    assert walk(fault, listeners, journal, dial).join(15)
    assert records(tmp_path, "effect")[0]["effect"] == "absent"


def test_stop_heals_at_once(listeners, journal, dial, tmp_path, until):
    nemesis = walk({"kind": "down"}, listeners, journal, dial, window_s=60)
    until(lambda: any(record["step"] == "applied" for record in records(tmp_path, "window")))
    nemesis.stop()
    assert nemesis.join(5)
    assert [record["step"] for record in records(tmp_path, "window")] == STEPS
    assert listeners["treated"].control.proxy(listeners["treated"].proxy).enabled


def test_a_wedge_restarts_the_process_on_the_same_ports(listeners, journal, dial, tmp_path, monkeypatch):
    """The call hangs; the window is closed, its effect not probed, and the listener serves again."""
    treated = listeners["treated"]
    before, port = treated.server.pid, treated.server.port

    def hang(*_):
        raise Wedged("no answer in 1 s")

    monkeypatch.setattr(treated.control, "add_toxic", hang)
    nemesis = walk({"kind": "jam"}, listeners, journal, dial)
    assert nemesis.join(15)
    assert nemesis.errors == []
    assert [r["id"] for r in records(tmp_path, "wedge")] == ["w1"]
    assert [r["effect"] for r in records(tmp_path, "effect")] == ["not-probed"]
    assert [r["step"] for r in records(tmp_path, "window")] == ["applying", "healing", "healed"]
    assert (treated.server.port, treated.server.pid != before) == (port, True)
    assert treated.control.proxy(treated.proxy).enabled


def test_two_windows_in_a_row_each_have_a_living_canary(listeners, journal, dial, tmp_path):
    fault = {"kind": "down"}
    phases = [
        PhaseSpec("a", 1.5),
        PhaseSpec("b", 1, fault),
        PhaseSpec("c", 1.5),
        PhaseSpec("d", 1, fault),
        PhaseSpec("e", 1),
    ]
    nemesis = Nemesis(make_plan(phases, 1), listeners, journal, dial, time.monotonic_ns())
    nemesis.start()
    assert nemesis.join(20)
    effects = records(tmp_path, "effect")
    assert [(e["id"], e["effect"], e["measured"]["live"]) for e in effects] == [
        ("w1", "confirmed", "eof"),
        ("w2", "confirmed", "eof"),
    ]
