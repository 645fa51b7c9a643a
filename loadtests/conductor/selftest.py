"""The judge proves itself: every planted defect played in virtual time and judged, beside its clean twin.

The composition of simulation and judge; what the command prints stands in ``loadtests.cli.selftest``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from loadtests.backend.defects import DEFECTS, PLANTABLE
from loadtests.configfile import nearest
from loadtests.contract import load
from loadtests.contract.compile import Contract
from loadtests.contract.schema import Concurrent
from loadtests.errors import ConfigError
from loadtests.history import RowKind
from loadtests.simulation import Played, plan_of, play
from loadtests.simulation.faults import FAULTS
from loadtests.simulation.memory import rows_of
from loadtests.simulation.mistakes import MISTAKES
from loadtests.simulation.plan import STORM

if TYPE_CHECKING:
    from reports.judgement import Check
    from reports.replay import Replayed, Rows

__all__ = [
    "CONTRACTS", "LEAST_RECONNECTING", "WIRE", "Cell", "Figures", "command", "compiled", "expected", "figures", "found", "judged",
    "matrix", "names", "possible", "promised", "rare_faults", "scene_of", "twin",
]  # fmt: skip

WIRE = "reference"  # what the reference backend speaks; the others are what its clients hold it to
CONTRACTS = ("reference", "netra")
MOST_TRIES = 4  # a plan may give a defect no occasion; so many plans are tried for one that does
LEAST_SESSIONS, LEAST_TURNS, LEAST_FAULTS = 8, 4, 2
LEAST_RECONNECTING = 0.8  # of clean runs
#: a turn in flight when nobody is let in any more is never ended, if its contract does not wait for so long
#: what a log has forgotten its answers may have forgotten too
_MAY = {
    "refuses-return": frozenset({"terminal"}),
    "claims-behind": frozenset({"complete"}),
    "stream-reset-ignored": frozenset({"complete"}),
    "never-resumes": frozenset({"complete"}),
}
#: what a run must hold for a defect to show -> scene; else by the checker that must find it
_BY_NEED = {
    "half-open connection": "ghosts", "slow consumer": "sluggish", "slow connection": "late", "cancel": "stops",
    "second message": "seconds", "cut": "cuts", "quiet session": "quiet",
}  # fmt: skip
_BY_ID = {"dead-peers": "ghosts", "restored": "long", "control": "sluggish"}


@dataclass(slots=True)
class Cell:
    """One defect under one contract: in how many of the runs that gave it an occasion exactly its ids were found."""

    defect: str
    contract: str
    expected: frozenset[str]
    #: so many runs must give it an occasion
    wanted: int
    runs: int = 0
    #: runs in which the defect could do something
    seeds: int = 0
    #: of those, in how many its ids were found; none where nothing is expected
    detected: int = 0
    #: id -> in how many runs it was found and should not have been
    wrong: Counter[str] = field(default_factory=Counter)
    #: id -> in how many runs it should have been found and was not
    missed: Counter[str] = field(default_factory=Counter)
    #: clean twins in which anything was found
    false_alarms: int = 0
    #: the first seed that shows what is not right; -1: none
    witness: int = -1
    #: kind -> windows, and windows that did something
    faults: Counter[str] = field(default_factory=Counter)
    effective: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        """Under a contract that promises nothing of the kind, nothing may be found, planted or not."""
        shown = not self.expected or self.detected == self.seeds >= self.wanted
        return shown and not self.wrong and not self.false_alarms


@dataclass(slots=True)
class Figures:
    """Clean runs in numbers."""

    contract: str
    runs: int = 0
    sessions: int = 0
    turns: int = 0
    events: int = 0
    #: runs in which a session came back, and that were smaller than promised
    reconnecting: int = 0
    small: int = 0
    #: kind -> windows, and windows that did something
    faults: Counter[str] = field(default_factory=Counter)
    effective: Counter[str] = field(default_factory=Counter)
    #: of one core, judged and all
    seconds: float = 0.0
    #: seed -> ids found in a run without a defect
    false_alarms: dict[int, tuple[str, ...]] = field(default_factory=dict)

    @property
    def idle_faults(self) -> tuple[str, ...]:
        """Kinds of faults that never did anything: what they prove is nothing."""
        return tuple(name for name in self.kinds if not self.effective[name])

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of faults that clean runs are to have."""
        resumes = compiled(self.contract).resumes
        return tuple(kind.name for kind in FAULTS.values() if not kind.rare and (resumes or not kind.needs_resume))

    @property
    def reconnecting_share(self) -> float:
        return self.reconnecting / self.runs if self.runs else 0.0

    @property
    def ok(self) -> bool:
        """Without an alarm, and with all that makes its absence worth something."""
        told = self.small == 0 and self.reconnecting_share >= LEAST_RECONNECTING and not self.idle_faults
        return self.runs > 0 and told and not self.false_alarms


def names(defect: str = "") -> tuple[str, ...]:
    """All defects of the backend and all mistakes of a client, or the one that is asked for.

    Raises:
        ConfigError: there is none of that name.
    """
    every = (*DEFECTS, *MISTAKES)
    if not defect:
        return every
    if defect not in every:
        raise ConfigError("--defect", "", f"no defect {defect!r}", nearest(defect, list(every)))
    return (defect,)


def expected(defect: str, contract: str) -> frozenset[str]:
    """The exact ids that a defect must cause."""
    if not defect:
        return frozenset()
    return (MISTAKES[defect] if defect in MISTAKES else PLANTABLE[defect]).ids[contract]


def possible(defect: str, contract: str = WIRE) -> frozenset[str]:
    """Ids that it may cause besides, where network and moment give an occasion; none where the contract expects none of it."""
    if not expected(defect, contract):
        return frozenset()
    return MISTAKES[defect].may if defect in MISTAKES else _MAY.get(defect, frozenset())


def scene_of(defect: str) -> str:
    """Where a defect shows."""
    if defect in MISTAKES:
        return "crowd"
    row = DEFECTS.get(defect)
    if row is None:
        return STORM
    by_id = next((scene for id_, scene in _BY_ID.items() if id_ in row.ids[WIRE]), "")
    return by_id or _BY_NEED.get(row.needs) or ("calm" if "silence" in row.ids[WIRE] else "talk")


@cache
def compiled(name: str, concurrent: Concurrent = "") -> Contract:
    """A built-in contract, compiled once; with another promise of what becomes of a second message, if it gives one."""
    return load(name).promising(concurrent)


def promised(defect: str) -> Concurrent:
    """What must be promised of a second message for the defect to break it; empty: nothing of the kind."""
    return DEFECTS[defect].concurrent if defect in DEFECTS else ""


def twin(seed: int, contract_name: str, scene: str = STORM, defect: str = "", concurrent: Concurrent = "") -> Played:
    """One run of a scene; without a defect it is the clean twin of all that have one."""
    concurrent = concurrent or promised(defect)
    contract = compiled(contract_name, concurrent)
    plan = plan_of(seed, contract, scene, defect)
    if plan.shape == "wrapped" and defect in DEFECTS and DEFECTS[defect].unwrapped:
        plan = replace(plan, shape="flat")
    # Where a second message is promised nothing, the backend has nothing to keep.
    return play(plan, contract, compiled(WIRE, concurrent if contract.file.turn.concurrent else ""))


def command(defect: str, contract: str, seed: int) -> str:
    """What replays one run."""
    planted = f" --defect {defect}" if defect else ""
    return f"gauntlet selftest --contract {contract}{planted} --seed {seed}"


def matrix(defects: Iterable[str], contracts: Iterable[str], seeds: int, first: int = 1) -> Iterator[Cell]:
    """Every defect under every contract, with so many seeds that gave it an occasion, beside clean twins."""
    for name in contracts:
        clean: dict[tuple[str, Concurrent, int], bool] = {}
        for defect in defects:
            cell = Cell(defect, name, expected(defect, name), seeds)
            tries = seeds * MOST_TRIES if cell.expected else seeds
            for seed in range(first, first + tries):
                if cell.seeds < seeds:
                    _try(cell, seed, clean)
            yield cell


def _try(cell: Cell, seed: int, clean: dict[tuple[str, Concurrent, int], bool]) -> None:
    scene, concurrent = scene_of(cell.defect), promised(cell.defect)
    contract = compiled(cell.contract, concurrent)
    played = twin(seed, cell.contract, scene, cell.defect)
    ids = found(played, contract) - possible(cell.defect, cell.contract)
    must = cell.expected if played.planted else frozenset()
    cell.runs += 1
    _count_faults(cell, played)
    cell.seeds += played.planted > 0
    cell.detected += bool(must) and must <= ids
    cell.wrong.update(ids - must)
    cell.missed.update(must - ids)
    key = scene, concurrent, seed
    if key not in clean:
        clean[key] = not found(twin(seed, cell.contract, scene, concurrent=concurrent), contract)
    cell.false_alarms += not clean[key]
    if (ids != must or not clean[key]) and cell.witness < 0:
        cell.witness = seed


def figures(contract_name: str, runs: int, first: int = 1) -> Figures:
    """So many clean runs, counted."""
    out = Figures(contract_name)
    began = time.process_time()
    for seed in range(first, first + runs):
        played = twin(seed, contract_name)
        _count(out, played)
        if ids := found(played, compiled(contract_name)):
            out.false_alarms[seed] = tuple(sorted(ids))
    out.seconds = time.process_time() - began
    return out


def _count(out: Figures, played: Played) -> None:
    rows = rows_of(played.rows)
    kinds = rows["kind"]
    sends = rows["session"][kinds == RowKind.SEND]
    out.runs += 1
    out.sessions += played.plan.users
    out.turns += len(sends)
    out.events += int(np.count_nonzero(kinds == RowKind.EVENT))
    out.reconnecting += bool((rows["connection"][kinds == RowKind.READY] > 1).any())
    whole = int(np.count_nonzero(np.bincount(sends, minlength=played.plan.users) >= LEAST_TURNS))
    out.small += whole < LEAST_SESSIONS or len(played.plan.faults) < LEAST_FAULTS
    _count_faults(out, played)


def _count_faults(out: Cell | Figures, played: Played) -> None:
    for fault in played.plan.faults:
        out.faults[fault.kind] += 1
        out.effective[fault.kind] += played.touched[fault.id] > 0


def rare_faults(cells: Iterable[Cell]) -> dict[str, tuple[int, int]]:
    """Kinds of faults that only the scenes of some defects have: how often each did something, of how many windows."""
    done, planned = Counter[str](), Counter[str]()
    for cell in cells:
        done += cell.effective
        planned += cell.faults
    return {
        kind.name: (done[kind.name], planned[kind.name]) for kind in FAULTS.values() if kind.rare and planned[kind.name]
    }


def found(played: Played, contract: Contract) -> frozenset[str]:
    """Ids of the checkers that say *invalid*."""
    return frozenset(check.id for check in judged(played, contract) if check.verdict == "invalid")


def judged(played: Played, contract: Contract) -> tuple[Check, ...]:
    """A run in memory, judged by what judges a run directory."""
    from reports.assessment import Setting, assess
    from reports.peers import View
    from reports.replay import replay_rows

    plan, strings = played.plan, played.strings
    rows = rows_of(played.rows)
    replayed = replay_rows(contract, rows, strings, played.windows)
    views = tuple(View(at_ns, sessions) for at_ns, sessions in played.census) if plan.watched else ()
    setting = Setting(
        windows=played.windows, users=plan.users, policy=plan.policy, trouble=_trouble(played, rows, replayed), views=views,
        unproven=_unproven(played), start_ns=played.start_ns,
        unproven_windows=frozenset(fault.id for fault in plan.faults if not played.touched[fault.id]),
    )  # fmt: skip
    return assess(contract, rows, strings, setting, replayed).checks


def _unproven(played: Played) -> str:
    idle = [f"{fault.id} ({fault.kind}): absent" for fault in played.plan.faults if not played.touched[fault.id]]
    return f"fault without proven effect: {', '.join(idle)}" if idle else ""


def _trouble(played: Played, rows: Rows, replayed: Replayed) -> tuple[str, ...]:
    """What the harness has against itself: counted on the wire, against what stands in the history."""
    events = int(np.count_nonzero(rows["kind"] == RowKind.EVENT))
    trouble = []
    if events != played.frames_heard:
        trouble.append(f"{played.frames_heard} frames came and {events} event rows are there")
    if played.messages_handed != played.messages_sent:
        trouble.append(f"{played.messages_handed} messages were to be sent and {played.messages_sent} were")
    live = Counter(finding.kind.name for finding in played.findings)
    again = sum(replayed.counts.values(), Counter())
    if live != again:
        trouble.append(f"the trackers found {dict(live)} live and {dict(again)} in the rows")
    return tuple(trouble)
