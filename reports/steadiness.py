"""Do turns go on as before? Compares turns of one place in the run with those before all faults, as proportions. Pure.

The claim: at most a quarter of the turns are dropped, not answered, or slower than nine in ten were before by half as much
again; nor is one in ten over twice what hardly one in twenty was over before. Turns of half the time are no return to what
was before either, though nobody's fault: then nothing is said. (A tail may get shorter: the start of a run has one of its own.)
It says nothing of fine differences, which budgets are for, and nothing where too few turns stand on either side. Nor is a
rate limit a defect: where only throttled turns make the difference, the quota was measured, unless it is a fault's own users
that are throttled while the control group is not.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import binom

from loadtests.history import End, Window
from reports.endings import ENDINGS
from reports.proportions import bounds

__all__ = ["ALLOWED", "GOOD", "LEAST_MEANT", "Comparison", "Steadiness"]

ALLOWED = 0.25
#: before a finding is made of it
SURE = 0.99
FASTER_SHARE = 0.9
SLOWER = 1.5
SLACK_MS = 100.0
#: the tail, against the upper bound of where it was
TAIL, TAIL_ALLOWED, TAIL_SLOWER, TAIL_SLACK_MS = 0.95, 0.1, 2.0, 250.0
#: the other side
FASTER = 0.5
#: so long before and after a fault's switching everybody may feel it, the generator first
SWITCHING_NS = 100_000_000
#: fewer samples than this cannot show that at most ALLOWED are bad
LEAST = math.ceil(math.log(0.05) / math.log(1 - ALLOWED))
#: a plan that means so many turns is held to showing it
LEAST_MEANT = 40
CONTROL = "control"
BEFORE, DURING, AFTER = "before", "during", "after"
GOOD = frozenset(end for end, one in ENDINGS.items() if one.counts_as == "ok")
#: no sample: a promise kept, a message that a fault may have swallowed; who is rejected is not served as before
IDLE = frozenset({End.CANCELLED, End.IN_DOUBT})
DROPPED = -1


@dataclass(frozen=True, slots=True)
class Comparison:
    """``meant``: turns that the plan gives to be compared; ``rows``: the slowest and failed ones; ``unknown``: why nothing can be
    said. Neither broken nor unknown: it is as before.
    """

    meant: int = 0
    samples: int = 0
    bad: int = 0
    limit_ms: float = 0.0
    before: int = 0
    broken: bool = False
    unknown: str = ""
    rows: tuple[int, ...] = ()
    #: median and 95th percentile, before and now
    was_ms: tuple[float, float] = (0.0, 0.0)
    is_ms: tuple[float, float] = (0.0, 0.0)
    #: it is the tail that is not as before
    tailed: bool = False
    #: turns that were left out, since what is wrong with them has findings of its own
    aside: int = 0

    @property
    def text(self) -> str:
        shape = f"p50 {_ms(self.is_ms[0])} after {_ms(self.was_ms[0])}, p95 {_ms(self.is_ms[1])} after {_ms(self.was_ms[1])}"
        if self.tailed:
            of = f"{self.bad} of {self.samples} answered turns"
            return f"{of} took over {self.limit_ms:,.0f} ms, twice of what one in twenty did before; {shape}"
        return (
            f"{self.bad} of {self.samples} turns were dropped, not answered, or took over {self.limit_ms:,.0f} ms, which nine in ten "
            f"of the {self.before} before the faults were faster than by half; {shape}"
        )


class _Turns:
    """Milliseconds of turns, infinite where there was no answer, their rows, and the number of the set of windows that they
    overlap; ``cut`` by the run's end apart.
    """

    __slots__ = ("cut_hits", "cut_ms", "cut_rows", "hits", "ms", "rows")

    def __init__(self) -> None:
        self.ms, self.rows, self.hits = array("d"), array("q"), array("q")
        self.cut_ms, self.cut_rows, self.cut_hits = array("d"), array("q"), array("q")

    @property
    def meant(self) -> int:
        return len(self.ms) + len(self.cut_ms)

    def add(self, took_ms: float, row: int, hit: int) -> None:
        self.ms.append(took_ms)
        self.rows.append(row)
        self.hits.append(hit)

    def add_cut(self, took_ms: float, row: int, hit: int) -> None:
        self.cut_ms.append(took_ms)
        self.cut_rows.append(row)
        self.cut_hits.append(hit)

    def without(self, hits: Collection[int], rows: Collection[int]) -> _Turns:
        """Those that overlap none of these sets of windows, and are none of these rows."""
        kept = _Turns()
        for ms, row, hit in zip(self.ms, self.rows, self.hits, strict=True):
            if hit not in hits and row not in rows:
                kept.add(ms, row, hit)
        for ms, row, hit in zip(self.cut_ms, self.cut_rows, self.cut_hits, strict=True):
            if hit not in hits and row not in rows:
                kept.add_cut(ms, row, hit)
        return kept


class Steadiness:
    """Fed with every turn's end and every dropped message; compares when all are in."""

    def __init__(self, windows: Iterable[Window], grace_ns: int) -> None:
        self._windows = tuple(windows)
        mine: dict[str, list[Window]] = {}
        for window in self._windows:
            mine.setdefault(window.cohort, []).append(window)
        #: cohort -> before its first fault, after its last fault's grace
        self._bounds = {
            cohort: (
                min(one.start_ns for one in some),
                max(math.inf if one.end_ns is None else one.end_ns for one in some) + grace_ns,
            )
            for cohort, some in mine.items()
        }
        self._first_ns = min((one.start_ns for one in self._windows), default=0)
        self._switches = sorted(at for one in self._windows for at in (one.start_ns, one.end_ns) if at is not None)
        #: when the first cohort is over its faults; of the control group's turns since then, answered and throttled ones
        self._over_ns = min((over_ns for _, over_ns in self._bounds.values()), default=math.inf)
        self._control_good = self._control_throttled = 0
        self._throttled: set[int] = set()
        self._turns: dict[tuple[str, str], _Turns] = {}
        #: sets of windows, as places in their list, and the number of each; the first is that of no window
        self._sets: dict[tuple[int, ...], int] = {(): 0}

    def add(self, row: int, cohort: str, intended_ns: int, end_ns: int, end: int) -> None:
        """``end``: an ``End``, or DROPPED."""
        if not self._windows or not intended_ns or end in IDLE:
            return
        if cohort == CONTROL and intended_ns > self._over_ns:
            self._control_good += end in GOOD
            self._control_throttled += end == End.THROTTLED
        place, hits = self._place(cohort, intended_ns, end_ns)
        if not place:
            return
        if end == End.THROTTLED:
            self._throttled.add(row)
        hit = self._sets.setdefault(hits, len(self._sets))
        turns = self._turns.get((cohort, place))
        if turns is None:
            turns = self._turns[cohort, place] = _Turns()
        took_ms = (end_ns - intended_ns) / 1e6
        if end == End.CUT_BY_STOP:
            turns.add_cut(took_ms, row, hit)
        else:
            turns.add(took_ms if end in GOOD else math.inf, row, hit)

    def _place(self, cohort: str, start_ns: int, end_ns: int) -> tuple[str, tuple[int, ...]]:
        """Where a turn stands, and which windows it overlaps where that matters."""
        if cohort == CONTROL:
            if end_ns < self._first_ns - SWITCHING_NS:
                return BEFORE, ()
            if self._switching(start_ns):
                return "", ()
            hits = tuple(
                i
                for i, one in enumerate(self._windows)
                if end_ns >= one.start_ns + SWITCHING_NS and (one.end_ns is None or start_ns <= one.end_ns)
            )
            return DURING if hits else "", hits
        first_ns, over_ns = self._bounds.get(cohort, (math.inf, math.inf))
        return BEFORE if end_ns < first_ns else AFTER if start_ns > over_ns else "", ()

    def _switching(self, at_ns: int) -> bool:
        place = bisect_left(self._switches, at_ns - SWITCHING_NS)
        return place < len(self._switches) and self._switches[place] <= at_ns + SWITCHING_NS

    def control(self, unproven: Collection[str] = (), aside: Collection[int] = ()) -> Comparison:
        """The control cohort during others' faults, their switching aside; without turns during which there were only faults
        of the ids ``unproven``, and without the rows ``aside``.
        """
        idle = {number for hits, number in self._sets.items() if hits and self._ids(hits) <= set(unproven)}
        return self._but_for_quota([CONTROL], DURING, idle, aside)

    def restored(self, aside: Collection[int] = ()) -> Comparison:
        """The treated cohorts after their last fault and its grace, without the rows ``aside``."""
        cohorts = sorted(self._bounds)
        if self._control_is_served():
            return self._compare(cohorts, AFTER, (), aside)
        return self._but_for_quota(cohorts, AFTER, (), aside)

    def _control_is_served(self) -> bool:
        """Surely at most as many of the control group's turns as may be bad are throttled while the others are over their faults:
        no quota of all can then be what throttles those.
        """
        return bounds(self._control_throttled, self._control_good + self._control_throttled)[1] <= ALLOWED

    def _but_for_quota(
        self, cohorts: Sequence[str], place: str, hits: Collection[int], aside: Collection[int]
    ) -> Comparison:
        """Throttled turns are not answered as before, and alone no reason to blame anybody."""
        found = self._compare(cohorts, place, hits, aside)
        if not (found.broken or found.unknown):
            return found
        others = self._compare(cohorts, place, hits, {*aside, *self._throttled})
        if others.broken:
            return others
        if not found.broken and others.unknown:
            return found
        throttled = f"{found.samples - others.samples} of {found.samples} turns to compare were throttled"
        return replace(found, broken=False, unknown=f"you measured the quota: {throttled}")

    def _ids(self, hits: Iterable[int]) -> set[str]:
        return {self._windows[i].id for i in hits}

    def _compare(self, cohorts: Sequence[str], place: str, hits: Collection[int], aside: Collection[int]) -> Comparison:
        before = self._joined(cohorts, BEFORE)
        later = self._joined(cohorts, place)
        # A plan that has no time before its faults does not mean anything to be compared.
        meant = later.meant if before.meant >= LEAST else 0
        if hits or aside:
            later = later.without(hits, frozenset(aside))
        good = np.array(before.ms)[np.isfinite(before.ms)]
        if len(good) < LEAST or len(good) < (1 - ALLOWED / 2) * len(before.ms):
            return Comparison(
                meant=meant, samples=len(later.ms), before=len(good), unknown=_unsteady(len(good), len(before.ms))
            )
        usual_ms = float(np.quantile(good, FASTER_SHARE, method="inverted_cdf"))
        limit_ms = max(SLOWER * usual_ms, usual_ms + SLACK_MS)
        # A turn that the run's end cut is a sample once it has taken too long.
        ms = np.array([*later.ms, *(one for one in later.cut_ms if one > limit_ms)])
        rows = [*later.rows, *(row for row, one in zip(later.cut_rows, later.cut_ms, strict=True) if one > limit_ms)]
        samples = len(ms)
        slow = np.flatnonzero(ms > limit_ms)
        broken = bounds(len(slow), samples, SURE)[0] > ALLOWED
        tailed = False
        if not broken:
            # Of those that were answered: what is not has other checkers, and a tail of them is no shape.
            answered, tail_ms = int(np.isfinite(ms).sum()), _tail_limit_ms(good)
            tail = np.flatnonzero((ms > tail_ms) & np.isfinite(ms))
            tailed = bounds(len(tail), answered, SURE)[0] > TAIL_ALLOWED
            if tailed:
                broken, slow, samples, limit_ms = True, tail, answered, tail_ms
        bad = len(slow)
        worst = [rows[i] for i in slow[np.argsort(-ms[slow], kind="stable")].tolist()]
        unknown = ""
        if samples < LEAST:
            unknown = f"only {samples} turns to compare with those before the faults, {LEAST} would do"
        elif bounds(bad, samples)[1] > ALLOWED:
            unknown = f"{bad} of {samples} turns took over {limit_ms:,.0f} ms or failed: too few turns to tell chance from change"
        was_ms, is_ms = _shape(good), _shape(ms)
        fast_ms = min(FASTER * was_ms[0], was_ms[0] - SLACK_MS)
        if not unknown and bounds(int((ms < fast_ms).sum()), samples, SURE)[0] > 1 - FASTER:
            unknown = f"turns take half of what they did: p50 {_ms(is_ms[0])} after {_ms(was_ms[0])}, another state than before"
        return Comparison(
            meant=meant, samples=samples, bad=bad, limit_ms=limit_ms, before=len(good), broken=broken,
            unknown="" if broken else unknown, rows=tuple(worst), was_ms=was_ms, is_ms=is_ms, tailed=tailed,
        )  # fmt: skip

    def _joined(self, cohorts: Sequence[str], place: str) -> _Turns:
        joined = _Turns()
        for cohort in cohorts:
            if one := self._turns.get((cohort, place)):
                for name in _Turns.__slots__:
                    getattr(joined, name).extend(getattr(one, name))
        return joined


def _shape(ms: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Median and tail, each an observed value."""
    if not len(ms):
        return 0.0, 0.0
    low, high = np.quantile(ms, [0.5, TAIL], method="inverted_cdf").tolist()
    return low, high


def _tail_limit_ms(good: np.ndarray[Any, Any]) -> float:
    """Twice of what the tail surely was not over: the bound is an order statistic, the longest of all where there are few."""
    place = int(binom.ppf(SURE, len(good), TAIL))
    bound_ms = float(np.sort(good)[min(place, len(good) - 1)])
    return max(TAIL_SLOWER * bound_ms, bound_ms + TAIL_SLACK_MS)


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if math.isfinite(value) else "never"


def _unsteady(good: int, judged: int) -> str:
    if good < LEAST:
        return f"only {good} turns were answered before the faults, {LEAST} would do"
    return f"only {good} of {judged} turns were answered before the faults: there was no steady state to come back to"
