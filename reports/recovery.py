"""Which outage belongs to which fault, who was not served again in time, and how long the users of one fault took. Pure.

How long they took is a survival curve: users who never came back, or whose session ended first, stay in it as long as they were
seen (Kaplan and Meier, "Nonparametric Estimation from Incomplete Observations", Journal of the American Statistical Association
53, 1958). Leaving them out would make the worst recovery look the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from loadtests import acts
from loadtests.history import Window
from loadtests.retry import Policy
from reports.clients import KEPT_TRIES, Outage
from reports.judgement import Curve

__all__ = ["Recovery", "curve", "curves", "recoveries"]

NS_PER_MS = 1_000_000
#: nanoseconds are no resolution that anybody has
DIGITS = 3
#: as many as a drawing can show
MOST_STEPS = 200


@dataclass(frozen=True, slots=True)
class Recovery:
    """One outage and the fault that it belongs to. ``took_ns``: from the later of close and heal, as the user felt it; None: never
    back.
    """

    outage: Outage
    window: str
    since_ns: int
    took_ns: int | None
    #: nobody knows: the run ended first, or nobody asked because the policy waits for so long
    censored: bool
    #: the backend was asked for longer than the budget, and did not serve
    late: bool
    #: the client did not ask where its policy would have: it is not the backend that failed
    never_tried: bool = False

    @property
    def decided(self) -> bool:
        """Whether it shows that the backend serves who comes back, or that it does not."""
        return self.late or self.took_ns is not None


def recoveries(
    outages: Iterable[Outage], windows: Sequence[Window], budget_ns: int, last_ns: int, policy: Policy | None = None
) -> list[Recovery]:  # fmt: skip
    """Every outage with its fault; ``last_ns``: the end of a fault that never healed; ``policy``: how long the client may wait
    between two attempts (None: not at all).

    The user waits from the heal on, the backend is asked only from the first attempt that begins after it: what a client sleeps
    in its backoff is not the backend's time, and neither is what another fault of the same cohort takes meanwhile. But no fault
    on the way keeps a client from trying at all.
    """
    cutting: dict[str, list[tuple[int, int]]] = {}
    acting: dict[str, list[tuple[int, int]]] = {}
    for fault in sorted(windows, key=lambda one: one.start_ns):
        if fault.disconnects or fault.may_disconnect or fault.swallows:
            span = fault.start_ns, last_ns if fault.end_ns is None else fault.end_ns
            cutting.setdefault(fault.cohort, []).append(span)
            if fault.kind in acts.KINDS:
                acting.setdefault(fault.cohort, []).append(span)
    found = []
    for one in outages:
        since_ns, window = one.close_ns, ""
        for fault in windows:
            healed_ns = last_ns if fault.end_ns is None else fault.end_ns
            # A close just before the journal's mark belongs to the window: the mark is written before the call.
            if fault.cohort == one.cohort and fault.start_ns <= one.close_ns <= healed_ns + budget_ns:
                since_ns, window = max(one.close_ns, healed_ns), fault.id
        took_ns = None if one.ready_ns is None else max(0, one.ready_ns - since_ns)
        until_ns = one.end_ns if one.ready_ns is None else one.ready_ns
        clear = list(_clear(since_ns, until_ns, cutting.get(one.cohort, [])))
        asked_ns = sum(_asked_ns(one, start_ns, end_ns) for start_ns, end_ns in clear)
        late = not one.dismissed and _is_over(asked_ns, budget_ns, back=took_ns is not None)
        awake = clear if one.tries_ns else list(_clear(one.close_ns, until_ns, acting.get(one.cohort, [])))
        idle_ns = _idle_ns(one, awake[0][0], until_ns, policy) if awake else 0
        never_tried = not late and not one.dismissed and _is_over(idle_ns, budget_ns, back=took_ns is not None)
        unseen = one.end_ns - since_ns < budget_ns or not (late or never_tried or one.dismissed)
        found.append(Recovery(one, window, since_ns, took_ns, took_ns is None and unseen, late, never_tried))
    return found


def _is_over(spent_ns: int, budget_ns: int, *, back: bool) -> bool:
    """Who is back after exactly the budget is back within it; who is not has had all of it."""
    return spent_ns > budget_ns if back else spent_ns >= budget_ns


def _clear(start_ns: int, end_ns: int, faults: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The stretches from start to end in which no fault is; ``faults``: from and to, in order of their begin."""
    for from_ns, to_ns in (*faults, (end_ns, end_ns)):
        if start_ns < (until_ns := min(from_ns, end_ns)):
            yield start_ns, until_ns
        start_ns = max(start_ns, to_ns)


def _asked_ns(outage: Outage, start_ns: int, end_ns: int) -> int:
    """How long in a stretch without a fault the backend was asked: from the first attempt that begins in it, and for as long as
    one that began before it hangs. What it refuses then costs the client more waits, and these are the backend's doing.
    """
    first_ns, hangs_until_ns = end_ns, start_ns
    for begun_ns, failed_ns in outage.tries_ns:
        if begun_ns >= start_ns:
            first_ns = min(begun_ns, end_ns)
            break
        hangs_until_ns = failed_ns or end_ns
    else:
        if outage.attempts > len(outage.tries_ns):  # it tried so often that nobody has kept when
            first_ns = start_ns
    return end_ns - first_ns + max(0, min(hangs_until_ns, first_ns) - start_ns)


def _idle_ns(outage: Outage, since_ns: int, until_ns: int, policy: Policy | None) -> int:
    """How long nobody asked for the backend though nothing was in the way, beyond the longest wait that the policy foresees."""
    failed_ns, attempts = outage.close_ns, 0
    for begun_ns, over_ns in outage.tries_ns:
        if begun_ns >= since_ns:
            until_ns = min(begun_ns, until_ns)
            break
        attempts += 1
        failed_ns = over_ns or until_ns
    if attempts >= KEPT_TRIES or (policy is not None and attempts > policy.attempts):
        return 0  # it tries all the time, or has given up as it may
    wait_ns = 0 if policy is None else round(policy.bounds_ms(attempts)[1] * NS_PER_MS)
    return max(0, until_ns - max(since_ns, failed_ns + wait_ns))


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
    every = max(1, -(-len(steps) // MOST_STEPS))
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
