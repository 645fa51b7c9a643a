"""How our own client came back, against the policy that it was given: retries, growth, jitter, reset, herds. Pure.

Limits are wide enough that a client with full jitter never meets them by chance, and narrow enough that one without
backoff, jitter or bounds always does.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from loadtests.retry import Policy
from reports.clients import Misstep
from reports.recovery import Recovery

__all__ = ["LEAST_HERD", "LEAST_OUTAGES", "LONG", "Herd", "Missteps", "backoff", "herd", "herds", "retries", "sockets"]

#: outages of so many attempts show a policy; fewer outages than that show nothing
LONG, LEAST_OUTAGES = 3, 10
LEAST_HERD = 20
#: a delay may be short by chance; so many attempts beyond what an eighth of the cap allows are none
CHANCE, BY_CHANCE = 8, 8
#: growth is looked for where the policy makes delays eight times as long, and half as much again would do
EXPECTED_GROWTH, LEAST_GROWTH = 8.0, 1.5
LEAST_SPREAD = 0.05
#: of what the policy's own jitter spreads waits by, where that is less
LEAST_OF_SPREAD = 1 / 3
LEAST_RESETS = 5
#: in step: nine in ten come back within a fifth of what the policy spreads them over
IN_STEP, OF_SPREAD = 0.9, 5
SECOND_MS = 1000.0


@dataclass(slots=True)
class Missteps:
    """Findings against the client, by kind; ``found``: one for each, with its witness."""

    found: list[Misstep] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, text: str, witnesses: Iterable[Misstep]) -> None:
        self.texts[kind] = text
        self.found += [one._replace(kind=kind) for one in witnesses]


def _witness(one: Recovery) -> Misstep:
    return Misstep("", one.outage.session, one.outage.close_row, one.outage.close_ns)


def _ceiling_ms(policy: Policy, attempt: int) -> float:
    """The longest wait before an attempt; 0 is the first after the loss."""
    return policy.bounds_ms(attempt)[1]


def retries(recovered: Sequence[Recovery], missteps: Iterable[Misstep], policy: Policy) -> Missteps:
    """None, unbounded, or after a fatal code."""
    out = Missteps()
    refused = [one for one in missteps if one.kind == "after-fatal"]
    if refused:
        out.add("after-fatal", "the client came back after a code that forbids it", refused)
    none = [_witness(one) for one in recovered if one.never_tried]
    if none:
        out.add("never-retried", "the client lost its connection and never tried again", none)
    many = [_witness(one) for one in recovered if one.outage.attempts > _most_attempts(one, policy)]
    if many:
        out.add("unbounded", "the client tried again more often than any backoff lets it", many)
    return out


def _most_attempts(one: Recovery, policy: Policy) -> float:
    outage = one.outage
    lasted_ms = ((outage.ready_ns or outage.end_ns) - outage.close_ns) / 1e6
    steps = 1
    while steps < policy.attempts and _ceiling_ms(policy, steps) < policy.cap_ms:
        steps += 1
    # A planned message may call for an attempt, and after the last attempt of a round the next begins from the base.
    rounds = 1 + outage.attempts // max(policy.attempts, 1)
    return (
        BY_CHANCE
        + steps * rounds
        + CHANCE * lasted_ms / max(policy.cap_ms, 1)
        + 2 * (outage.dropped + len(outage.prompted))
    )


def backoff(recovered: Sequence[Recovery], policy: Policy) -> Missteps:
    """No growth, no jitter, no reset."""
    out = Missteps()
    tried = [one for one in recovered if len(one.outage.delays_ns) >= LONG]
    if len(tried) >= LEAST_OUTAGES:
        by_attempt = dict(_delays(tried, policy))
        worst = [_witness(one) for one in sorted(tried, key=lambda one: -one.outage.attempts)[:LEAST_OUTAGES]]
        if _flat(by_attempt, policy):
            out.add("no-growth", "the client's waits do not grow from one attempt to the next", worst[:1])
        spreads = [
            statistics.pstdev(some) / mean / min(LEAST_SPREAD, LEAST_OF_SPREAD * policy.spread(attempt))
            for attempt, some in by_attempt.items()
            if policy.spread(attempt) and (mean := statistics.fmean(some)) > 1
        ]
        if spreads and statistics.median(spreads) < 1:
            out.add("no-jitter", "all clients wait for the same time", worst[:1])
    again = [one for one in recovered if one.outage.before and one.outage.delay_ms(1) is not None]
    firsts = [one.outage.delay_ms(1) or 0.0 for one in again]
    if len(firsts) >= LEAST_RESETS and statistics.fmean(firsts) > 2 * policy.base_ms + SECOND_MS / 10:
        out.add("no-reset", "the client's first wait stays long after it was served again", [_witness(again[0])])
    return out


def _delays(tried: Sequence[Recovery], policy: Policy) -> Iterator[tuple[int, list[float]]]:
    """Attempt -> waits before it, where there are enough."""
    for attempt in range(1, min(policy.attempts, max(len(one.outage.delays_ns) for one in tried))):
        some = [delay for one in tried if (delay := one.outage.delay_ms(attempt)) is not None]
        if len(some) >= LEAST_OUTAGES:
            yield attempt, some


def _flat(by_attempt: dict[int, list[float]], policy: Policy) -> bool:
    early, late = min(by_attempt, default=0), max(by_attempt, default=0)
    if not early or _ceiling_ms(policy, late) < EXPECTED_GROWTH * _ceiling_ms(policy, early):
        return False
    return statistics.fmean(by_attempt[late]) < LEAST_GROWTH * statistics.fmean(by_attempt[early])


@dataclass(frozen=True, slots=True)
class Herd:
    """Sessions that one fault cut together: for each, how long after the heal it came, and over how much its policy spreads
    that.
    """

    window: str
    came_ms: tuple[float, ...]
    spread_ms: tuple[float, ...]
    first: Recovery


def herds(recovered: Iterable[Recovery], policy: Policy) -> list[Herd]:
    """Herds large enough to be judged; only who backed off before the heal can show what the policy does."""
    by_window: dict[tuple[str, int], dict[int, tuple[float, float, Recovery]]] = {}
    for one in recovered:
        dials = one.outage.dials_ns
        at = next((i for i, dial_ns in enumerate(dials) if dial_ns >= one.since_ns), -1)
        if not one.window or at < 2 or at in one.outage.prompted:
            continue
        came_ms = (dials[at] - one.since_ns) / 1e6
        members = by_window.setdefault((one.window, one.since_ns), {})
        low_ms, high_ms = policy.bounds_ms(at)
        members.setdefault(one.outage.session, (came_ms, high_ms - low_ms, one))
    return [
        Herd(
            window, tuple(m[0] for m in some.values()), tuple(m[1] for m in some.values()), next(iter(some.values()))[2]
        )
        for (window, _), some in by_window.items()
        if len(some) >= LEAST_HERD
    ]


def herd(found: Iterable[Herd], most_share: float) -> Missteps:
    """All in step, or more of them in one second than the product's own policy declares (1: nothing is declared)."""
    out = Missteps()
    for one in found:
        size = len(one.came_ms)
        width_ms = statistics.median(one.spread_ms) / OF_SPREAD
        # A policy without jitter keeps its herd together: that is for the product's own limit to judge.
        if width_ms and _most_within(one.came_ms, width_ms) / size >= IN_STEP:
            out.add("in-step", "clients that were cut together come back together", [_witness(one.first)])
        peak = _most_within(one.came_ms, SECOND_MS) / size
        if peak > most_share:
            text = f"more clients come back in one second than {most_share:.0%} of those cut together"
            out.add("peak", text, [_witness(one.first)])
    return out


def _most_within(at_ms: Sequence[float], width_ms: float) -> int:
    """Most in any stretch of this width, sliding."""
    ordered, start, most = sorted(at_ms), 0, 0
    for end, at in enumerate(ordered):
        while at - ordered[start] > width_ms:
            start += 1
        most = max(most, end - start + 1)
    return most


def sockets(missteps: Iterable[Misstep]) -> Missteps:
    """Two live sockets of one session."""
    out = Missteps()
    twice = [one for one in missteps if one.kind == "two-sockets"]
    if twice:
        out.add("two-sockets", "the client kept its old socket beside the new one", twice)
    return out
