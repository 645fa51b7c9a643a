"""What the command line asks of a run, and what that amounts to once scenario, contract and plan are read."""

from __future__ import annotations

import ipaddress
import math
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loadtests import arrivals, contract, descriptors, scenario
from loadtests.cohorts import size
from loadtests.conductor.hostoptions import check_hosts
from loadtests.conductor.planning import before, faults_before, plan_of, with_experiment
from loadtests.contract.compile import Contract
from loadtests.dial import Target, tls_context
from loadtests.errors import ConfigError
from loadtests.metrics import NO_FAULT, Gate, parse_gates
from loadtests.outside import check_functions
from loadtests.scenario import Overrides, Scenario
from loadtests.tokens import Source

if TYPE_CHECKING:
    from chaos.experiment import Experiment
    from chaos.plan import Plan

__all__ = ["Prepared", "RunOptions", "prepare"]

#: of a cluster
LEAST_NODES = 2
EMBEDDED_CONTRACT = "reference"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    scenario: str
    target: str = ""
    contract: str = ""
    token_env: str = ""
    #: absolute, since load processes run elsewhere
    token_file: str = ""
    token_program: str = ""
    users: int | None = None
    duration_s: float | None = None
    seed: int = 1
    processes: int = 1
    chaos: bool = True
    toxiproxy_url: str = ""
    allow_target: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    ca: str = ""
    resolve: str = ""
    #: our own addresses that connections come from
    sources: tuple[str, ...] = ()
    out: Path | None = None
    web: bool = False
    defect: str = ""
    #: of the embedded backend; None: as the experiment says
    nodes: int | None = None
    #: instead of the scenario's limits.turns
    max_turns: int | None = None
    experiment: str = ""
    form: str = ""
    #: this host conducts a run of so many worker hosts, and makes no load itself; ``bind``: where they find it
    master: bool = False
    workers: int = 0
    bind: str = ""
    #: the master's address: this host makes a part of the load
    worker: str = ""
    dry_run: bool = False

    @property
    def tokens(self) -> Source:
        """Where tokens come from."""
        return Source(self.token_env, self.token_file, self.token_program)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that can be known, and be wrong, before any traffic."""

    options: RunOptions
    declared: Scenario
    scenario: Scenario
    contract: Contract
    plan: Plan
    gates: list[Gate]
    #: None: the embedded backend, whose address is known once it listens
    target: Target | None
    experiment: Experiment | None = None
    #: names of all phases that gates may name, also of those that are gone
    phases: tuple[str, ...] = ()

    @property
    def chaos(self) -> bool:
        """Whether connections go through Toxiproxy; an experiment's do, even if nothing happens in it."""
        return bool(self.plan.windows) or self.experiment is not None

    @property
    def hits_backend(self) -> bool:
        """A fault ends or stops the embedded backend itself."""
        return any(window.fault.place == "backend" for window in self.plan.windows)

    @property
    def backend_options(self) -> dict[str, float | str]:
        """What the experiment asks of the embedded backend, and what the command line asks instead."""
        return _backend_options(self.options, self.experiment)


def prepare(options: RunOptions) -> Prepared:
    """Read and check everything.

    Raises:
        ConfigError: whatever is wrong, with file and place, before any traffic.
    """
    own, where = scenario.load(options.scenario)
    experiment, declared, source = _chosen(options, own, where)
    ours = _limited(options, Overrides(options.users, options.duration_s, options.chaos).apply(declared))
    compiled = contract.load(options.contract or _promised(options, declared))
    scenario.check_promised(ours, compiled.file, where)
    check_functions(ours.functions, where)
    nodes = _nodes(options, experiment, source)
    if options.defect:
        _check_defect(options, nodes)
    if options.processes < 1:
        raise ConfigError("--processes", "", f"{options.processes}", "at least 1")
    if options.toxiproxy_url and not ours.has_faults and experiment is None:
        raise ConfigError("--toxiproxy-url", "", "this run has no faults", "a scenario with faults, and not --no-chaos")
    names = [phase.name for one in (own, declared, ours) for phase in one.phases]
    gone = before(options.scenario)
    names = list(dict.fromkeys([*names, *gone]))
    # What an override has removed is still understood: gates may name it.
    removed = [own] if declared is own else [own, declared]
    plans = [plan_of(one.phases, one.scope, options.seed, where) for one in removed]
    plan = plan_of(ours.phases, ours.scope, options.seed, source)
    faults = [name for one in (*plans, plan) for window in one.windows for name in (window.id, window.kind)]
    faults += faults_before(gone)
    gates = parse_gates(compiled.gates(), compiled, names, compiled.source, fault=NO_FAULT)
    kinds = [kind.name for kind in ours.mix]
    gates += parse_gates(ours.gates, compiled, names, where, faults=faults, kinds=kinds)
    target = Target.parse(options.target, compiled.file.endpoint, options.resolve) if options.target else None
    if target is not None:
        _check_allowed(target, options.allow_target)
        _check_limited(target, ours, options.seed)
        _check_places(plan)
    _check_nodes(plan, nodes, source)
    address = target.address if target is not None else LOOPBACK
    _check_sources(options.sources, address, chaos=bool(plan.windows) or experiment is not None)
    broken = bool(plan.windows) or experiment is not None
    if options.master or options.worker or options.workers or options.bind:
        check_hosts(options, plan.windows)
    else:
        descriptors.check(ours.users, options.processes, size(ours.users, ours.treated_share), chaos=broken)
    options.tokens.check(ours.users + (1 if broken else 0))  # the canaries have one of their own
    if target is not None:
        tls_context(target.scheme, options.ca)
    return Prepared(
        options=options, declared=declared, scenario=ours, contract=compiled, plan=plan, gates=gates, target=target,
        experiment=experiment, phases=tuple(names),
    )  # fmt: skip


def _chosen(options: RunOptions, own: Scenario, where: str) -> tuple[Experiment | None, Scenario, str]:
    """The experiment, the scenario that is declared with it, and where its faults stand.

    Raises:
        ConfigError: no such experiment or form, or options that contradict it.
    """
    if not options.experiment:
        if options.form:
            raise ConfigError("--form", "", "only an experiment has forms", "--experiment NAME with it")
        return None, own, where
    if not options.chaos:
        raise ConfigError("--experiment", "", "an experiment is nothing but faults", "no --no-chaos with it")
    if options.duration_s is not None:
        raise ConfigError("--duration", "", "an experiment's forms say how long it takes", "--form full or short")
    return with_experiment(own, options.experiment, options.form)


def _promised(options: RunOptions, declared: Scenario) -> str:
    """The scenario's contract, also of a target; but what the embedded backend promises is no word about another."""
    return "netra" if options.target and declared.contract == EMBEDDED_CONTRACT else declared.contract


def _check_places(plan: Plan) -> None:
    """Faults on the backend's own process need a process of ours."""
    for window in plan.windows:
        if window.fault.place == "backend":
            problem = f"{window.kind} acts on the backend's own process, and the target is not ours"
            hint = "a fault of kind command, with your own apply and revert, or no --target"
            raise ConfigError("--target", f"windows.{window.id}", problem, hint)


def _backend_options(options: RunOptions, experiment: Experiment | None) -> dict[str, float | str]:
    asked = dict(experiment.backend) if experiment is not None else {}
    return asked if options.nodes is None else {**asked, "nodes": options.nodes}


def _nodes(options: RunOptions, experiment: Experiment | None, source: str) -> int:
    """How many the embedded backend has.

    Raises:
        ConfigError: a number that it cannot have, or a backend that is not ours.
    """
    from loadtests.backend.supervisor import MOST_NODES

    asked: Any = _backend_options(options, experiment).get("nodes", 1)
    if options.nodes is not None and options.target:
        raise ConfigError("--nodes", "", "only the embedded backend is started with so many", "no --target")
    if type(asked) is int and 1 <= asked <= MOST_NODES:
        return asked
    where, place = (source, "backend.nodes") if options.nodes is None else ("--nodes", "")
    raise ConfigError(where, place, f"{asked!r}", f"1 to {MOST_NODES}")


def _check_nodes(plan: Plan, nodes: int, source: str) -> None:
    """Faults on a node leave another to go on."""
    from chaos.faults.backend import CLUSTER

    for window in plan.windows:
        if window.kind in CLUSTER and nodes < LEAST_NODES:
            problem = f"{window.kind} acts on a node, and the embedded backend is one process"
            hint = f"backend: {{nodes: {LEAST_NODES}}} in an experiment, or --nodes {LEAST_NODES}"
            raise ConfigError(source, f"windows.{window.id}", problem, hint)


def _check_defect(options: RunOptions, nodes: int) -> None:
    from loadtests.backend.defects import PLANTABLE
    from loadtests.configfile import nearest

    if options.target:
        raise ConfigError("--defect", "", "only the embedded backend has planted defects", "no --target")
    if options.defect not in PLANTABLE:
        raise ConfigError("--defect", "", f"no defect {options.defect!r}", nearest(options.defect, list(PLANTABLE)))
    if PLANTABLE[options.defect].needs == "cluster" and nodes < LEAST_NODES:
        raise ConfigError("--defect", "", f"{options.defect} cannot show on one node", f"--nodes {LEAST_NODES}")


def _check_sources(sources: tuple[str, ...], target: str, *, chaos: bool) -> None:
    """Addresses of this machine from which the target can be reached.

    Raises:
        ConfigError: they are not.
    """
    if sources and chaos:
        raise ConfigError(
            "--source", "", "faults go through Toxiproxy, which has an address of its own", "--no-chaos with it"
        )
    for source in sources:
        try:
            family = socket.AF_INET6 if ":" in source else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as one:
                one.bind((source, 0))
            # No packet is sent; but the system says whether there is a way from one to the other.
            with socket.socket(family, socket.SOCK_DGRAM) as way:
                way.bind((source, 0))
                way.connect((target, 9))
        except OSError as error:
            raise ConfigError(
                "--source",
                "",
                f"{source}: {error.strerror or error}",
                f"an address of this machine with a way to {target}",
            ) from None


def _limited(options: RunOptions, scenario: Scenario) -> Scenario:
    """With the command line's own limit."""
    if options.max_turns is None:
        return scenario
    if options.max_turns < 1:
        raise ConfigError("--max-turns", "", f"{options.max_turns}", "at least 1")
    limits = msgspec.structs.replace(scenario.limits, turns=options.max_turns)
    return msgspec.structs.replace(scenario, limits=limits)


def _check_limited(target: Target, scenario: Scenario, seed: int) -> None:
    """What answers elsewhere may cost money.

    Raises:
        ConfigError: there is no limit.
    """
    limits = scenario.limits
    if _is_loopback(target.address) or (limits.turns, limits.tokens, limits.money) != (None, None, None):
        return
    turns = math.ceil(arrivals.turns(scenario, seed) * (1 + scenario.overlap.share))
    problem = f"{target.host} is not loopback, and the run has no limit of what it may cost"
    raise ConfigError("--target", "", problem, f"--max-turns {turns or 'N'}, or limits in the scenario")


def _check_allowed(target: Target, allowed: tuple[str, ...]) -> None:
    """Load goes to loopback, or to a host that was named.

    Raises:
        ConfigError: it would go elsewhere.
    """
    if target.host in allowed or _is_loopback(target.address):
        return
    raise ConfigError(
        "--target",
        "",
        f"{target.host} is not loopback, and load is sent only where it is allowed",
        f"--allow-target {target.host}",
    )


def _is_loopback(host: str) -> bool:
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        # Nowhere at all is for the preflight to say, unless it could become somewhere else by then.
        return host == "localhost"
    return all(ipaddress.ip_address(str(info[4][0]).partition("%")[0]).is_loopback for info in infos)
