"""Which outage belongs to which fault, who was not served again in time, and how long the users of one fault took. Pure.

How long they took is a survival curve: users who never came back, or whose session ended first, stay in it as long as they were
seen (Kaplan and Meier, "Nonparametric Estimation from Incomplete Observations", Journal of the American Statistical Association
53, 1958). Leaving them out would make the worst recovery look the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from loadtests.history import Window
from reports.clients import Outage
from reports.judgement import Curve

__all__ = ["Recovery", "curve", "curves", "recoveries"]

#: nanoseconds are no resolution that anybody has
DIGITS = 3
#: as many as a drawing can show
MOST_STEPS = 200


@dataclass(frozen=True, slots=True)
class Recovery:
    """One outage and the fault that it belongs to. ``took_ns``: from the later of close and heal; None: never back."""

    outage: Outage
    window: str
    since_ns: int
    took_ns: int | None
    #: the run ended before the budget was over
    censored: bool
    late: bool

    @property
    def never_tried(self) -> bool:
        """Nobody asked to be served again, so it is not the backend that failed."""
        return self.late and not self.outage.attempts


def recoveries(outages: Iterable[Outage], windows: Sequence[Window], budget_ns: int, last_ns: int) -> list[Recovery]:
    """Every outage with its fault; ``last_ns``: the end of a fault that never healed."""
    found = []
    for one in outages:
        since_ns, window = one.close_ns, ""
        for fault in windows:
            healed_ns = last_ns if fault.end_ns is None else fault.end_ns
            # A close just before the journal's mark belongs to the window: the mark is written before the call.
            if fault.cohort == one.cohort and fault.start_ns <= one.close_ns <= healed_ns + budget_ns:
                since_ns, window = max(one.close_ns, healed_ns), fault.id
        took_ns = None if one.ready_ns is None else max(0, one.ready_ns - since_ns)
        censored = one.ready_ns is None and one.end_ns - since_ns < budget_ns
        late = not censored and not one.dismissed and (took_ns is None or took_ns > budget_ns)
        found.append(Recovery(one, window, since_ns, took_ns, censored, late))
    return found


def curve(took_s: Iterable[tuple[float, bool]]) -> Curve:
    """The product-limit estimate from (seconds, whether it came then); those with False were seen no longer without it."""
    ordered = sorted((round(max(0.0, at), DIGITS), came) for at, came in took_s)
    at_risk, left, steps = len(ordered), 1.0, []
    for at, some in groupby(ordered, key=lambda one: one[0]):
        together = [came for _, came in some]
        if any(together):
            left *= 1 - sum(together) / at_risk
            steps.append((at, left))
        at_risk -= len(together)
    missing = sum(not came for _, came in ordered)
    return Curve(
        users=len(ordered), missing=missing, p50_s=_reached(steps, 0.5), p95_s=_reached(steps, 0.05),
        steps=tuple((at, round(share, 6)) for at, share in _thinned(steps)),
        seen_s=max((at for at, _ in ordered), default=0.0),
    )  # fmt: skip


def _thinned(steps: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """At most so many, the last among them."""
    every = -(-len(steps) // MOST_STEPS) or 1
    return steps[::-1][::every][::-1]


def _reached(steps: Sequence[tuple[float, float]], share: float) -> float | None:
    """When at most this share is left; None: as long as was looked, never. A billionth forgives the floats' own error."""
    return next((at for at, left in steps if left <= share + 1e-9), None)


def curves(recovered: Iterable[Recovery]) -> Mapping[str, Curve]:
    """Window -> how long its users took to be served again: from the later of the first loss and the heal to the last return."""
    spans: dict[str, dict[int, list[Recovery]]] = {}
    for one in recovered:
        if one.window:
            spans.setdefault(one.window, {}).setdefault(one.outage.session, []).append(one)
    return {window: curve(_span(some) for some in by_session.values()) for window, by_session in spans.items()}


def _span(some: Sequence[Recovery]) -> tuple[float, bool]:
    ordered = sorted(some, key=lambda one: one.outage.close_ns)
    last = ordered[-1].outage
    until_ns = last.end_ns if last.ready_ns is None else last.ready_ns
    return (until_ns - ordered[0].since_ns) / 1e9, last.ready_ns is not None
