"""A user's own commands: run one with a deadline, and revert what a run's ledger says was applied and never reverted.

Whoever reverts holds the ledger's lock meanwhile, so that guard and conductor never run one revert side by side.

Standard library only: the guard does this too, when the conductor is gone. What the commands print is not kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chaos.sweep import TAG, kill_marked

__all__ = [
    "LEDGER",
    "Pending",
    "Reverted",
    "holding",
    "mark",
    "pending",
    "proxies",
    "revert_all",
    "run_command",
    "was_reverted",
]

LEDGER = "history.jsonl"
#: beside a revert's own time, until its lock is let go of
LET_GO_S = 1.0
#: which command of which run a process belongs to. Not the run's tag: what a command starts may have to outlive the run
MARK = "GAUNTLET_COMMAND"
WORDS = 200
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Pending:
    """A command fault that was, or may have been, applied and was not reverted."""

    id: str
    argv: tuple[str, ...]
    timeout_s: float
    #: environment variables that the commands must not see
    without: tuple[str, ...] = ()
    #: its revert was run, and failed
    tried: bool = False


@dataclass(slots=True)
class Reverted:
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def mark(run_id: str, window: str, what: str) -> str:
    return f"{run_id}/{window}/{what}"


def run_command(
    argv: Sequence[str], timeout_s: float, without: Sequence[str], marked: str, stop: threading.Event | None = None
) -> str:
    """Run to the end, without a shell; empty when it exited with 0, else what went wrong. ``stop`` ends it before its time."""
    env = {name: value for name, value in os.environ.items() if name not in {*without, TAG}} | {MARK: marked}
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                list(argv),
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                # all of it can be ended at once
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return f"{argv[0]}: {getattr(error, 'strerror', None) or error}"
        status = _wait(process, timeout_s, stop)
        if status is None:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            stopped = stop is not None and stop.is_set()
            return f"{argv[0]}: {'stopped' if stopped else f'not done in {timeout_s:g} s'}"
        if status == 0:
            return ""
        errors.seek(0)
        lines = errors.read(65_536).decode(errors="replace").strip().splitlines()
        return f"{argv[0]}: exit status {status}" + (f" ({lines[-1][:WORDS]})" if lines else "")


def _wait(process: subprocess.Popen[bytes], timeout_s: float, stop: threading.Event | None) -> int | None:
    """The exit status, or None when the time is up or ``stop`` is set."""
    deadline = time.monotonic() + timeout_s
    while (left_s := deadline - time.monotonic()) > 0 and not (stop is not None and stop.is_set()):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(left_s if stop is None else min(left_s, POLL_S))
    return process.poll()


@contextlib.contextmanager
def holding(path: Path, timeout_s: float) -> Iterator[bool]:
    """The lock of a file, which the kernel lets go of when its holder dies; false: another held it all the time."""
    pause, deadline = threading.Event(), time.monotonic() + timeout_s
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield True  # nobody else finds it either
        return
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    yield False
                    return
                pause.wait(POLL_S)
            else:
                yield True
                return
    finally:
        os.close(file)


def proxies(ledger: Path) -> list[str]:
    """Names of the proxies that the windows of a run's journal were on."""
    return sorted(
        {str(record["proxy"]) for record in _records(ledger) if record.get("type") == "window" and record.get("proxy")}
    )


def pending(ledger: Path) -> list[Pending]:
    """From a run's journal; the last applied is the first to be reverted."""
    left: dict[str, Pending] = {}
    for record in _records(ledger):
        if record.get("type") != "command":
            continue
        name, step, argv = str(record.get("id")), record.get("step"), record.get("revert")
        if step == "applying" and isinstance(argv, list) and argv and all(isinstance(one, str) for one in argv):
            timeout_s, without = record.get("timeout_s"), record.get("without")
            left[name] = Pending(
                name,
                tuple(argv),
                float(timeout_s) if isinstance(timeout_s, int | float) and 0 < timeout_s <= 600 else 30.0,
                tuple(map(str, without)) if isinstance(without, list) else (),
            )
        elif step == "not-reverted" and name in left:
            left[name] = replace(left[name], tried=True)
        elif step == "reverted":
            left.pop(name, None)
    return list(left.values())[::-1]


def was_reverted(ledger: Path, name: str) -> bool:
    return any(
        record.get("type") == "command" and record.get("id") == name and record.get("step") == "reverted"
        for record in _records(ledger)
    )


def revert_all(run_id: str, ledger: Path) -> Reverted:
    """Revert what is pending, each once, and write that into the ledger. A command that is still under way is ended first."""
    reverted = Reverted()
    for one in pending(ledger):
        # A conductor that was stopped while it held the lock holds it on: its revert is ended below, and ours is run.
        with holding(ledger, one.timeout_s + LET_GO_S):
            if all(other.id != one.id for other in pending(ledger)):
                continue
            _revert(run_id, ledger, one, reverted)
    return reverted


def _revert(run_id: str, ledger: Path, one: Pending, reverted: Reverted) -> None:
    steps = [r.get("step") for r in _records(ledger) if r.get("type") == "command" and r.get("id") == one.id]
    # what a finished apply has started is the user's, and may live on
    for what in ("apply", "verify", "revert") if "applied" not in steps else ("verify", "revert"):
        kill_marked(f"{MARK}={mark(run_id, one.id, what)}", {os.getpid()})
    problem = run_command(one.argv, one.timeout_s, one.without, mark(run_id, one.id, "revert"))
    step = "not-reverted" if problem else "reverted"
    with contextlib.suppress(OSError):  # a full disk keeps no revert from being run, nor the next one
        _append(ledger, {"type": "command", "id": one.id, "step": step, "at_ns": time.monotonic_ns()})
    if problem:
        reverted.failed.append(f"{one.id}: {problem}")
    else:
        reverted.done.append(one.id)


def _records(ledger: Path) -> list[dict[str, Any]]:
    try:
        lines = ledger.read_bytes().split(b"\n")
    except OSError:
        return []
    records = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict):
                records.append(record)
    return records


def _append(ledger: Path, record: dict[str, Any]) -> None:
    number = os.open(ledger, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    try:
        size = os.fstat(number).st_size
        # a last line that a crash cut must not swallow this one
        cut = size and os.pread(number, 1, size - 1) != b"\n"
        os.write(number, (b"\n" if cut else b"") + json.dumps(record, sort_keys=True).encode() + b"\n")
        os.fsync(number)
    finally:
        os.close(number)
