"""Run directories made in no time: real sessions and recorders, a played backend, a clock that is only a number."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from loadtests import arrivals, cohorts, contract, manifest
from loadtests.contract.schema import GateRule
from loadtests.findings import Finding
from loadtests.history import COHORTS, End
from loadtests.journal import Journal
from loadtests.recorder import Recorder
from loadtests.rundir import RunData, windows_of
from loadtests.scenario import Phase, Scenario
from loadtests.session import Identity, Session
from loadtests.turn import Rules
from reports.assessment import Setting, assess
from reports.recovery import Recovery
from reports.replay import replay

__all__ = ["MS", "START_NS", "Fault", "Frames", "Plan", "S", "recovered", "write_run"]

MS, S = 1_000_000, 1_000_000_000
START_NS = 1_000 * S
NONCE = "gx0badcafe"
BACK_AFTER_NS = 200 * MS
READY_NS = 10 * MS
#: (milliseconds after the event before it, the frame)
Frames = list[tuple[float, dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A window on the treated cohort; the session's connections break at its start where it disconnects."""

    id: str
    phase: str
    start_s: float
    end_s: float
    kind: str = "down"
    disconnects: bool = True
    effect: str = "confirmed"


def unspoilt(_session: int, _turn: int, frames: Frames) -> Frames:
    return frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is played; ``script`` may change the frames of any turn before they are numbered, ``spoil`` after."""

    contract: str = "reference"
    users: int = 30
    pace_ms: int = 500
    phases: tuple[tuple[str, float], ...] = (("warm-up", 1.0), ("steady", 4.0), ("cool-down", 1.0))
    faults: tuple[Fault, ...] = ()
    gates: dict[str, list[str | GateRule]] = field(default_factory=dict)
    script: Callable[[int, int, Frames], Frames] = unspoilt
    spoil: Callable[[int, int, Frames], Frames] = unspoilt
    workers: int = 1
    #: after a heal; if it is later than usual, the backend refused who asked at the usual time
    back_after_ns: int = BACK_AFTER_NS
    resumed: bool = True
    #: users that never begin
    absent: frozenset[int] = frozenset()
    exit: str | None = "ended"

    @property
    def total_s(self) -> float:
        return sum(s for _, s in self.phases)


class _Backend:
    """What one session's backend would send; numbers its events as it makes them."""

    def __init__(self, compiled: contract.Contract, number: int) -> None:
        self.c = compiled
        self.stream = f"st_{number}"
        self.made = 0

    def welcome(self, connection: int) -> bytes:
        stream = self.stream if connection == 1 else f"{self.stream}_{connection}"
        return json.dumps({"type": self.c.file.handshake.ready, "data": {"stream_id": stream}}).encode()

    def answer(self, *, resumed: bool, head: int) -> bytes:
        return json.dumps({"type": self.c.file.resume.answer, "data": {"resumed": resumed, "last_seq": head}}).encode()

    def turn(self, run: str) -> Frames:
        name = self.c.name_of
        tool = {"tool_name": "search", "execution_id": f"exec_{run}"}
        bodies: list[tuple[str, dict[str, Any]]] = [
            (name("started"), {}),
            (name("thinking"), {"reasoning": "hm"}),
            (name("tool-open"), tool),
            (name("tool-close"), {**tool, "results": [1]}),
            (name("done"), {"final_response": "so"}),
        ]
        ids = {"run_id": run, "agent_name": "supervisor"}
        return [(10.0, {"type": kind, **ids, **body}) for kind, body in bodies]

    def numbered(self, frames: Frames) -> Frames:
        if not self.c.has_cursor:
            return frames
        first = self.made + 1
        self.made += len(frames)
        stream = {"stream_id": self.stream}
        return [(ms, {**frame, "seq": seq, **stream}) for seq, (ms, frame) in enumerate(frames, first)]


class _Player:
    """One user from start to end, on its own time line."""

    def __init__(self, plan: Plan, number: int, cohort: str, session: Session) -> None:
        self.plan, self.number, self.session = plan, number, session
        self.backend = _Backend(session.contract, number)
        self.now_ns = START_NS
        cuts = [f for f in plan.faults if f.disconnects] if cohort == "treated" else []
        self._cuts = [(START_NS + int(f.start_s * S), START_NS + int(f.end_s * S)) for f in cuts]
        self._due: list[tuple[int, dict[str, Any]]] = []

    def live(self) -> None:
        self._connect(START_NS - 100 * MS)
        end_ns = START_NS + int(self.plan.total_s * S)
        for at_ms in arrivals.paced(manifest_seed(), self.number, self.plan.pace_ms):
            intended = START_NS + int(at_ms * MS)
            if intended >= end_ns:
                break
            if self.number in self.plan.absent:
                continue
            if self.now_ns - intended > self.plan.pace_ms * MS:
                self.session.dropped(intended, self.now_ns, "late by more than a pace")
                continue
            self._advance(max(intended, self.now_ns))
            self._turn(intended)
        self._advance(max(self.now_ns, end_ns))
        self.session.closed(self.now_ns, 1000, "", ours=True)
        self.session.stop(self.now_ns)

    def _connect(self, at_ns: int) -> None:
        session = self.session
        session.dial(at_ns)
        session.opened(at_ns + READY_NS)
        self.now_ns = at_ns + 2 * READY_NS
        session.frame(self.backend.welcome(session.connection), self.now_ns)
        if session.outbox:
            session.outbox.clear()
            head = self.backend.made - sum(due > self.now_ns for due, _ in self._due)
            session.frame(self.backend.answer(resumed=self.plan.resumed, head=head), self.now_ns)

    def _advance(self, to_ns: int) -> None:
        while self._cuts and self._cuts[0][0] <= to_ns:
            cut_ns, healed_ns = self._cuts.pop(0)
            self.session.closed(cut_ns, 1006, "reset")
            if self.plan.back_after_ns > BACK_AFTER_NS:
                self.session.dial(healed_ns + BACK_AFTER_NS)
                self.session.dial_failed(healed_ns + BACK_AFTER_NS + READY_NS, -111, "refused")
            self._connect(healed_ns + self.plan.back_after_ns)
        self.now_ns = max(self.now_ns, to_ns)

    def _turn(self, intended: int) -> None:
        session = self.session
        session.begin(intended, "how much?", self.now_ns)
        session.outbox.clear()
        run = f"run_{session.tag}t{session.turns}"
        due_ns = self.now_ns
        frames = self.backend.numbered(self.plan.script(self.number, session.turns, self.backend.turn(run)))
        for after_ms, frame in self.plan.spoil(self.number, session.turns, frames):
            due_ns += int(after_ms * MS)
            self._due.append((due_ns, frame))
        while self._due:
            due_ns, frame = self._due[0]
            self._advance(max(due_ns, self.now_ns))
            self._due.pop(0)
            session.frame(json.dumps(frame).encode(), self.now_ns)
        if session.flight is not None:
            self._advance(session.deadline_ns())
            session.give_up(self.now_ns, End.TIMEOUT)


def manifest_seed() -> int:
    return 1


def write_run(path: Path, plan: Plan | None = None) -> Path:
    """Play a plan into a new run directory; returns it."""
    plan = plan or Plan()
    compiled = contract.load(plan.contract)
    (path / "rows").mkdir(parents=True)
    faulty = {f.phase: f for f in plan.faults}
    phases = [Phase(n, s, {"kind": faulty[n].kind} if n in faulty else None) for n, s in plan.phases]
    scenario = Scenario(
        scenario=1, name="played", users=plan.users, pace_ms=plan.pace_ms, prompts=["how much?"], phases=phases,
        contract=plan.contract, gates=plan.gates,
    )  # fmt: skip
    (path / "scenario.yaml").write_bytes(msgspec.yaml.encode(scenario))
    (path / "contract.yaml").write_text(compiled.text)
    (path / "start.json").write_text(json.dumps({"start_ns": START_NS}))
    _write_manifest(path, plan, compiled)
    _write_journal(path, plan)
    hit = cohorts.treated(manifest_seed(), plan.users, 0.5) if plan.faults else frozenset()
    for worker in range(plan.workers):
        _play_worker(path, plan, compiled, worker, hit)
    if plan.exit is not None:
        manifest.complete(path, plan.exit)
    return path


def _write_manifest(path: Path, plan: Plan, compiled: contract.Contract) -> None:
    windows = [
        {"id": f.id, "kind": f.kind, "cohort": "treated", "disconnects": f.disconnects, "swallows": f.disconnects}
        for f in plan.faults
    ]
    facts = {
        "kind": "run", "scenario": "played", "contract": compiled.name, "contract_digest": compiled.digest, "seed": manifest_seed(),
        "nonce": NONCE, "target": "played", "users": plan.users, "pace_ms": plan.pace_ms, "workers": plan.workers, "labels": {},
        "chaos": bool(plan.faults), "windows": windows, "phases": [list(one) for one in plan.phases],
        "declared_phases": [name for name, _ in plan.phases],
    }  # fmt: skip
    manifest.write_manifest(path, facts)


def _write_journal(path: Path, plan: Plan) -> None:
    journal = Journal(path / "history.jsonl")
    for f in plan.faults:
        about = {"id": f.id, "kind": f.kind, "cohort": "treated", "phase": f.phase, "asked": {}}
        start_ns, end_ns = START_NS + int(f.start_s * S), START_NS + int(f.end_s * S)
        journal.append("window", step="applying", at_ns=start_ns, **about)
        journal.append("window", step="healed", at_ns=end_ns, **about)
        measured = {"what": "cut", "value": 1, "unit": "times"}
        journal.append("effect", id=f.id, effect=f.effect, measured=measured, by="played", at_ns=end_ns)
    if plan.faults:
        journal.append("cleanup", ok=True, left=[], at_ns=START_NS + int(plan.total_s * S))
    journal.close()


def _play_worker(
    path: Path, plan: Plan, compiled: contract.Contract, worker: int, hit: frozenset[int]
) -> None:  # fmt: skip
    name = f"worker-{worker}"
    recorder = Recorder(path / "rows", name)
    rules = Rules(compiled, recorder.names(compiled.file.agents.root))
    found: Counter[str] = Counter()

    def emit(finding: Finding) -> None:
        found[finding.kind.name] += 1

    for number in range(worker, plan.users, plan.workers):
        cohort = ("treated" if number in hit else "control") if plan.faults else "direct"
        identity = Identity(NONCE, number, COHORTS.index(cohort))
        session = Session(compiled, rules, identity, recorder, emit, lambda: "2026-01-01T00:00:00Z")
        _Player(plan, number, cohort, session).live()
    recorder.close({"users": plan.users, "turns": 0, "errors": {}, "provisional": dict(found)})
    with (path / "health.jsonl").open("a") as file:
        for line in _health(name, plan.total_s):
            file.write(json.dumps(line) + "\n")


def _health(worker: str, total_s: float) -> Iterator[dict[str, Any]]:
    for second in range(max(3, int(total_s))):
        yield {
            "at_ns": START_NS + second * S, "worker": worker, "loop_lag_p99_ms": 1.0, "loop_lag_max_ms": 2.0, "cpu": 0.2,
            "rss_mb": 60.0, "descriptors": 40,
        }  # fmt: skip


def recovered(data: RunData) -> tuple[Recovery, ...]:
    """A run's outages as its judge sees them."""
    windows = windows_of(data)
    return assess(
        data.contract, data.rows, data.strings, Setting(windows=tuple(windows)), replay(data, windows)
    ).recovered
