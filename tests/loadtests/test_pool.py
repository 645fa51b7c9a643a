"""Who is free takes what arrives: of the same group, whoever it is meant for first, and nothing is lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from loadtests.pool import NOBODY_FREE, Pool, Seat

LATE_NS = 100
#: users 0 to 2 are of one group, 3 of another
GROUPS = [0, 0, 0, 1]


class Bench:
    def __init__(self) -> None:
        self.dropped: list[tuple[int, int, str]] = []
        self.rung: list[int] = []
        self.pool = Pool(LATE_NS, GROUPS.__getitem__, lambda *one: self.dropped.append(one))

    def seat(self, number: int) -> Seat:
        return self.pool.seat(number, lambda: self.rung.append(number))


@pytest.fixture
def bench() -> Iterator[Bench]:
    return Bench()


def test_whom_it_is_meant_for_takes_it_though_others_have_been_free_for_longer(bench: Bench) -> None:
    seats = [bench.seat(number) for number in range(3)]
    assert [one.offer() for one in seats] == [0, 0, 0]
    bench.pool.arrive(2, 7)
    assert (bench.rung, seats[2].taken(), seats[2].taken()) == ([2], 7, 0)


def test_else_whoever_of_the_group_has_been_free_for_longest_takes_it(bench: Bench) -> None:
    seats = [bench.seat(number) for number in range(4)]
    for number in (3, 1, 0):
        seats[number].offer()
    bench.pool.arrive(2, 7)
    bench.pool.arrive(2, 8)
    assert (bench.rung, seats[1].taken(), seats[0].taken(), seats[3].taken()) == ([1, 0], 7, 8, 0)


def test_what_finds_nobody_free_is_taken_in_its_order_by_who_is_free_next(bench: Bench) -> None:
    seat = bench.seat(0)
    for at_ns in (5, 6):
        bench.pool.arrive(1, at_ns)
    assert (bench.rung, seat.offer(), seat.offer(), seat.offer(), bench.dropped) == ([], 5, 6, 0, [])


def test_what_waits_for_too_long_is_dropped_and_said_whose_it_was(bench: Bench) -> None:
    bench.pool.arrive(1, 5)
    bench.pool.arrive(3, 50)
    bench.pool.expire(5 + LATE_NS)
    assert bench.dropped == []
    bench.pool.expire(6 + LATE_NS)
    assert bench.dropped == [(1, 5, NOBODY_FREE)]
    assert bench.seat(3).offer() == 50


def test_who_has_withdrawn_is_given_nothing(bench: Bench) -> None:
    seat = bench.seat(0)
    seat.offer()
    seat.withdraw()
    bench.pool.arrive(0, 5)
    assert (bench.rung, seat.taken()) == ([], 0)


def test_at_the_end_what_waits_is_dropped_and_everybody_woken(bench: Bench) -> None:
    seats = [bench.seat(0), bench.seat(3)]
    seats[1].offer()
    bench.pool.arrive(0, 5)
    bench.pool.close()
    assert bench.dropped == [(0, 5, f"{NOBODY_FREE} before the run's end")]
    assert bench.rung == [0, 3]
    bench.pool.arrive(3, 9)
    assert seats[1].taken() == 0


def test_a_user_has_one_seat(bench: Bench) -> None:
    assert bench.seat(1) is bench.seat(1)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_each_arrival_is_taken_or_dropped_once(seed: int, bench: Bench) -> None:
    dice = random.Random(seed)
    seats = [bench.seat(number) for number in range(4)]
    came: list[int] = []
    taken: list[int] = []
    for at_ns in range(1, 400):
        seat = dice.choice(seats)
        match dice.randrange(5):
            case 0 | 1:
                came.append(at_ns)
                bench.pool.arrive(dice.randrange(4), at_ns)
            case 2:
                taken.append(seat.taken() or seat.offer())
            case 3:
                seat.withdraw()
            case _:
                bench.pool.expire(at_ns)
    taken += [one.taken() for one in seats]
    bench.pool.close()
    assert Counter(came) == Counter([*filter(None, taken), *(at_ns for _, at_ns, _ in bench.dropped)])
