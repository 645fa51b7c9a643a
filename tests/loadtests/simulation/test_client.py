"""The client's shell performs what a conversation asks for, and nothing else."""

from __future__ import annotations

from loadtests.conversation import Dial, Hangup, Pause, Wait
from loadtests.simulation.link import UPGRADED
from tests.loadtests.simulation.benches import Bench


def test_a_pause_lasts_whatever_rings_and_a_wait_ends_at_a_ring_or_its_time() -> None:
    bench = Bench()
    bench.clock.after_ms(5.0, bench.session.wake)
    bench.clock.after_ms(50.0, bench.session.wake)
    bench.perform(Pause(bench.at_ms(30)), Wait(bench.at_ms(1_000)), Wait(bench.at_ms(1_000)), Wait(bench.at_ms(70)))
    assert [at for at, _ in bench.answers] == [30.0, 30.0, 50.0, 70.0]
    assert bench.client.done


def test_a_ring_in_time_is_heard_once() -> None:
    bench = Bench()
    bench.clock.after_ms(5.0, bench.session.wake)
    bench.perform(Wait(None), Wait(bench.at_ms(90)))
    assert [at for at, _ in bench.answers] == [5.0, 90.0]


def test_a_hangup_waits_for_the_answer_and_not_for_ever() -> None:
    bench = Bench()
    bench.perform(Dial(2.0), Hangup(1000, "bye"))
    assert bench.answers[1][0] == 1_001.0
    assert bench.talk.closes == []
    assert b"\x88" in bench.servers[0][1].heard
    polite = Bench(UPGRADED)
    polite.clock.after_ms(5.0, lambda: polite.servers[0][0].send(b"\x88\x02\x03\xe8"))
    polite.perform(Dial(2.0), Hangup(1000, "bye"))
    assert polite.answers[1][0] < 10.0
    assert polite.talk.closes == [(1000, "")]


def test_a_new_dial_lets_the_old_connection_go() -> None:
    bench = Bench()
    bench.perform(Dial(2.0), Dial(2.0))
    assert bench.servers[0][1].ends == ["eof"]
    assert bench.servers[1][1].ends == []
    assert bench.talk.closes == []


def test_who_is_stopped_resumes_nothing() -> None:
    bench = Bench()
    bench.perform(Wait(None), ms=10)
    bench.client.stop()
    bench.session.wake()
    bench.run(100)
    assert (bench.answers, bench.talk.cuts, bench.client.done) == ([], 1, True)
