"""One run from start to verdict. What is started here is ended here, and by the guard if this process cannot."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from loadtests import assignment, manifest
from loadtests.conductor.dryrun import describe, doubts
from loadtests.conductor.options import Prepared, RunOptions, prepare
from loadtests.conductor.preflight import preflight
from loadtests.conductor.processes import Backend, Load
from loadtests.dial import Target, tls_context
from loadtests.errors import ConfigError, GauntletError, PreflightError, RigError
from loadtests.journal import Journal

if TYPE_CHECKING:
    from chaos.guard import Guard
    from chaos.listeners import Listener
    from chaos.nemesis import Nemesis

__all__ = ["EXIT_CODES", "run"]

EXIT_CODES = {"go": 0, "no-go": 99, "cannot-say": 3}
INTERRUPTED = 130
TAG = "GAUNTLET_RUN"
WORKERS_UP_S = 120.0
START_DELAY_NS = 300_000_000
POLL_S = 0.1
BEAT_S = 1.0
DRAIN_MARGIN_S = 15.0
NS_PER_S = 1_000_000_000
#: all that is in the folder of a run before its load
SET_UP = frozenset({
    "assignment.json", "backend.log", "contract.yaml", "guard.json", "history.jsonl", "manifest.json", "plan.json", "scenario.yaml",
})  # fmt: skip
Say = Callable[[str], None]


class _Interrupted(Exception):  # noqa: N818  # an end, not an error
    """Ctrl-C or SIGTERM: stop the load, heal, and still report."""


class _Disorder(Exception):  # noqa: N818
    """The run cannot go on; what there is will be judged, and cannot say GO."""


def run(options: RunOptions, say: Say, progress: Callable[[str, float, float], None]) -> int:
    """Run, judge, report; returns the exit code.

    Raises:
        GauntletError: before any load, when something is wrong with the input or the rig.
    """
    prepared = prepare(options)
    if options.dry_run:
        say(describe(prepared))
        return 0
    binary = None
    if prepared.chaos and not options.toxiproxy_url:
        from chaos.server import provide

        binary = provide(say)
    for doubt in doubts(prepared):
        say(f"gate {doubt}")
    was_there = options.out is not None and options.out.exists()
    run_dir = _make_run_dir(options, prepared)
    say(f"run directory {run_dir}")
    try:
        with _signals():
            conductor = _Conductor(prepared, run_dir, binary, say, progress)
            exit_reason = conductor.conduct()
    except (ConfigError, PreflightError):
        if _discard(run_dir, itself=not was_there):
            say(f"nothing ran: the run directory is {'empty again' if was_there else 'removed'}")
        raise
    from loadtests.conductor.report import report

    verdict = report(run_dir, say)
    if exit_reason == "interrupted":
        return INTERRUPTED
    return EXIT_CODES[verdict]


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and Ctrl-C become one exception in the main thread; a second Ctrl-C is not eaten."""

    def interrupt(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise _Interrupted

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _make_run_dir(options: RunOptions, prepared: Prepared) -> Path:
    if options.out is None:
        run_dir = manifest.new_run_dir(Path("runs"), prepared.scenario.name).resolve()
    else:
        run_dir = options.out.resolve()
        try:
            if run_dir.exists() and any(run_dir.iterdir()):
                raise RigError(f"--out {options.out}: the folder is not empty; a run never writes over another")
            (run_dir / "rows").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"--out {options.out}", "", str(error.strerror), "a folder that is empty or new"
            ) from None
    (run_dir / "scenario.yaml").write_bytes(msgspec.yaml.encode(prepared.scenario))
    (run_dir / "contract.yaml").write_text(prepared.contract.text)
    (run_dir / "plan.json").write_text(prepared.plan.to_json())
    return run_dir


def _discard(run_dir: Path, *, itself: bool) -> bool:
    """Remove the folder of a run that never began, or only what we put there; false: there is more in it, and it stays."""
    found = list(run_dir.rglob("*"))
    if any(path.is_file() and path.name not in SET_UP for path in found):
        return False
    for path in sorted(found, reverse=True):  # what is in a folder before the folder
        path.rmdir() if path.is_dir() else path.unlink()
    if itself:
        run_dir.rmdir()
    return True


class _Conductor:
    """Holds what a run has started, so that its end is one place."""

    def __init__(
        self, prepared: Prepared, run_dir: Path, binary: Path | None, say: Say, progress: Callable[[str, float, float], None]
    ) -> None:  # fmt: skip
        self._p, self._dir, self._binary, self._say, self._progress = prepared, run_dir, binary, say, progress
        self._id = manifest.run_id(run_dir)
        self._tag = {TAG: self._id}
        self._guard: Guard | None = None
        self._backend: Backend | None = None
        self._load: Load | None = None
        self._listeners: dict[str, Listener] = {}
        self._nemesis: Nemesis | None = None
        self._journal = Journal(run_dir / "history.jsonl")
        self._reason = "ended"
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
        except (_Interrupted, KeyboardInterrupt):
            self._reason = "interrupted"
            self._say("interrupted: healing, and reporting what there is")
        except _Disorder as error:
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
        urls = [options.toxiproxy_url] if options.toxiproxy_url else []
        self._guard = Guard.start(self._id, self._dir, urls=urls)
        # In a thread of its own: a preflight or an orderly end may last longer than the lease.
        threading.Thread(target=self._beat, args=(self._guard,), name="heartbeat", daemon=True).start()
        target = p.target
        if target is None:
            build = options.labels.get("build", "")
            self._backend = Backend(self._dir, self._tag, options.seed, options.defect, options.token_env, build)
            self._say(
                f"embedded backend at {self._backend.url}"
                + (f", with defect {options.defect}" if options.defect else "")
            )
            target = Target.parse(self._backend.url, p.contract.file.endpoint)
        self._target = target
        self._write_assignment({})
        self._write_manifest()
        self._say("preflight: one connection, one turn")
        seen = preflight(self._dir, self._tag, p.contract)
        self._facts["preflight"] = {"fit": seen["fit"], "steps": seen["steps"], "outcome": seen["outcome"]}
        if seen["fit"] == "silent":
            self._say("preflight: connected, and nothing came back; the run will show it")
        if p.chaos:
            self._open_listeners(target)

    def _beat(self, guard: Guard) -> None:
        while not self._over.wait(BEAT_S):
            guard.beat()

    def _open_listeners(self, target: Target) -> None:
        from chaos.listeners import open_listeners

        options = self._p.options
        self._listeners = open_listeners(
            ["control", *self._p.plan.cohorts], (target.address, target.port), self._id, log_dir=self._dir, binary=self._binary,
            url=options.toxiproxy_url,
        )  # fmt: skip
        self._write_assignment({name: listener.address for name, listener in self._listeners.items()})

    def _write_assignment(self, listeners: dict[str, tuple[str, int]]) -> None:
        p, options = self._p, self._p.options
        self._nonce = getattr(self, "_nonce", "") or manifest.new_nonce()
        one = assignment.Assignment(
            run_dir=str(self._dir), nonce=self._nonce, seed=options.seed, contract=str(self._dir / "contract.yaml"),
            scenario=str(self._dir / "scenario.yaml"), target=self._url(), users=p.scenario.users, listeners=listeners,
            treated_share=p.scenario.treated_share, workers=options.processes, token_env=options.token_env,
            ca=str(Path(options.ca).resolve()) if options.ca else "", resolve=options.resolve,
        )  # fmt: skip
        (self._dir / "assignment.json").write_bytes(msgspec.json.format(msgspec.json.encode(one)))

    def _url(self) -> str:
        return self._p.options.target or (self._backend.url if self._backend else "")

    def _write_manifest(self) -> None:
        p, options = self._p, self._p.options
        windows = [
            {
                "id": w.id, "kind": w.kind, "cohort": w.cohort, "start_ms": w.start_ms, "end_ms": w.end_ms,
                "disconnects": w.fault.disconnects, "swallows": w.fault.disconnects or w.fault.holds,
            }
            for w in p.plan.windows
        ]  # fmt: skip
        toxiproxy = ""
        if self._binary is not None:
            from chaos.binary import version_of

            toxiproxy = str(version_of(self._binary))
        import hashlib

        manifest.write_manifest(
            self._dir,
            {
                "kind": "run", "scenario": p.scenario.name, "contract": p.contract.name, "contract_digest": p.contract.digest,
                "plan_digest": hashlib.sha256(p.plan.to_json().encode()).hexdigest()[:12], "seed": options.seed,
                "nonce": self._nonce, "target": self._target.url if p.target else self._embedded(),
                "users": p.scenario.users, "pace_ms": p.scenario.pace_ms, "workers": options.processes, "labels": options.labels,
                "defect": options.defect, "chaos": p.chaos, "windows": windows, "toxiproxy": toxiproxy or options.toxiproxy_url,
                "phases": [[phase.name, phase.s] for phase in p.scenario.phases],
                "declared_phases": [phase.name for phase in p.declared.phases],
            },
        )  # fmt: skip

    def _embedded(self) -> str:
        planted = f", with planted defect {self._p.options.defect}" if self._p.options.defect else ""
        return f"embedded backend ({self._target.url}){planted}"

    def _run_load(self) -> None:
        p, options = self._p, self._p.options
        self._load = Load(self._dir, self._tag, p.scenario.users, options.processes, self._target.url, web=options.web)
        if self._load.web_url:
            self._say(f"Locust's web UI at {self._load.web_url}")
        self._await(lambda: self._marks("up") >= options.processes, WORKERS_UP_S, "the load processes did not start")
        start_ns = time.monotonic_ns() + START_DELAY_NS
        end_ns = start_ns + int(p.scenario.total_s * NS_PER_S)
        self._journal.append("clock", mono_ns=time.monotonic_ns(), wall_ns=time.time_ns())
        at_ns = start_ns
        for phase in p.scenario.phases:
            self._journal.append("phase", name=phase.name, start_ns=at_ns, end_ns=at_ns + int(phase.s * NS_PER_S))
            at_ns += int(phase.s * NS_PER_S)
        partial = self._dir / "start.json.partial"
        partial.write_text(json.dumps({"start_ns": start_ns}))
        partial.rename(self._dir / "start.json")
        if p.chaos:
            self._start_nemesis(start_ns)
        drain_s = (p.contract.file.turn.deadline_ms + p.contract.file.turn.recovery_ms) / 1000 + DRAIN_MARGIN_S
        limit_s = (end_ns - time.monotonic_ns()) / NS_PER_S + drain_s
        self._await(lambda: self._marks("done") >= options.processes, limit_s, "users did not come to an end", start_ns)
        if self._nemesis is not None and not self._nemesis.join(DRAIN_MARGIN_S):
            raise _Disorder("the faults did not come to an end")

    def _start_nemesis(self, start_ns: int) -> None:
        from chaos.nemesis import Nemesis

        options, p = self._p.options, self._p
        token = assignment.token_for(assignment.token_template(options.token_env), 10**6 + 1)
        dial = self._target.dial(p.contract.file.auth, token, tls_context(self._target.scheme, options.ca))
        self._nemesis = Nemesis(p.plan, self._listeners, self._journal, dial, start_ns)
        self._nemesis.start()

    def _marks(self, end: str) -> int:
        return len(list((self._dir / "rows").glob(f"*.{end}")))

    def _await(self, done: Callable[[], bool], limit_s: float, otherwise: str, start_ns: int = 0) -> None:
        """Poll until done, watching the children."""
        deadline = time.monotonic() + limit_s
        while not done():
            now = time.monotonic()
            if self._guard is not None and not self._guard.alive:
                raise _Disorder("the guard is gone")
            if self._load is None or not self._load.alive:
                raise _Disorder("Locust ended too early, see locust.log")
            if self._backend is not None and not self._backend.alive:
                raise _Disorder("the embedded backend died, see backend.log")
            if self._nemesis is not None and self._nemesis.errors:
                raise _Disorder(f"a fault could not be made: {self._nemesis.errors[0]}")
            if now > deadline:
                raise _Disorder(otherwise)
            if start_ns:
                self._progress(*self._where((time.monotonic_ns() - start_ns) / NS_PER_S))
            time.sleep(POLL_S)

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
        if self._nemesis is not None:
            self._nemesis.stop()
            self._nemesis.join(DRAIN_MARGIN_S)
        if self._load is not None and not self._load.stop() and self._reason == "ended":
            self._reason = "Locust had to be killed"
        if self._listeners:
            from chaos.teardown import teardown

            with contextlib.suppress(GauntletError):
                teardown(self._listeners.values(), self._journal)
        if self._backend is not None:
            self._backend.stop()
            for file in self._dir.glob("backend.sqlite*"):
                file.unlink()
        self._over.set()
        if self._guard is not None:
            self._guard.close()
        self._journal.close()
        with contextlib.suppress(OSError):
            manifest.complete(self._dir, self._reason, **self._facts)
