"""Threads know what runs and what waits, let the next one in line go, and forget a thread on which nothing happens."""

from __future__ import annotations

from loadtests.backend.eventlog import Turn
from loadtests.backend.script import Ask
from loadtests.backend.threads import MOST_WAITING, Run, Threads


def run(name: str, thread: str = "t1", owner: str = "o") -> Run:
    turn = Turn(owner=owner, stream="s", user="u", thread=thread, run=f"run_{name}", message=name)
    return Run(turn, Ask(message_id=name, run_id=turn.run, thread_id=thread, content="?"))


def test_those_that_wait_go_in_the_order_in_which_they_came() -> None:
    threads = Threads()
    first, second, third = run("1"), run("2"), run("3")
    assert threads.running(first.turn) == ()
    threads.enter(first)
    threads.wait(second)
    threads.wait(third)
    assert threads.running(second.turn) == (first,)
    assert threads.leave(first) is second
    threads.enter(second)
    assert threads.leave(second) is third
    threads.enter(third)
    assert threads.leave(third) is None
    assert list(threads) == []


def test_nobody_goes_while_another_still_runs() -> None:
    threads = Threads()
    first, beside, waiting = run("1"), run("2"), run("3")
    threads.enter(first)
    threads.enter(beside)
    threads.wait(waiting)
    assert threads.leave(first) is None
    assert threads.leave(beside) is waiting


def test_whoever_waits_may_leave_and_whoever_has_left_leaves_nothing_behind() -> None:
    threads = Threads()
    first, waiting = run("1"), run("2")
    threads.enter(first)
    threads.wait(waiting)
    assert threads.leave(waiting) is None
    assert list(threads) == [first]
    assert threads.leave(first) is None
    assert threads.leave(first) is None


def test_threads_and_owners_do_not_get_in_each_other_s_way() -> None:
    threads = Threads()
    threads.enter(run("1"))
    assert threads.running(run("2", thread="t2").turn) == ()
    assert threads.running(run("2", owner="p").turn) == ()


def test_a_turn_is_found_by_its_owner_and_id_whether_it_runs_or_waits() -> None:
    threads = Threads()
    first, waiting = run("1"), run("2")
    threads.enter(first)
    threads.wait(waiting)
    assert threads.find("o", "run_1") is first
    assert threads.find("o", "run_2") is waiting
    assert threads.find("p", "run_1") is None
    assert threads.find("o", "run_3") is None


def test_a_thread_is_full_when_very_many_wait() -> None:
    threads = Threads()
    first = run("1")
    assert not threads.is_full(first.turn)
    threads.enter(first)
    for n in range(MOST_WAITING):
        assert not threads.is_full(first.turn)
        threads.wait(run(f"w{n}"))
    assert threads.is_full(first.turn)
