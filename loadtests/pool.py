"""Whoever is free takes what arrives: users wait in seats, arrivals come from outside, and neither knows the other. Pure.

An arrival is meant for a user and taken by any of the same group (cohort and kind), so that those who cannot be served take
nothing away from the others. One that finds nobody free waits; after ``late_ns`` it is dropped, never lost.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable

__all__ = ["NOBODY_FREE", "Pool", "Seat"]

NOBODY_FREE = "nobody was free"


class Seat:
    """One user's place. ``ring`` wakes the user, who then asks ``taken``."""

    __slots__ = ("_group", "_pool", "given_ns", "number", "ring")

    def __init__(self, pool: Pool, number: int, group: Hashable, ring: Callable[[], None]) -> None:
        self._pool, self.number, self._group, self.ring = pool, number, group, ring
        #: when the turn is meant that the user was given; 0: none was
        self.given_ns = 0

    def offer(self) -> int:
        """The user is free: the oldest arrival that waits, or 0, and then the next one rings."""
        return self._pool._offer(self, self._group)

    def taken(self) -> int:
        """The arrival that rang, once; 0: none did."""
        given, self.given_ns = self.given_ns, 0
        return given

    def withdraw(self) -> None:
        """Not free any more: disconnected, or gone."""
        self._pool._idle[self._group].pop(self.number, None)


class Pool:
    """``drop`` gets (user, when it was meant, why) of each arrival that nobody takes."""

    def __init__(
        self, late_ns: int, group_of: Callable[[int], Hashable], drop: Callable[[int, int, str], None]
    ) -> None:
        self._late_ns, self._group_of, self._drop = late_ns, group_of, drop
        self._idle: defaultdict[Hashable, dict[int, Seat]] = defaultdict(dict)
        self._waiting: defaultdict[Hashable, deque[tuple[int, int]]] = defaultdict(deque)
        self._seats: dict[int, Seat] = {}

    def seat(self, number: int, ring: Callable[[], None]) -> Seat:
        """A user's place, the same one each time."""
        if number not in self._seats:
            self._seats[number] = Seat(self, number, self._group_of(number), ring)
        return self._seats[number]

    def arrive(self, user: int, intended_ns: int) -> None:
        """A turn is due: whom it is meant for takes it, else who has been free for longest, else it waits."""
        group = self._group_of(user)
        idle = self._idle[group]
        if not idle:
            self._waiting[group].append((intended_ns, user))
            return
        seat = idle.pop(user if user in idle else next(iter(idle)))
        seat.given_ns = intended_ns
        seat.ring()

    def expire(self, now_ns: int) -> None:
        """Drop what has waited for too long."""
        for waiting in self._waiting.values():
            while waiting and now_ns - waiting[0][0] > self._late_ns:
                self._drop_first(waiting, NOBODY_FREE)

    def close(self) -> None:
        """The run wants no more turns: drop what waits, and wake everybody."""
        for waiting in self._waiting.values():
            while waiting:
                self._drop_first(waiting, f"{NOBODY_FREE} before the run's end")
        for seat in self._seats.values():
            seat.withdraw()
            seat.ring()

    def _drop_first(self, waiting: deque[tuple[int, int]], why: str) -> None:
        intended_ns, user = waiting.popleft()
        self._drop(user, intended_ns, why)

    def _offer(self, seat: Seat, group: Hashable) -> int:
        if waiting := self._waiting[group]:
            return waiting.popleft()[0]
        self._idle[group][seat.number] = seat
        return 0
