"""The clocks of several hosts: by how much one is ahead of the master's, how sure that is, and times brought into one clock.

Pure. Each host's CLOCK_MONOTONIC begins anywhere and runs a little faster or slower than another's. A host asks the master
for its time: the answer was given somewhere between question and answer, so half of the round trip bounds the error, however
unlike the two ways are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

__all__ = ["Alignment", "Reading", "RoundTrip", "best", "shifted", "shifted_record"]

MOST_NS = 1 << 61
#: two clocks that the network's time steers may each run faster or slower by this, and no more (adjtimex: 500)
MOST_DRIFT_PPM = 1000
_TIMES = ("intended", "sent", "received")
Rows = np.ndarray[Any, np.dtype[Any]]


class RoundTrip(NamedTuple):
    """One question to the master: our clock, its clock, our clock again, all in ns."""

    asked_ns: int
    master_ns: int
    heard_ns: int


class Reading(msgspec.Struct, frozen=True):
    """At ``at_ns`` of a host's own clock it was ``ahead_ns`` ahead of the master's, give or take ``bound_ns``."""

    at_ns: Annotated[int, msgspec.Meta(ge=0, le=MOST_NS)]
    ahead_ns: Annotated[int, msgspec.Meta(ge=-MOST_NS, le=MOST_NS)]
    bound_ns: Annotated[int, msgspec.Meta(ge=0, le=MOST_NS)]


class Alignment(msgspec.Struct, frozen=True):
    """A host's clock against the master's, read before the load and after it."""

    before: Reading
    after: Reading

    @property
    def drift_ns(self) -> int:
        """By how much it got ahead meanwhile."""
        return self.after.ahead_ns - self.before.ahead_ns

    @property
    def bound_ns(self) -> int:
        """No time between the two readings is wrong by more: a clock that does not jump stays between what was read."""
        return max(self.before.bound_ns, self.after.bound_ns) + abs(self.drift_ns)

    @property
    def jump_ns(self) -> int:
        """What of the drift no clock that only runs fast or slow can have made; 0: nothing."""
        elapsed_ns = max(0, self.after.at_ns - self.before.at_ns)
        most_ns = self.before.bound_ns + self.after.bound_ns + elapsed_ns * MOST_DRIFT_PPM // 1_000_000
        return max(0, abs(self.drift_ns) - most_ns)

    def ahead_at(self, at_ns: int) -> int:
        """By how much it is ahead at a time of its own, in ns; between the readings as if it drifted evenly, and not beyond."""
        elapsed_ns = self.after.at_ns - self.before.at_ns
        if elapsed_ns <= 0:
            return self.before.ahead_ns
        part_ns = min(max(at_ns - self.before.at_ns, 0), elapsed_ns)
        return self.before.ahead_ns + round(
            part_ns * (self.drift_ns / elapsed_ns)
        )  # to the nanosecond as in ``shifted``

    def to_master(self, at_ns: int) -> int:
        """A time of this host in the master's clock."""
        return at_ns - self.ahead_at(at_ns)


def best(trips: Iterable[RoundTrip]) -> Reading:
    """What the shortest round trip says, since it leaves least room.

    Raises:
        ValueError: there is none.
    """
    one = min(trips, key=lambda trip: trip.heard_ns - trip.asked_ns)
    middle_ns = (one.asked_ns + one.heard_ns) // 2
    return Reading(middle_ns, middle_ns - one.master_ns, (one.heard_ns - one.asked_ns) // 2 + 1)


def shifted(rows: Rows, clock: Alignment) -> Rows:
    """The same rows with their times in the master's clock; a time of 0 is none, and stays."""
    for column in _TIMES:
        times = rows[column]
        elapsed_ns = max(1, clock.after.at_ns - clock.before.at_ns)
        part_ns = np.clip(times - clock.before.at_ns, 0, elapsed_ns)
        # As a float, since the product of a long run and a large drift has no room in 64 bits.
        drift_ns = np.rint(part_ns * (clock.drift_ns / elapsed_ns)).astype(np.int64)
        rows[column] = np.where(times > 0, times - clock.before.ahead_ns - drift_ns, 0)
    return rows


def shifted_record(record: Mapping[str, Any], clock: Alignment) -> dict[str, Any]:
    """A record of a journal with its time in the master's clock."""
    at_ns = record.get("at_ns")
    return {**record, "at_ns": clock.to_master(at_ns)} if isinstance(at_ns, int) else dict(record)
