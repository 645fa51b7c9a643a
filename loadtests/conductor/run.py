"""One run from start to verdict. What is started here is ended here, and by the guard if this process cannot."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests import manifest
from loadtests.conductor import folder
from loadtests.conductor.abort import Lookout
from loadtests.conductor.bypass import Bypass
from loadtests.conductor.census import Census
from loadtests.conductor.dryrun import describe, doubts
from loadtests.conductor.interruption import Interrupted, interruptible
from loadtests.conductor.options import Prepared, RunOptions, prepare
from loadtests.conductor.papers import Papers, Part
from loadtests.conductor.preflight import preflight
from loadtests.conductor.processes import Backend, Load
from loadtests.conductor.rig import Rig
from loadtests.conductor.watch import Disorder, Drained, await_all
from loadtests.descriptors import raise_limit
from loadtests.dial import Target
from loadtests.errors import BusyError, ConfigError, PreflightError
from loadtests.journal import Journal
from loadtests.stopping import ask_to_stop, asked_to_stop

if TYPE_CHECKING:
    from chaos.guard import Guard
    from chaos.lease import Lease
    from chaos.plan import Plan

__all__ = ["EMBEDDED", "EXIT_CODES", "INTERRUPTED", "Conductor", "Progress", "Say", "run"]

EXIT_CODES = {"go": 0, "no-go": 99, "cannot-say": 3}
INTERRUPTED = 130
#: how the manifest names a target that is ours
EMBEDDED = "embedded backend"
TAG = "GAUNTLET_RUN"
WORKERS_UP_S = 120.0
BEAT_S = 1.0
DRAIN_MARGIN_S = 15.0
NS_PER_S = 1_000_000_000
Say = Callable[[str], None]
Progress = Callable[[str, float, float], None]


def run(options: RunOptions, say: Say, progress: Progress) -> int:
    """Run, judge, report; returns the exit code.

    Raises:
        GauntletError: before any load, when something is wrong with the input or the rig.
    """
    prepared = prepare(options)
    if options.dry_run:
        say(describe(prepared))
        return 0
    _check_programs(prepared.plan)
    raise_limit()  # for all children
    binary = None
    if prepared.chaos and not options.toxiproxy_url and not options.master:
        from chaos.server import provide

        binary = provide(say)
    for doubt in doubts(prepared):
        say(f"gate {doubt}")
    was_there = options.out is not None and options.out.exists()
    run_dir = folder.make(prepared)
    say(f"run directory {run_dir}")
    try:
        with interruptible():
            conductor = _conductor_of(options)(prepared, run_dir, binary, say, progress)
            exit_reason = conductor.conduct()
    except (ConfigError, PreflightError, BusyError):
        if folder.discard(run_dir, itself=not was_there):
            say(f"nothing ran: the run directory is {'empty again' if was_there else 'removed'}")
        raise
    if options.worker:
        return INTERRUPTED if exit_reason == "interrupted" else conductor.exit_code
    from loadtests.conductor.report import report

    verdict = report(run_dir, say)
    if exit_reason == "interrupted":
        return INTERRUPTED
    return EXIT_CODES[verdict]


def _check_programs(plan: Plan) -> None:
    """What the commands of a plan need must be on this machine; a dry run, or a plan for another one, need not have it.

    Raises:
        ConfigError: a program is missing.
    """
    from chaos.faults.command import Command

    for window in plan.windows:
        if isinstance(window.fault, Command) and (missing := window.fault.missing()):
            problem = f"no program {', '.join(missing)} on this machine"
            raise ConfigError("plan.json", f"windows.{window.id}", problem, "programs on PATH, or paths of programs")


def _conductor_of(options: RunOptions) -> type[Conductor]:
    """Of a run on one host, or of a master's or a worker host's part of one on several."""
    if options.master:
        from loadtests.conductor.master import Master

        return Master
    if options.worker:
        from loadtests.conductor.worker import Worker

        return Worker
    return Conductor


class Conductor:
    """Holds what a run has started, so that its end is one place."""

    START_DELAY_NS = 300_000_000
    #: of a part of a run, which has no verdict of its own
    exit_code = 0

    def __init__(self, prepared: Prepared, run_dir: Path, binary: Path | None, say: Say, progress: Progress) -> None:
        self._p, self._dir, self._binary, self._say, self._progress = prepared, run_dir, binary, say, progress
        self._id = manifest.run_id(run_dir)
        self._tag = {TAG: self._id}
        self._guard: Guard | None = None
        self._backend: Backend | None = None
        self._load: Load | None = None
        self._census: Census | None = None
        self._lease: Lease | None = None
        self._listeners: dict[str, tuple[str, int]] = {}
        self._journal = Journal(run_dir / "history.jsonl")
        self._rig = Rig(prepared, run_dir, self._id, binary, self._journal, say)
        one = prepared.scenario
        self._lookout = Lookout(one.abort, run_dir / "rows", one.users, one.limits)
        self._reason = "ended"
        #: of all load processes, those of this host; None: all
        self._part: Part | None = None
        self._facts: dict[str, Any] = {}
        self._over = threading.Event()

    def conduct(self) -> str:
        """From guard to manifest; returns how it ended.

        Raises:
            GauntletError: before any load; everything started is ended again.
        """
        try:
            self._begin()
            self._run_load()
        except (Interrupted, KeyboardInterrupt):
            self._reason = "interrupted"
            self._say("interrupted: healing, and reporting what there is")
        except Drained as error:
            self._reason = f"stopped: {error}"
            self._say(f"{self._reason}; no more turns, those under way end")
            try:
                self._drain()
            except (Interrupted, KeyboardInterrupt):
                self._reason = "interrupted"
                self._say("interrupted while the last turns ended: reporting what there is")
        except Disorder as error:
            self._reason = str(error)
            self._say(f"the run cannot go on: {error}")
        except BaseException:
            self._reason = "failed before the load"
            raise
        finally:
            self._finish()
        return self._reason

    def _begin(self) -> None:
        from chaos.guard import Guard

        p, options = self._p, self._p.options
        self._take_lease()
        urls = [options.toxiproxy_url] if options.toxiproxy_url and not options.master else []
        self._guard = Guard.start(self._id, self._dir, urls=urls)
        # In a thread of its own: a preflight or an orderly end may last longer than the lease.
        threading.Thread(target=self._beat, args=(self._guard,), name="heartbeat", daemon=True).start()
        self._target = p.target or self._start_backend()
        self._papers = papers = Papers(
            p, self._dir, options.target or (self._backend.url if self._backend else ""), self._part
        )
        papers.assign({})
        papers.declare(self._target.url if p.target else self._embedded(), self._toxiproxy())
        self._say("preflight: one connection, one turn")
        seen = preflight(self._dir, self._tag, p.contract)
        self._facts["preflight"] = {"fit": seen["fit"], "steps": seen["steps"], "outcome": seen["outcome"]}
        self._facts["floor"] = seen["floor"]
        if seen["fit"] == "silent":
            self._say("preflight: connected, and nothing came back; the run will show it")
        self._open_listeners()

    def _open_listeners(self) -> None:
        self._listeners = self._rig.open(self._target)
        if self._listeners:
            self._papers.assign(self._listeners)

    def _take_lease(self) -> None:
        if self._p.target is not None:
            from chaos.lease import Lease

            self._lease = Lease.take(self._p.target.address, self._p.target.port, self._id, self._say)

    def _beat(self, guard: Guard) -> None:
        while not self._over.wait(BEAT_S):
            guard.beat()

    def _start_backend(self) -> Target:
        p, options = self._p, self._p.options
        self._backend = Backend(
            self._dir, self._tag, options.seed, options.defect, options.token_env, options.labels.get("build", ""),
            p.backend_options, comes_back=p.hits_backend,
        )  # fmt: skip
        planted = f", with defect {options.defect}" if options.defect else ""
        self._say(f"{EMBEDDED} at {self._backend.url}{planted}")
        return Target.parse(self._backend.url, p.contract.file.endpoint)

    def _embedded(self) -> str:
        planted = f", with planted defect {self._p.options.defect}" if self._p.options.defect else ""
        return f"{EMBEDDED} ({self._target.url}){planted}"

    def _toxiproxy(self) -> str:
        if self._binary is None:
            return self._p.options.toxiproxy_url
        from chaos.binary import version_of

        return str(version_of(self._binary))

    def _run_load(self) -> None:
        p, options = self._p, self._p.options
        users, rate_per_s = p.scenario.users, p.scenario.limits.connects_per_s
        among = self._part.workers if self._part else 0
        self._load = Load(
            self._dir, self._tag, users, options.processes, self._target.url, web=options.web, among=among
        )
        if self._load.web_url:
            self._say(f"Locust's web UI at {self._load.web_url}")
        bypass = Bypass(self._load.pid, (self._target.address, self._target.port), self._listeners)
        watched = (self._broken, self._lookout_now, lambda: bypass.trouble(time.monotonic()), self._stop_now)
        await_all(
            lambda: self._marks("up") >= options.processes, WORKERS_UP_S + (users / rate_per_s if rate_per_s else 0),
            "the load processes did not start", watched[:1],
        )  # fmt: skip
        self._rig.watch(self._target, self._backend)
        start_ns = self._set_start()
        self._rig.start(start_ns)
        if self._backend is not None and p.experiment is not None and p.experiment.counts_sessions:
            self._census = Census(self._backend.url, self._journal)
            self._census.start()
        await_all(
            lambda: self._marks("done") >= options.processes,
            p.scenario.total_s + (start_ns - time.monotonic_ns()) / NS_PER_S + self._drain_s, "users did not come to an end", watched,
            lambda: self._progress(*self._where((time.monotonic_ns() - start_ns) / NS_PER_S)),
        )  # fmt: skip
        if not self._rig.join(DRAIN_MARGIN_S):
            raise Disorder("the faults did not come to an end")

    def _set_start(self) -> int:
        """One time axis for all processes and the faults."""
        return self._write_start(time.monotonic_ns() + self.START_DELAY_NS)

    def _write_start(self, start_ns: int) -> int:
        self._journal.append("clock", mono_ns=time.monotonic_ns(), wall_ns=time.time_ns())
        at_ns = start_ns
        for phase in self._p.scenario.phases:
            self._journal.append("phase", name=phase.name, start_ns=at_ns, end_ns=at_ns + int(phase.s * NS_PER_S))
            at_ns += int(phase.s * NS_PER_S)
        partial = self._dir / "start.json.partial"
        partial.write_text(json.dumps({"start_ns": start_ns}))
        partial.rename(self._dir / "start.json")
        return start_ns

    def _marks(self, end: str) -> int:
        return len(list((self._dir / "rows").glob(f"*.{end}")))

    def _broken(self) -> str:
        """Which part of the run is no more."""
        if self._guard is not None and not self._guard.alive:
            return "the guard is gone"
        if self._load is None or not self._load.alive:
            return "Locust ended too early, see locust.log"
        if self._backend is not None and not self._backend.alive:
            return "the embedded backend died, see backend.log"
        if self._rig.errors:
            return f"a fault could not be made: {self._rig.errors[0]}"
        return ""

    def _stop_now(self) -> str:
        """Raises:
        Drained: somebody asked for it, or a limit of the scenario is reached.
        """
        if spent := self._lookout.spent():
            ask_to_stop(self._dir, spent)
        if why := asked_to_stop(self._dir):
            raise Drained(why)
        return ""

    def _drain(self) -> None:
        """Faults are healed, turns end, users say goodbye."""
        self._rig.heal(DRAIN_MARGIN_S)
        with contextlib.suppress(Disorder):
            await_all(
                lambda: self._marks("done") >= self._p.options.processes, self._drain_s, "users did not come to an end",
                (self._broken,),
            )  # fmt: skip

    @property
    def _drain_s(self) -> float:
        """How long the last turns may take."""
        turn = self._p.contract.file.turn
        return (turn.deadline_ms + turn.recovery_ms) / 1000 + DRAIN_MARGIN_S

    def _lookout_now(self) -> str:
        trouble = self._lookout.trouble(time.monotonic_ns())
        return f"stopped by its own limits: {trouble}" if trouble else ""

    def _where(self, at_s: float) -> tuple[str, float, float]:
        total = self._p.scenario.total_s
        end_s = 0.0
        for phase in self._p.scenario.phases:
            end_s += phase.s
            if at_s < end_s:
                return phase.name, at_s, total
        return "draining", min(at_s, total), total

    def _finish(self) -> None:
        """End everything in an order in which the end itself is not measured as a fault."""
        if self._census is not None:
            self._census.stop()
        self._rig.heal(DRAIN_MARGIN_S)
        if self._load is not None and not self._load.stop() and self._reason == "ended":
            self._reason = "Locust had to be killed"
        self._rig.close()
        if self._backend is not None:
            self._backend.stop()
            for file in self._dir.glob("backend.sqlite*"):
                file.unlink()
        self._over.set()
        if self._guard is not None:
            self._guard.close()
        if self._lease is not None:
            self._lease.close()
        self._journal.close()
        with contextlib.suppress(OSError):
            manifest.complete(self._dir, self._reason, **self._facts)
