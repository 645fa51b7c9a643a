from __future__ import annotations

from loadtests.simulation.clock import START_NS, Clock


def test_callbacks_come_by_time_and_those_of_one_moment_in_the_order_in_which_they_were_asked_for() -> None:
    clock, seen = Clock(), []
    for name, delay_ms in (("late", 20.0), ("first", 10.0), ("second", 10.0)):
        clock.after_ms(delay_ms, lambda name=name: seen.append((name, clock.now_ns - START_NS)))
    clock.run(START_NS + 100_000_000)
    assert seen == [("first", 10_000_000), ("second", 10_000_000), ("late", 20_000_000)]


def test_a_time_in_the_past_is_now_and_soon_is_after_the_caller() -> None:
    clock, seen = Clock(), []

    def outer() -> None:
        clock.at(0, lambda: seen.append("past"))
        clock.soon(lambda: seen.append("soon"))
        seen.append("caller")

    clock.soon(outer)
    clock.run(START_NS)
    assert seen == ["caller", "past", "soon"]


def test_it_stops_at_the_bound_and_says_whether_anything_is_left() -> None:
    clock, seen = Clock(), []
    clock.after_ms(50.0, lambda: seen.append(1))
    assert clock.run(START_NS + 10_000_000)
    assert (seen, clock.now_ns) == ([], START_NS + 10_000_000)
    assert not clock.run(START_NS + 60_000_000)
    assert seen == [1]
