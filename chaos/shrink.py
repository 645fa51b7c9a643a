"""A failing plan made as small as it still fails: fewer windows, then less time, then weaker faults. Pure: whoever calls it
plays the plans.

Delta debugging (ddmin): Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002. Before
it stands a bisection, because most plans fail of one window: the last one of the shortest beginning that fails is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from chaos.plan import Phase, Plan, Window
from chaos.plan import numbered as in_order
from loadtests.errors import ConfigError

__all__ = ["Shrunk", "Try", "closed_up", "ddmin", "numbered", "shrink"]

#: shorter than this no canary sees a window begin and end
LEAST_MS = 500
#: so often one strength is halved
MOST_HALVINGS = 4
#: quiet time that is left between two windows of one phase, and in a phase without any
BETWEEN_MS, QUIET_MS = 5_000, 10_000
#: and in the stretches before the first window of all: whether a short fault meets a turn is a matter of luck
BEFORE_MS = (5_000, 6_700, 8_300)
#: kind -> what makes it weaker, by which factor; where a smaller number is no weaker fault, nothing
WEAKER: Mapping[str, Mapping[str, float]] = {
    "latency": {"latency_ms": 0.5, "jitter_ms": 0.5},
    "jitter": {"mean_ms": 0.5, "jitter_ms": 0.5},
    "bandwidth": {"kb_per_s": 2.0},
    "slicer": {"average_bytes": 2.0, "delay_us": 0.5},
    "slow-close": {"delay_ms": 0.5},
    "mass-disconnect": {"share": 0.5},
    "slow-consumer": {"share": 0.5},
    "sleep": {"share": 0.5},
    "switch": {"share": 0.5},
}
Item = TypeVar("Item")
Fails = Callable[[Plan], bool]


@dataclass(frozen=True, slots=True)
class Try:
    """One plan that was played."""

    number: int
    what: str
    windows: tuple[str, ...]
    fails: bool


@dataclass(frozen=True, slots=True)
class Shrunk:
    """``loose``: after windows went, before times and strengths did."""

    plan: Plan
    loose: Plan
    tries: tuple[Try, ...]


def shrink(
    plan: Plan, fails: Fails, kept: Collection[str] = (), note: Callable[[Try], None] = lambda _: None
) -> Shrunk:
    """The smallest plan found that still fails. ``plan`` itself does; windows named in ``kept`` stay as they are."""
    search = _Search(plan, fails, frozenset(kept), note)
    loose = search.fewer()
    return Shrunk(search.weaker(search.shorter(search.closer(loose))), loose, tuple(search.tries))


def ddmin(items: Sequence[Item], fails: Callable[[Sequence[Item]], bool]) -> Sequence[Item]:
    """A part of ``items`` that fails, and of which nothing can be left out alone; all of them together do fail."""
    grain = 2
    while len(items) > 1:
        parts = [items[at * len(items) // grain : (at + 1) * len(items) // grain] for at in range(grain)]
        rests = [[one for other in parts if other is not part for one in other] for part in parts]
        if part := next((part for part in parts if fails(part)), None):
            items, grain = part, 2
        elif grain > 2 and (rest := next((rest for rest in rests if fails(rest)), None)):
            items, grain = rest, max(grain - 1, 2)
        elif grain < len(items):
            grain = min(2 * grain, len(items))
        else:
            break
    return items


def closed_up(plan: Plan, before_ms: int = BEFORE_MS[0]) -> Plan:
    """The same windows in the same phases, with less quiet time around them."""
    moved = _moved(plan, before_ms)
    phases = tuple(Phase(phase.name, moved[phase.start_ms], moved[phase.end_ms]) for phase in plan.phases)
    windows = tuple(_timed(window, moved[window.start_ms], moved[window.end_ms]) for window in plan.windows)
    return replace(plan, phases=phases, windows=windows)


def _moved(plan: Plan, before_ms: int) -> dict[int, int]:
    """Each time at which something begins or ends, and when it does so closed up."""
    edges = {0}
    edges |= {edge for one in plan.phases for edge in (one.start_ms, one.end_ms)}
    edges |= {edge for one in plan.windows for edge in (one.start_ms, one.end_ms)}
    moved, last_ms, now_ms = {0: 0}, 0, 0
    for edge_ms in sorted(edges)[1:]:
        quiet = not any(w.start_ms < edge_ms and w.end_ms > last_ms for w in plan.windows)
        now_ms += min(edge_ms - last_ms, _most_ms(plan, last_ms, before_ms)) if quiet else edge_ms - last_ms
        moved[edge_ms], last_ms = now_ms, edge_ms
    return moved


def _most_ms(plan: Plan, at_ms: int, before_ms: int) -> int:
    """How much is left of a quiet stretch that begins then."""
    if all(window.start_ms > at_ms for window in plan.windows):
        return before_ms
    phase = next(phase for phase in plan.phases if phase.start_ms <= at_ms < phase.end_ms)
    return BETWEEN_MS if any(window.phase == phase.name for window in plan.windows) else QUIET_MS


def numbered(plan: Plan) -> Plan:
    """With the windows' names as a run gives them, in order of time, so that its own plan is the same bytes."""
    return replace(plan, windows=in_order(plan.windows))


class _Search:
    """Plays a plan once, however often it is asked for."""

    def __init__(self, plan: Plan, fails: Fails, kept: frozenset[str], note: Callable[[Try], None]) -> None:
        self._plan, self._fails, self._kept, self._note = plan, fails, kept, note
        self._known = {plan.to_json(): True}
        self.tries: list[Try] = []

    def _tried(self, plan: Plan, what: str) -> bool:
        key = plan.to_json()
        if key not in self._known:
            self._known[key] = _is_valid(plan) and self._played(plan, what)
        return self._known[key]

    def _played(self, plan: Plan, what: str) -> bool:
        one = Try(len(self.tries) + 1, what, tuple(window.id for window in plan.windows), self._fails(plan))
        self.tries.append(one)
        self._note(one)
        return one.fails

    def _with(self, chosen: Sequence[Window]) -> Plan:
        ids = self._kept | {window.id for window in chosen}
        return replace(self._plan, windows=tuple(window for window in self._plan.windows if window.id in ids))

    def fewer(self) -> Plan:
        """Windows go, as long as it fails."""
        free = [window for window in self._plan.windows if window.id not in self._kept]
        return self._with(_fewest(free, lambda part: self._tried(self._with(part), "fewer windows")))

    def closer(self, plan: Plan) -> Plan:
        """Quiet time goes."""
        candidates = (closed_up(plan, before_ms) for before_ms in BEFORE_MS)
        return next((close for close in candidates if self._tried(close, "less quiet time")), plan)

    def shorter(self, plan: Plan) -> Plan:
        """Each window as short as can be seen, or else halved as long as it fails."""
        for id_ in self._free(plan):
            window = _window(plan, id_)
            if window.end_ms - window.start_ms <= LEAST_MS:
                continue
            least = self._better(plan, _with_window(plan, _lasting(window, LEAST_MS)), f"shorter {id_}")
            plan = least if least is not plan else self._halved(plan, id_)
        return plan

    def _halved(self, plan: Plan, id_: str) -> Plan:
        while (half_ms := (_window(plan, id_).end_ms - _window(plan, id_).start_ms) // 2) > LEAST_MS:
            better = self._better(plan, _with_window(plan, _lasting(_window(plan, id_), half_ms)), f"shorter {id_}")
            if better is plan:
                break
            plan = better
        return plan

    def weaker(self, plan: Plan) -> Plan:
        """Each fault's strength is halved as long as it fails."""
        for id_ in self._free(plan):
            for _ in range(MOST_HALVINGS):
                weak = _weakened(_window(plan, id_))
                better = plan if weak is None else self._better(plan, _with_window(plan, weak), f"weaker {id_}")
                if better is plan:
                    break
                plan = better
        return plan

    def _free(self, plan: Plan) -> Iterator[str]:
        return (window.id for window in plan.windows if window.id not in self._kept)

    def _better(self, plan: Plan, other: Plan, what: str) -> Plan:
        return other if self._tried(other, what) else plan


def _fewest(rows: Sequence[Window], fails: Callable[[Sequence[Window]], bool]) -> Sequence[Window]:
    """By bisection where one or two windows are the cause, else by ddmin."""
    if not rows:
        return rows
    until = _least(1, len(rows), lambda count: fails(rows[:count]))
    if until == 1 and fails(()):
        return ()
    rows = rows[:until]
    if fails(rows[-1:]):
        return rows[-1:]
    rows = rows[_least(1, len(rows), lambda count: not fails(rows[count:])) - 1 :]
    ends = [rows[0], rows[-1]]
    return ends if fails(ends) else ddmin(rows, fails)


def _least(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The least number from ``low`` for which it holds, as it does for ``high``, and then for all that are greater."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _is_valid(plan: Plan) -> bool:
    try:
        Plan.from_json(plan.to_json())
    except ConfigError:
        return False
    return True


def _window(plan: Plan, id_: str) -> Window:
    return next(window for window in plan.windows if window.id == id_)


def _with_window(plan: Plan, other: Window) -> Plan:
    return replace(plan, windows=tuple(other if window.id == other.id else window for window in plan.windows))


def _timed(window: Window, start_ms: int, end_ms: int) -> Window:
    return msgspec.structs.replace(window, start_ms=start_ms, end_ms=end_ms)


def _lasting(window: Window, duration_ms: int) -> Window:
    return _timed(window, window.start_ms, window.start_ms + duration_ms)


def _weakened(window: Window) -> Window | None:
    """Half as strong, which may be more than its kind allows; None: nothing of it can be."""
    asked = dict(window.asked)
    for key, factor in WEAKER.get(window.kind, {}).items():
        value = asked.get(key, 0)
        asked[key] = round(value * factor, 3) if isinstance(value, float) else round(value * factor)
    return None if asked == window.asked else msgspec.structs.replace(window, asked=asked)
