"""One plan played from start to end: the same plan, the same bytes. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from itertools import islice

from loadtests import arrivals
from loadtests.backend.assembly import Backend
from loadtests.backend.defects import DEFECTS, Defect
from loadtests.backend.eventlog import MemoryStorage
from loadtests.backend.frames import iso
from loadtests.backend.world import World
from loadtests.contract.compile import Contract
from loadtests.conversation import Conversation
from loadtests.findings import Finding
from loadtests.history import COHORTS, Window
from loadtests.prompts import Interference, Prompter
from loadtests.session import Identity, Session
from loadtests.simulation.client import Client
from loadtests.simulation.clock import START_NS, Clock
from loadtests.simulation.faults import FAULTS, PlannedFault, Site
from loadtests.simulation.host import Host
from loadtests.simulation.link import Habits
from loadtests.simulation.memory import KeptFrame, MemoryRecord
from loadtests.simulation.mistakes import MISTAKES, MistakenClient
from loadtests.simulation.network import Road
from loadtests.simulation.pipe import Bite
from loadtests.simulation.plan import CALM_MS, Plan
from loadtests.turn import Rules

__all__ = ["Played", "play"]

NS_PER_MS = 1_000_000
DEFECT_SHARE = 0.2  # a run has few turns
TREATED, CONTROL = COHORTS.index("treated"), COHORTS.index("control")


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a run left: its history, and what cannot be known from the client's side alone."""

    plan: Plan
    rows: bytes
    strings: tuple[str, ...]
    frames: tuple[KeptFrame, ...]
    windows: tuple[Window, ...]
    #: window id -> what the fault did something to; 0: it had no effect
    touched: dict[str, int]
    #: of the sessions, as they came
    findings: tuple[Finding, ...]
    #: counted where the bytes are: frames heard, messages handed over and sent
    frames_heard: int
    messages_handed: int
    messages_sent: int
    #: turns, resumes, connections or clients that the planted defect hit
    planted: int
    #: how many connections the server held, at each second
    census: tuple[tuple[int, int], ...]
    start_ns: int
    end_ns: int

    @property
    def digest(self) -> str:
        """Of every byte of the history."""
        whole = blake2b(self.rows, digest_size=16)
        for part in (self.strings, self.frames, self.windows, sorted(self.touched.items())):
            whole.update(repr(part).encode())
        return whole.hexdigest()


class _Stage:
    """The parts of one run, wired together."""

    def __init__(self, plan: Plan, contract: Contract, wire: Contract) -> None:
        self.plan, self.contract = plan, contract
        self.clock = Clock()
        self.record = MemoryRecord(contract.file.agents.root)
        self.rules = Rules(contract, self.record.roots)
        self.findings: list[Finding] = []
        self.storage = MemoryStorage()
        self._backends: list[Backend] = []
        self._wire = wire
        row = self._row = DEFECTS.get(plan.defect)
        self._shell_defect = row is not None and row.where == "socket"
        self.host = Host(self.clock, self._rng("host"), plan.seed, _habits(plan, row), self._backend)
        self.host.one_gate = row is not None and row.one_gate
        self.roads = [
            Road(self.clock, self._rng(f"road:{name}"), plan.conditions, self.host.accept) for name in COHORTS
        ]
        self.sites = [self._site(fault) for fault in plan.faults]
        self.clients = [self._client(number) for number in range(plan.users)]

    def _rng(self, name: str) -> random.Random:
        return random.Random(f"{name}:{self.plan.seed}")

    def _backend(self, world: World) -> Backend:
        plan = self.plan
        backend = Backend(
            self._wire, self.storage, world, seed=plan.seed, defect=self._row, defect_share=DEFECT_SHARE, shape=plan.shape,
            concurrent=self._wire.file.turn.concurrent,
        )  # fmt: skip
        self._backends.append(backend)
        return backend

    @property
    def planted(self) -> int:
        mistaken = sum(client.made for client in self.clients if isinstance(client, MistakenClient))
        spoilt = sum(backend.planter.planted for backend in self._backends)
        # What is planted in the server's shell is at work wherever the network gives it an occasion.
        bitten = sum(site.bite.touched for site in self.sites) if self._shell_defect else 0
        return mistaken + spoilt + bitten

    def _site(self, fault: PlannedFault) -> Site:
        return Site(
            fault=fault, bite=Bite(), road=self.roads[TREATED], roads=self.roads, host=self.host,
            rng=self._rng(f"fault:{fault.id}"), quietly=not self.contract.resumes,
        )  # fmt: skip

    def _client(self, number: int) -> Client:
        plan, contract = self.plan, self.contract
        cohort = TREATED if number in plan.treated else CONTROL
        mistake = MISTAKES.get(plan.defect)
        nonce = f"gx{plan.seed & 0xFFFFFFFF:08x}"
        session = Session(
            contract, self.rules, Identity(nonce, number, cohort), self.record, self.findings.append, self._wall
        )
        hello = (
            f"{number} {'' if contract.resumes else f'user{number}'} {'cursor' if contract.resumes else ''}".encode()
        )
        parts = (session, self.clock, self.roads[cohort], self._rng(f"client:{number}"), hello)
        client = MistakenClient(mistake, *parts) if mistake else Client(*parts)
        rng = self._rng(f"retry:{number}")
        conversation = client.conversation = Conversation(
            session, contract, plan.policy, rng, client, self._now_ns, self._over
        )
        if mistake:
            conversation._backoff = mistake.backoff(plan.policy, rng)
        return client

    def _now_ns(self) -> int:
        return self.clock.now_ns

    def _wall(self) -> str:
        return iso(self.clock.wall_s())

    def _over(self) -> bool:
        return False

    def begin(self) -> None:
        plan, clock = self.plan, self.clock
        interferes = Interference(share=plan.cancel_share), Interference(share=plan.overlap_share)
        for number, client in enumerate(self.clients):
            prompter = Prompter(plan.prompts, plan.seed, number, *interferes)
            schedule = islice(arrivals.paced(plan.seed, number, plan.pace_ms), plan.turns)
            end_ns = START_NS + int(plan.turns_end_ms * NS_PER_MS)
            live = client.conversation.live(schedule, START_NS, end_ns, plan.pace_ms, prompter.ask)
            client.start(live)
            if self.contract.keepalive is not None:
                client.beat()
        for site in self.sites:
            kind = FAULTS[site.fault.kind]
            clock.after_ms(site.fault.start_ms, partial(kind.begin, site))
            clock.after_ms(site.fault.start_ms + site.fault.duration_ms, partial(kind.heal, site))

    def windows(self) -> tuple[Window, ...]:
        out = []
        for site in self.sites:
            fault, kind = site.fault, FAULTS[site.fault.kind]
            start_ns = START_NS + int(fault.start_ms * NS_PER_MS)
            cohorts = ("treated", "control") if kind.everybody else ("treated",)
            asked = {"amount": round(fault.amount, 3), "direction": fault.direction}
            out += [
                Window(
                    id=fault.id if cohort == "treated" else f"{fault.id}-{cohort}", kind=fault.kind, cohort=cohort, phase="chaos",
                    start_ns=start_ns, end_ns=start_ns + int(fault.duration_ms * NS_PER_MS), asked=asked,
                    disconnects=kind.disconnects, swallows=kind.swallows,
                )
                for cohort in cohorts
            ]  # fmt: skip
        return tuple(out)


def _habits(plan: Plan, defect: Defect | None) -> Habits:
    planted = defect.keepalive_s if defect is not None else None
    if planted is None:
        return plan.habits
    ping_s, pong_s = (0.0, 0.0) if planted == "never" else planted
    return replace(plan.habits, ping_ms=ping_s * 1000, pong_ms=pong_s * 1000)


def play(plan: Plan, contract: Contract, wire: Contract) -> Played:
    """Play it: sessions under ``contract``, the reference backend under ``wire``."""
    stage = _Stage(plan, contract, wire)
    clock = stage.clock
    stage.begin()
    end_ns = START_NS + int((plan.turns_end_ms + CALM_MS + contract.file.turn.deadline_ms) * NS_PER_MS)
    if plan.killed_at_ms:
        clock.run(START_NS + int(plan.killed_at_ms * NS_PER_MS))
    else:
        step_ns = 1_000 * NS_PER_MS
        while clock.now_ns < end_ns and not all(client.done for client in stage.clients):
            clock.run(min(end_ns, clock.now_ns + step_ns))
    for client in stage.clients:
        client.stop()
    return Played(
        plan=plan, rows=stage.record.packed, strings=tuple(stage.record.strings), frames=tuple(stage.record.frames),
        windows=stage.windows(), touched={site.fault.id: site.bite.touched for site in stage.sites},
        findings=tuple(stage.findings), frames_heard=sum(client.frames_heard for client in stage.clients),
        messages_handed=sum(client.messages_handed for client in stage.clients),
        messages_sent=sum(client.messages_sent for client in stage.clients), planted=stage.planted, census=tuple(stage.host.census),
        start_ns=START_NS, end_ns=clock.now_ns,
    )  # fmt: skip
