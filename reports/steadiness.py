"""Do turns go on as before? Compares turns of one place in the run with those before all faults, as proportions. Pure.

The claim: at most a quarter of the turns are dropped, not answered, or slower than nine in ten were before by half as much
again. It says nothing of fine differences, which budgets are for, and nothing where too few turns stand on either side.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from loadtests.history import End, Window
from reports.endings import ENDINGS
from reports.proportions import bounds

__all__ = ["ALLOWED", "LEAST_MEANT", "Comparison", "Steadiness"]

ALLOWED = 0.25
#: before a finding is made of it
SURE = 0.99
FASTER_SHARE = 0.9
SLOWER = 1.5
SLACK_MS = 100.0
#: fewer samples than this cannot show that at most ALLOWED are bad
LEAST = math.ceil(math.log(0.05) / math.log(1 - ALLOWED))
#: a plan that means so many turns is held to showing it
LEAST_MEANT = 40
CONTROL = "control"
BEFORE, DURING, AFTER = "before", "during", "after"
GOOD = frozenset(end for end, one in ENDINGS.items() if one.counts_as == "ok")
#: no sample: a promise kept, a message that a fault may have swallowed; who is throttled or rejected is not served as before
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

    @property
    def text(self) -> str:
        return (
            f"{self.bad} of {self.samples} turns were dropped, not answered, or took over {self.limit_ms:,.0f} ms, which nine in ten "
            f"of the {self.before} before the faults were faster than by half"
        )


class _Turns:
    """Milliseconds of turns, infinite where there was no answer, and their rows; ``cut`` by the run's end apart."""

    __slots__ = ("cut_ms", "cut_rows", "ms", "rows")

    def __init__(self) -> None:
        self.ms, self.rows = array("d"), array("q")
        self.cut_ms, self.cut_rows = array("d"), array("q")

    @property
    def meant(self) -> int:
        return len(self.ms) + len(self.cut_ms)


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
        self._turns: dict[tuple[str, str], _Turns] = {}

    def add(self, row: int, cohort: str, intended_ns: int, end_ns: int, end: int) -> None:
        """``end``: an ``End``, or DROPPED."""
        if not self._windows or not intended_ns or end in IDLE:
            return
        place = self._place(cohort, intended_ns, end_ns)
        if not place:
            return
        turns = self._turns.get((cohort, place))
        if turns is None:
            turns = self._turns[cohort, place] = _Turns()
        took_ms = (end_ns - intended_ns) / 1e6
        if end == End.CUT_BY_STOP:
            turns.cut_ms.append(took_ms)
            turns.cut_rows.append(row)
        else:
            turns.ms.append(took_ms if end in GOOD else math.inf)
            turns.rows.append(row)

    def _place(self, cohort: str, start_ns: int, end_ns: int) -> str:
        if cohort == CONTROL:
            if end_ns < self._first_ns:
                return BEFORE
            hit = any(
                end_ns >= one.start_ns and (one.end_ns is None or start_ns <= one.end_ns) for one in self._windows
            )
            return DURING if hit else ""
        first_ns, over_ns = self._bounds.get(cohort, (math.inf, math.inf))
        return BEFORE if end_ns < first_ns else AFTER if start_ns > over_ns else ""

    def control(self) -> Comparison:
        """The control cohort during others' faults."""
        return self._compare([CONTROL], DURING)

    def restored(self) -> Comparison:
        """The treated cohorts after their last fault and its grace."""
        return self._compare(sorted(self._bounds), AFTER)

    def _compare(self, cohorts: Sequence[str], place: str) -> Comparison:
        before = self._joined(cohorts, BEFORE)
        later = self._joined(cohorts, place)
        # A plan that has no time before its faults does not mean anything to be compared.
        meant = later.meant if before.meant >= LEAST else 0
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
        slow = np.flatnonzero(ms > limit_ms)
        samples, bad = len(ms), len(slow)
        worst = [rows[i] for i in slow[np.argsort(-ms[slow], kind="stable")].tolist()]
        broken = samples > 0 and bounds(bad, samples, SURE)[0] > ALLOWED
        unknown = ""
        if samples < LEAST:
            unknown = f"only {samples} turns to compare with those before the faults, {LEAST} would do"
        elif not broken and bounds(bad, samples)[1] > ALLOWED:
            unknown = f"{bad} of {samples} turns took over {limit_ms:,.0f} ms or failed: too few turns to tell chance from change"
        return Comparison(
            meant=meant, samples=samples, bad=bad, limit_ms=limit_ms, before=len(good), broken=broken,
            unknown="" if broken else unknown, rows=tuple(worst),
        )  # fmt: skip

    def _joined(self, cohorts: Sequence[str], place: str) -> _Turns:
        joined = _Turns()
        for cohort in cohorts:
            if one := self._turns.get((cohort, place)):
                for name in _Turns.__slots__:
                    getattr(joined, name).extend(getattr(one, name))
        return joined


def _unsteady(good: int, judged: int) -> str:
    if good < LEAST:
        return f"only {good} turns were answered before the faults, {LEAST} would do"
    return f"only {good} of {judged} turns were answered before the faults: there was no steady state to come back to"
