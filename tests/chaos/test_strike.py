"""One window from its start to its judgement; what goes wrong closes it, and is never an effect."""

from __future__ import annotations

import threading
import time

import pytest

from chaos.faults import parse_fault
from chaos.plan import Window
from chaos.side import Side
from chaos.strike import Strike
from chaos.toxiproxy import ControlError, Wedged
from loadtests.errors import RigError
from loadtests.journal import Journal, read_journal

pytestmark = pytest.mark.live


class Hand:
    """Does nothing, or fails where it is told to."""

    def __init__(self, **errors):
        self.errors, self.done = errors, []

    def _do(self, what):
        self.done.append(what)
        if error := self.errors.get(what):
            raise error

    def begin(self):
        self._do("begin")

    def step(self, step):
        self._do(step.do)

    def end(self):
        self._do("end")


@pytest.fixture
def strike(listeners, dial, journal, tmp_path, until):
    treated = listeners["treated"]
    side = Side(treated, dial.via(treated.address))
    side.start()
    assert until(lambda: any(ping.answered_ns for ping in list(side.canary.seen.pings)))  # there is a before

    def run(hand, kind="jam", window_ms=400, stop=None, errors=None, heard=None, **asked):
        side.heard = heard
        window = Window("w1", kind, "treated", "p", 0, window_ms, asked)
        errors = [] if errors is None else errors
        Strike(window, side, hand, journal, errors, time.monotonic_ns(), stop or threading.Event()).run()
        records = read_journal(tmp_path / "history.jsonl")
        steps = [record["step"] for record in records if record["type"] == "window"]
        return errors, steps, [record["effect"] for record in records if record["type"] == "effect"], side

    yield run
    side.close()


def test_begin_and_end_in_order(strike):
    hand = Hand()
    errors, steps, effects, _ = strike(hand, window_ms=2_000)
    assert (errors, steps, hand.done) == ([], ["applying", "applied", "healing", "healed"], ["begin", "end"])
    assert effects == ["absent"]  # nothing was done, and the canary saw that


def test_what_cannot_be_applied_is_healed_and_an_error(strike):
    hand = Hand(begin=ControlError("refused"))
    errors, steps, effects, _ = strike(hand)
    assert (errors, steps, effects) == (["w1: refused"], ["applying", "healing", "healed"], ["absent"])
    assert hand.done == ["begin", "end"]


def test_what_cannot_be_healed_is_restarted(strike):
    errors, steps, effects, side = strike(Hand(end=ControlError("refused")))
    assert (errors, effects) == (["w1: refused", "w1: refused"], ["absent"])
    assert steps == ["applying", "applied", "healing", "healed"]
    assert side.generation == 1


@pytest.mark.parametrize("where", ["begin", "end"])
def test_a_wedge_is_no_error_and_no_effect(strike, where):
    errors, steps, effects, side = strike(Hand(**{where: Wedged("no answer in 1 s")}))
    assert (errors, effects, side.generation) == ([], ["not-probed"], 1)
    assert steps[-1] == "healed"


def test_a_step_inside_is_written_down_first_and_one_that_fails_closes_the_window(strike, tmp_path):
    hand = Hand(enable=RigError("no"))
    errors, steps, effects, side = strike(hand, "flap", 500, down_ms=100, up_ms=100)
    assert (errors, effects) == (["w1: no"], ["absent"])
    calls = [
        (record["do"], record["proxy"])
        for record in read_journal(tmp_path / "history.jsonl")
        if record["type"] == "call"
    ]
    assert calls == [("enable", side.listener.proxy)]
    assert steps == ["applying", "applied", "healing", "healed"]
    assert hand.done == ["begin", "enable", "end"]


@pytest.mark.parametrize(("kind", "asks"), [("jam", 1), ("down", 0), ("sleep", 0)])
def test_the_backend_is_asked_of_arrivals_where_a_way_is_judged(strike, kind, asks):
    asked = []
    side = strike(Hand(), kind, heard=lambda name: asked.append(name) or {})[-1]
    assert asked == [side.canary.name] * asks


def test_a_new_connection_after_the_heal_is_waited_for_as_long_as_another_fault_may_slow_it(
    strike, listeners, tmp_path
):
    treated = listeners["treated"]
    for toxic in parse_fault({"kind": "latency", "latency_ms": 400, "direction": "both"}, "", "").toxics:
        treated.control.add_toxic(treated.proxy, f"w9-latency-{toxic.stream}", toxic)
    strike(Hand())
    (effect,) = [record for record in read_journal(tmp_path / "history.jsonl") if record["type"] == "effect"]
    assert effect["measured"]["after_heal"] == "answered"


def test_stopped_before_its_start_it_never_begins(strike):
    stop = threading.Event()
    stop.set()
    hand = Hand()
    assert strike(hand, stop=stop)[:3] == ([], [], [])
    assert hand.done == []


@pytest.mark.parametrize("where", ["begin", "enable", "end"])
def test_an_error_that_nobody_foresaw_leaves_no_fault_in_force(where, strike, tmp_path):
    hand, errors = Hand(**{where: ZeroDivisionError("odd")}), []
    with pytest.raises(ZeroDivisionError):
        strike(hand, "flap", 500, errors=errors, down_ms=100, up_ms=100)
    assert hand.done[-1] == "end"
    records = read_journal(tmp_path / "history.jsonl")
    assert [r["effect"] for r in records if r["type"] == "effect"] == ["not-probed"]
    steps = [r["step"] for r in records if r["type"] == "window"]
    assert (steps[0], steps[-2:], steps.count("healing")) == ("applying", ["healing", "healed"], 1)
    assert errors == (["w1: ZeroDivisionError: odd"] if where == "end" else [])


def test_a_journal_that_breaks_leaves_no_fault_in_force(strike, monkeypatch):
    written = Journal.append

    def full(self, kind, /, **fields):
        if fields.get("step") == "applied":
            raise OSError("no space left on device")
        written(self, kind, **fields)

    monkeypatch.setattr(Journal, "append", full)
    hand = Hand()
    with pytest.raises(OSError, match="no space"):
        strike(hand)
    assert hand.done == ["begin", "end"]
