"""The nemesis on real listeners: each fault bites, is measured, healed and written down."""

from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from chaos.canary import Canary
from chaos.listeners import open_listeners
from chaos.nemesis import Nemesis, lanes
from chaos.plan import PhaseSpec, make_plan
from chaos.ports import free_port
from chaos.strike import Strike
from chaos.teardown import teardown
from chaos.toxiproxy import ARMED, Wedged
from chaos.wire import connect, try_new, upgrade
from loadtests.dial import Dial
from loadtests.journal import read_journal

pytestmark = pytest.mark.live
STEPS = ["applying", "applied", "healing", "healed"]


@pytest.fixture
def cohorts():
    return ["control", "treated", "treated-hs"]


ECHO = """
import sys
from websockets.sync.server import serve
serve(lambda connection: list(connection), "127.0.0.1", int(sys.argv[1])).serve_forever()
"""


class Keeper:
    """Kills, pauses and restarts a server, as a conductor does the embedded backend."""

    def __init__(self):
        self.port = free_port("127.0.0.1")
        self.dial = Dial(("127.0.0.1", self.port), f"ws://127.0.0.1:{self.port}/ws", f"http://127.0.0.1:{self.port}")
        self.calls = {name: getattr(self, name) for name in ("kill", "start", "pause", "resume", "restart")}

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-c", ECHO, str(self.port)])
        deadline = time.monotonic() + 10
        while try_new(self.dial) != "answered":
            assert time.monotonic() < deadline

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.kill()
        self.start()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def backend(toxiproxy_binary, run_id, tmp_path):
    keeper = Keeper()
    keeper.start()
    upstream = ("127.0.0.1", keeper.port)
    keeper.listeners = open_listeners(["treated"], upstream, run_id, log_dir=tmp_path, binary=toxiproxy_binary)
    yield keeper
    keeper.listeners["treated"].close()
    keeper.kill()


def walk(fault, listeners, journal, dial, window_s=1.2):
    plan = make_plan([PhaseSpec("steady", 1), PhaseSpec("fault", window_s, fault), PhaseSpec("end", 1)], 1)
    for name in plan.armed:
        listeners[name].control.arm(listeners[name].proxy)
    nemesis = Nemesis(plan, listeners, journal, dial)
    nemesis.watch()
    nemesis.start(time.monotonic_ns())
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
        {"kind": "jitter", "jitter_ms": 40, "mean_ms": 60},
        {"kind": "bandwidth", "kb_per_s": 8},
        {"kind": "bandwidth", "kb_per_s": 20, "direction": "up"},
        {"kind": "bandwidth", "kb_per_s": 20, "direction": "both"},
        {"kind": "slicer"},
        {"kind": "slicer", "direction": "up"},
        {"kind": "limit-data", "bytes": 500},
        {"kind": "limit-data", "bytes": 500, "direction": "up"},
        {"kind": "reset"},
        {"kind": "slow-close", "delay_ms": 300},
        {"kind": "slow-close", "delay_ms": 300, "direction": "up"},
        {"kind": "flap", "down_ms": 200, "up_ms": 300},
        {"kind": "half-open"},
        {"kind": "handshake", "fault": "jam", "with": {"direction": "up"}},
        {"kind": "handshake", "fault": "drop", "with": {"direction": "down"}},
        {"kind": "handshake", "fault": "limit-data", "with": {"bytes": 60}},
        {"kind": "handshake", "fault": "limit-data", "with": {"bytes": 60, "direction": "up"}},
        {"kind": "handshake", "fault": "reset"},
        {"kind": "handshake", "fault": "latency", "with": {"latency_ms": 200}},
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
    assert effect["measured"].get("after_heal") == (None if fault["kind"] == "slow-close" else "answered")
    windows = records(tmp_path, "window")
    assert [window["step"] for window in windows] == STEPS
    assert sorted(window["at_ns"] for window in windows) == [window["at_ns"] for window in windows]
    for listener in listeners.values():
        state = listener.control.proxy(listener.proxy)
        assert (state.enabled, [t.name for t in state.toxics if t.name != ARMED]) == (True, [])


def test_a_flap_is_tried_once_in_each_down(listeners, journal, dial, tmp_path):
    """More tries could make up for a down in which one was answered."""
    assert walk({"kind": "flap", "down_ms": 300, "up_ms": 300}, listeners, journal, dial, window_s=1.5).join(15)
    (effect,) = records(tmp_path, "effect")
    assert (effect["measured"]["tried"], effect["measured"]["downs"]) == (3, 3)


def test_a_jam_heals_intact(listeners, journal, dial, tmp_path):
    assert walk({"kind": "jam"}, listeners, journal, dial).join(15)
    (effect,) = records(tmp_path, "effect")
    assert effect["measured"]["intact"] is True
    assert effect["measured"]["held"] >= 2


def test_a_drop_ends_the_connection_when_it_heals(listeners, journal, dial, tmp_path):
    assert walk({"kind": "drop"}, listeners, journal, dial).join(15)
    assert records(tmp_path, "effect")[0]["measured"]["ended"] == "heal"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "latency", "latency_ms": 100},
        {"kind": "jitter", "jitter_ms": 40},
        {"kind": "bandwidth", "kb_per_s": 20, "direction": "both"},
        {"kind": "slicer"},
        {"kind": "limit-data", "bytes": 500},
        {"kind": "jam"},
        {"kind": "drop"},
        {"kind": "reset"},
        {"kind": "slow-close", "delay_ms": 300},
        {"kind": "down"},
        {"kind": "flap", "down_ms": 200, "up_ms": 300},
        {"kind": "half-open"},
    ],
    ids=str,
)
def test_a_fault_on_the_wrong_listener_is_absent(fault, listeners, journal, dial, tmp_path):
    wrong = listeners["treated"]
    wrong.control, wrong.proxy = listeners["control"].control, listeners["control"].proxy
    assert walk(fault, listeners, journal, dial).join(15)
    assert records(tmp_path, "effect")[0]["effect"] == "absent"


def test_a_reset_of_a_listener_that_was_not_armed_is_absent(listeners, journal, dial, tmp_path):
    plan = make_plan([PhaseSpec("steady", 1), PhaseSpec("fault", 1, {"kind": "reset"}), PhaseSpec("end", 1)], 1)
    nemesis = Nemesis(plan, listeners, journal, dial)
    nemesis.watch()
    nemesis.start(time.monotonic_ns())
    assert nemesis.join(15)
    (effect,) = records(tmp_path, "effect")
    assert (effect["effect"], effect["measured"]["value"]) == ("absent", "eof")


def test_the_other_side_sees_a_true_reset_too(listeners, journal, dial, ends):
    assert walk({"kind": "reset"}, listeners, journal, dial).join(15)
    assert any(isinstance(end, ConnectionResetError) for end in ends)


def test_a_limit_cuts_at_exactly_so_many_bytes(listeners, journal, dial, tmp_path):
    assert walk({"kind": "limit-data", "bytes": 777}, listeners, journal, dial).join(15)
    (effect,) = records(tmp_path, "effect")
    assert abs(effect["measured"]["value"] - 777) <= 127  # a pong may be on its way while it begins


def test_half_open_leaves_no_ghost(listeners, journal, dial, until, ends):
    """A client that vanished inside the window is told of to the backend as soon as it heals."""
    begun = len(ends)
    nemesis = walk({"kind": "half-open"}, listeners, journal, dial, window_s=2)
    client = connect(dial.via(listeners["treated"].address), 2)
    upgrade(dial, client, 2)
    until(lambda: listeners["treated"].control.proxy(listeners["treated"].proxy).toxics[3:])
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    threading.Event().wait(0.5)
    assert len(ends) == begun
    assert nemesis.join(15)
    until(lambda: len(ends) > begun, 3)


def rows(*faults, quiet_s=1.5):
    return [PhaseSpec("steady", 1.5), PhaseSpec("faults", 7, faults=faults), PhaseSpec("end", quiet_s)]


def test_overlapping_faults_are_told_apart(listeners, journal, dial, tmp_path):
    """Each is measured against how the way was before it; the cut ends the sight of the others, and proves itself."""
    plan = make_plan(
        rows(
            {"at_s": 0, "for_s": 6.9, "fault": {"kind": "latency", "latency_ms": 60, "direction": "both"}},
            {"at_s": 1.5, "for_s": 1.5, "fault": {"kind": "slicer"}},
            {"at_s": 4.2, "for_s": 1.5, "fault": {"kind": "down"}},
        ),
        1,
    )
    nemesis = Nemesis(plan, listeners, journal, dial)
    nemesis.watch()
    nemesis.start(time.monotonic_ns())
    assert nemesis.join(20)
    assert nemesis.errors == []
    effects = {effect["id"]: effect for effect in records(tmp_path, "effect")}
    assert {name: effect["effect"] for name, effect in effects.items()} == dict.fromkeys(
        ("w1", "w2", "w3"), "confirmed"
    ), effects
    assert 115 <= effects["w1"]["measured"]["value"] <= 140
    state = listeners["treated"].control.proxy(listeners["treated"].proxy)
    assert (state.enabled, state.toxics) == (True, ())


def test_a_wedge_ends_the_other_windows_of_its_listener_too(listeners, journal, dial, tmp_path, monkeypatch):
    control = listeners["treated"].control
    add = control.add_toxic

    def hang(proxy, name, toxic):
        if toxic.type == "slicer":
            raise Wedged("no answer in 1 s")
        return add(proxy, name, toxic)

    monkeypatch.setattr(control, "add_toxic", hang)
    plan = make_plan(
        rows(
            {"at_s": 0, "for_s": 4, "fault": {"kind": "latency", "latency_ms": 60}},
            {"at_s": 1.5, "for_s": 1, "fault": {"kind": "slicer"}},
        ),
        1,
    )
    nemesis = Nemesis(plan, listeners, journal, dial)
    nemesis.watch()
    nemesis.start(time.monotonic_ns())
    assert nemesis.join(20)
    assert nemesis.errors == []
    effects = {effect["id"]: effect for effect in records(tmp_path, "effect")}
    assert [effects[name]["effect"] for name in ("w1", "w2")] == ["not-probed", "not-probed"]
    assert "restarted" in effects["w1"]["measured"]["reason"]
    assert listeners["treated"].control.proxy(listeners["treated"].proxy).toxics == ()


def on_backend(fault, listeners, journal, dial, run_dir=None, **more):
    plan = make_plan([PhaseSpec("steady", 1), PhaseSpec("fault", 1.2, fault), PhaseSpec("end", 1)], 1)
    nemesis = Nemesis(plan, listeners, journal, dial, run_dir=run_dir, **more)
    nemesis.watch()
    nemesis.start(time.monotonic_ns())
    assert nemesis.join(20)
    return nemesis


@pytest.mark.parametrize("kind", ["backend-kill", "backend-pause", "backend-restart"])
def test_faults_on_the_backend_bite(kind, journal, backend, tmp_path):
    nemesis = on_backend({"kind": kind}, backend.listeners, journal, backend.dial, backend=backend.calls)
    assert nemesis.errors == []
    (effect,) = records(tmp_path, "effect")
    assert effect["effect"] == "confirmed", effect
    assert [window["step"] for window in records(tmp_path, "window")] == STEPS


def test_a_backend_that_nobody_keeps_is_an_error_and_no_effect(listeners, journal, dial, tmp_path):
    nemesis = on_backend({"kind": "backend-kill"}, listeners, journal, dial)
    assert "nobody here can kill" in nemesis.errors[0]
    assert records(tmp_path, "effect")[0]["effect"] == "absent"
    assert [window["step"] for window in records(tmp_path, "window")] == ["applying", "healing", "healed"]


def test_a_command_is_applied_verified_and_reverted(listeners, journal, dial, tmp_path):
    flag = tmp_path / "flag"
    python = [sys.executable, "-c"]
    fault = {
        "kind": "command",
        "apply": [*python, f"open({str(flag)!r}, 'w')"],
        "verify": ["test", "-e", str(flag)],
        "revert": ["rm", str(flag)],
    }
    nemesis = on_backend(fault, listeners, journal, dial, run_dir=tmp_path)
    assert nemesis.errors == []
    assert not flag.exists()
    assert records(tmp_path, "effect")[0]["effect"] == "confirmed"
    steps = [
        (r["type"], r["step"]) for r in read_journal(tmp_path / "history.jsonl") if r["type"] in {"window", "command"}
    ]
    assert steps == [
        ("window", "applying"), ("command", "applying"), ("command", "applied"), ("command", "verified"), ("window", "applied"),
        ("window", "healing"), ("command", "reverting"), ("command", "reverted"), ("window", "healed"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "lines", "effect"),
    [
        ({"kind": "mass-disconnect"}, [("begin", [1, 2]), ("end", [1, 2])], "confirmed"),
        ({"kind": "sleep"}, [("begin", []), ("end", [])], "absent"),
        ({"kind": "sleep"}, [], "not-probed"),
        ({"kind": "switch"}, [("begin", [1, 2]), ("end", [1, 2])], "confirmed"),
    ],
    ids=str,
)
def test_what_clients_do_is_proved_by_what_they_wrote(fault, lines, effect, listeners, journal, dial, tmp_path):
    (tmp_path / "rows").mkdir()
    written = [json.dumps({"id": "w1", "act": act, "sessions": sessions, "of": 4}) for act, sessions in lines]
    (tmp_path / "rows" / "worker-1.acts.jsonl").write_text("".join(f"{line}\n" for line in written))
    on_backend(fault, listeners, journal, dial, run_dir=tmp_path)
    (found,) = records(tmp_path, "effect")
    assert found["effect"] == effect
    assert found["measured"].get("after_heal") == ("answered" if fault["kind"] == "switch" else None)
    assert [window["step"] for window in records(tmp_path, "window")] == STEPS


def test_windows_far_apart_share_a_lane():
    quick = {"at_s": 0, "for_s": 1, "every_s": 5, "times": 5, "fault": {"kind": "down"}}
    long = {"at_s": 0, "for_s": 29, "fault": {"kind": "latency", "latency_ms": 5}}
    plan = make_plan([PhaseSpec("a", 1), PhaseSpec("b", 30, faults=[quick]), PhaseSpec("c", 1)], 1)
    assert [[window.kind for window in lane] for lane in lanes(plan.windows)] == [["down"] * 5]
    both = [{**quick, "at_s": 2}, {**long, "for_s": 30}]
    plan = make_plan([PhaseSpec("a", 1), PhaseSpec("b", 30, faults=both), PhaseSpec("c", 1)], 1)
    assert sorted(len(lane) for lane in lanes(plan.windows)) == [1, 5]


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
    nemesis = Nemesis(make_plan(phases, 1), listeners, journal, dial)
    nemesis.watch()
    nemesis.start(time.monotonic_ns())
    assert nemesis.join(20)
    effects = records(tmp_path, "effect")
    assert [(e["id"], e["effect"], e["measured"]["live"]) for e in effects] == [
        ("w1", "confirmed", "eof"),
        ("w2", "confirmed", "eof"),
    ]


def test_canaries_have_a_baseline_before_anything_begins_and_end_though_nothing_does(
    listeners, journal, dial, tmp_path
):
    plan = make_plan([PhaseSpec("steady", 1), PhaseSpec("fault", 1, {"kind": "down"}), PhaseSpec("end", 1)], 1)
    nemesis = Nemesis(plan, listeners, journal, dial)
    assert not nemesis.watching(0)
    nemesis.watch()
    assert nemesis.watching(10)
    nemesis.stop()
    assert nemesis.join(0)
    assert not [thread for thread in threading.enumerate() if thread.name in {"canary", "keep-canary"}]
    assert records(tmp_path, "window") == []


def test_an_error_that_nobody_foresaw_is_reported_and_its_fault_healed(listeners, journal, dial, tmp_path, monkeypatch):
    treated = listeners["treated"]
    monkeypatch.setattr(Canary, "burst", lambda *_: 1 / 0)
    plan = make_plan(
        [PhaseSpec("steady", 1), PhaseSpec("fault", 1, {"kind": "bandwidth", "kb_per_s": 8}), PhaseSpec("end", 1)], 1
    )
    monkeypatch.setattr(Strike, "_prepare", lambda _: None)
    nemesis = Nemesis(plan, listeners, journal, dial)
    nemesis.watch()
    nemesis.start(time.monotonic_ns())
    assert nemesis.join(10)
    assert nemesis.errors == ["w1 on treated: ZeroDivisionError: division by zero"]
    assert [window["step"] for window in records(tmp_path, "window")] == STEPS
    assert treated.control.proxy(treated.proxy).toxics == ()


def test_a_revert_that_fails_is_run_once_and_its_window_has_no_end(listeners, journal, dial, tmp_path):
    runs = tmp_path / "runs"
    fault = {"kind": "command", "apply": ["true"], "revert": ["sh", "-c", f"echo x >> {runs}; exit 1"]}
    nemesis = on_backend(fault, listeners, journal, dial, run_dir=tmp_path)
    assert set(nemesis.errors) == {"w1: revert command of w1: sh: exit status 1"}
    assert runs.read_text() == "x\n"
    assert [window["step"] for window in records(tmp_path, "window")] == ["applying", "applied", "healing"]
    assert not teardown(listeners.values(), journal, tmp_path / "history.jsonl")
    assert records(tmp_path, "cleanup")[0]["left"] == ["command of w1: its revert failed"]
