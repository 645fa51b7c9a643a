"""A failing run's plan, shrunk: played again in virtual time, or live, until no smaller one fails; then confirmed live.

The composition of plan, simulation, judge and conductor; what is left out of a plan, ``chaos.shrink`` decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from loadtests import contract, scenario
from loadtests.conductor.rehearsal import Rehearsal, unplayed
from loadtests.conductor.replays import Failure, Live, Target, command_of, failure_of
from loadtests.conductor.run import Progress, Say
from loadtests.errors import ConfigError, RigError

if TYPE_CHECKING:
    from chaos.plan import Plan, Window
    from chaos.shrink import Try

__all__ = ["Result", "ShrinkOptions", "by_of", "shrink"]

FOLDER = "shrunk"
OURS = Target()
#: in virtual time another seed is another crowd; so many are tried for one that shows the failure, and to say how often it does
SEEDS = 5
NOT_REPRODUCED = 3
By = Literal["simulation", "live"]
WAYS: tuple[By, ...] = ("simulation", "live")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShrinkOptions:
    run: Path
    out: Path | None = None
    by: By = "simulation"
    #: live runs of the smallest plan; 0: none
    confirm: int = 1
    target: Target = OURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Written down as ``shrink.json``; each pair is how often of how many."""

    ids: tuple[str, ...]
    windows: int
    plan: Plan
    tries: int
    simulated: tuple[int, int]
    live: tuple[int, int]
    command: str
    #: kinds that virtual time cannot play, and that are still there
    unplayed: tuple[str, ...]
    asked_live: bool

    @property
    def ok(self) -> bool:
        return not self.asked_live or self.live[0] > 0


def by_of(text: str) -> By:
    """How plans are to be tried.

    Raises:
        ConfigError: in neither way.
    """
    for way in WAYS:
        if way == text:
            return way
    raise ConfigError("--by", "", f"{text!r}", "one of " + ", ".join(WAYS))


def shrink(options: ShrinkOptions, say: Say, progress: Progress) -> int:
    """Shrink, confirm, write down and tell; returns the exit code.

    Raises:
        GauntletError: there is nothing to shrink, or a live run could not begin.
    """
    failure = failure_of(options.run)
    if not failure.embedded:
        if not options.target.url:
            raise ConfigError("--target", "", "the run was not against the embedded backend", "--target URL again")
        options = replace(options, by="live")
    if failure.nodes > 1:
        say(f"virtual time plays one node, and the run had {failure.nodes}: plans are tried live")
        options = replace(options, by="live")
    out = options.out or options.run / FOLDER
    if out.exists():
        raise RigError(f"{out}: is there already; remove it, or say another --out")
    out.mkdir(parents=True)
    live = Live(failure, options.target, out, say, progress)
    result = _Shrinking(options, failure, live, say).result()
    if result is None:
        if not any(out.iterdir()):
            out.rmdir()
        return NOT_REPRODUCED
    (out / "plan.json").write_text(result.plan.to_json())
    (out / "shrink.json").write_text(json.dumps(_record(result), indent=2, sort_keys=True) + "\n")
    _tell(result, out, say)
    return 0 if result.ok else NOT_REPRODUCED


class _Shrinking:
    """One run's plan on its way."""

    def __init__(self, options: ShrinkOptions, failure: Failure, live: Live, say: Say) -> None:
        self._options, self._failure, self._live, self._say = options, failure, live, say
        own, _ = scenario.load(str(failure.folder / "scenario.yaml"))
        promised = contract.load(str(failure.folder / "contract.yaml"))
        self._rehearsal = Rehearsal(scenario=own, contract=promised, seed=failure.seed, defect=failure.defect)
        self._before = 0

    def result(self) -> Result | None:
        """None: the whole plan does not show the failure again."""
        failure = self._failure
        words = f"{len(failure.plan.windows)} windows, found: {', '.join(sorted(failure.ids))}"
        self._say(f"{words}; plans are tried {'live' if self._options.by == 'live' else 'in virtual time'}")
        return self._by_live() if self._options.by == "live" else self._by_simulation()

    def _by_live(self) -> Result | None:
        from chaos.shrink import numbered, shrink

        if not self._live.fails(self._failure.plan):
            self._say("the whole plan, run again, does not find the same")
            return None
        shrunk = shrink(self._failure.plan, self._live.fails, note=self._note)
        plan = numbered(shrunk.plan)
        count = self._options.confirm
        hits = sum(self._live.fails(plan) for _ in range(count))
        return self._result(plan, 1 + len(shrunk.tries), (0, 0), (hits, count), ())

    def _by_simulation(self) -> Result | None:
        from chaos.shrink import numbered, shrink

        failure = self._failure
        kept = unplayed(failure.plan.windows)
        if kept:
            kinds = ", ".join(sorted({window.kind for window in kept}))
            self._say(f"virtual time cannot play {kinds}: such windows stay until a live run does without them")
        seed, found = self._reproducing()
        if seed is None:
            self._say(f"in virtual time the whole plan does not find the same in {SEEDS} seeds; try --by live")
            return None
        rehearsal = self._rehearsal.with_seed(seed)

        def fails(plan: Plan, by: Rehearsal = rehearsal) -> bool:
            return failure.ids <= by.found(plan) <= found

        ids = {window.id for window in kept}
        shrunk = shrink(failure.plan, fails, ids, self._note)
        seeds = range(failure.seed, failure.seed + SEEDS)
        hits = sum(fails(shrunk.plan, self._rehearsal.with_seed(one)) for one in seeds)
        without = [_without(plan, ids) for plan in (shrunk.plan, shrunk.loose)]
        candidates = _distinct(numbered(plan) for plan in (without[0], shrunk.plan, without[1], shrunk.loose))
        plan, live = self._confirmed(candidates, numbered(shrunk.plan))
        return self._result(plan, self._before + len(shrunk.tries), (hits, SEEDS), live, unplayed(plan.windows))

    def _reproducing(self) -> tuple[int | None, frozenset[str]]:
        """The first seed with which the whole plan finds what the run found, and all that it finds."""
        for seed in range(self._failure.seed, self._failure.seed + SEEDS):
            self._before += 1
            found = self._rehearsal.with_seed(seed).found(self._failure.plan)
            self._say(f"  the whole plan, seed {seed}: {', '.join(sorted(found)) or 'nothing found'}")
            if self._failure.ids <= found:
                return seed, found
        return None, frozenset()

    def _confirmed(self, candidates: Iterable[Plan], smallest: Plan) -> tuple[Plan, tuple[int, int]]:
        """The first that fails live too, from the smallest on, and how often it did."""
        count = self._options.confirm
        if not count:
            return smallest, (0, 0)
        for plan in candidates:
            self._say(f"live, {len(plan.windows)} windows, {plan.end_ms / 1000:g} s:")
            if hits := sum(self._live.fails(plan) for _ in range(count)):
                return plan, (hits, count)
        return smallest, (0, count)

    def _note(self, one: Try) -> None:
        what = f"{one.what}, {len(one.windows)} windows"
        self._say(f"  re-run {self._before + one.number}: {what}: {'the same' if one.fails else 'not the same'}")

    def _result(
        self, plan: Plan, tries: int, simulated: tuple[int, int], live: tuple[int, int], kept: tuple[Window, ...]
    ) -> Result:
        command = command_of(self._live.run_options(self._live.out / "plan.json"))
        return Result(
            ids=tuple(sorted(self._failure.ids)), windows=len(self._failure.plan.windows), plan=plan, tries=tries, simulated=simulated,
            live=live, command=command, unplayed=tuple(sorted({w.kind for w in kept})),
            asked_live=self._options.confirm > 0,
        )  # fmt: skip


def _without(plan: Plan, ids: set[str]) -> Plan:
    return replace(plan, windows=tuple(window for window in plan.windows if window.id not in ids))


def _distinct(plans: Iterable[Plan]) -> list[Plan]:
    return list({plan.to_json(): plan for plan in plans}.values())


def _record(result: Result) -> dict[str, Any]:
    windows = json.loads(result.plan.to_json())["windows"]
    return {
        "ids": list(result.ids), "windows_before": result.windows, "windows": windows, "tries": result.tries,
        "simulated": list(result.simulated), "live": list(result.live), "unplayed": list(result.unplayed),
        "command": result.command,
    }  # fmt: skip


def _tell(result: Result, out: Path, say: Say) -> None:
    say(f"{result.windows} windows became {len(result.plan.windows)} in {result.tries} re-runs:")
    for window in result.plan.windows:
        asked = " ".join(f"{key}={value}" for key, value in window.asked.items())
        duration_s = (window.end_ms - window.start_ms) / 1000
        say(f"  {window.id} {window.kind} {asked}".rstrip() + f", {duration_s:g} s from {window.start_ms / 1000:g} s")
    if not result.plan.windows:
        say("  it fails without any fault")
    if result.unplayed:
        say(f"  kept unproved, virtual time cannot play it: {', '.join(result.unplayed)}")
    if result.simulated[1]:
        say(f"reproduced in virtual time with {result.simulated[0]} of {result.simulated[1]} seeds")
    if result.asked_live:
        say(f"reproduced live {result.live[0]} of {result.live[1]} times")
    say(f"plan: {out / 'plan.json'}")
    say(result.command)
