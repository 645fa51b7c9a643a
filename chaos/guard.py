"""The guard: a small process that outlives the conductor and ends everything of the run when the conductor is gone.

The child uses the standard library only; it is the conductor's first child and lives in a session of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from chaos.revert import LEDGER, LET_GO_S, pending, proxies, revert_all
from chaos.sweep import DEADLINE_S, TAG, sweep, tagged
from loadtests.errors import RigError

__all__ = ["LOCK", "TAG", "Guard", "main", "sweep", "tagged", "watch"]

READY, BEAT, GOODBYE = b"ready\n", b".", b"q"
READY_S = 10.0
#: a sweep looks at its deadline only between two rounds; a command that is still to be reverted takes its own time
CLOSE_S = 2 * DEADLINE_S
RECORD = "guard.json"
#: locked by the guard as long as the run is conducted, and gone with it
LOCK = "guard.lock"
#: Ctrl-C and a closing terminal are for the conductor; the guard ends when the conductor has ended
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
Reason = Literal["conductor-death", "lease", "orderly"]


@dataclass(slots=True)
class Guard:
    """The conductor's side: a lifeline, a heartbeat, and a goodbye."""

    process: subprocess.Popen[bytes] = field(repr=False)
    run_dir: Path

    @classmethod
    def start(cls, run_id: str, run_dir: Path, lease_s: float = 10.0, urls: Sequence[str] = ()) -> Guard:
        """Start it before anything else of the run, and wait until it watches.

        Raises:
            RigError: it does not come up.
        """
        # with the tag it would find itself, and a nested run's guard would die of the outer one
        env = {name: value for name, value in os.environ.items() if name != TAG}
        arguments = [run_id, str(run_dir.resolve()), str(os.getpid()), str(lease_s), *urls]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "chaos.guard", *arguments],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018  # asked for above
        readable, _, _ = select.select([process.stdout], [], [], READY_S)
        line = process.stdout.readline() if readable else b""
        process.stdout.close()
        if line != READY:
            process.kill()
            words = process.stderr.read().decode(errors="replace").strip().splitlines()
            process.wait()
            raise RigError(f"the guard process did not start: {words[-1] if words else f'silent for {READY_S:g} s'}")
        process.stderr.close()
        return cls(process, run_dir)

    @property
    def alive(self) -> bool:
        """False: it died, or it gave us up for dead; then everything of the run is dead, and so should we be."""
        return self.process.poll() is None

    def beat(self) -> None:
        """Renew the lease; call it at least three times in a lease."""
        self._say(BEAT)

    def close(self) -> None:
        """The run has ended in order: the guard ends what is left over, and goes."""
        # one after the other, each of which may have to wait for ours first
        patience_s = sum(2 * (one.timeout_s + LET_GO_S) for one in pending(self.run_dir / LEDGER))
        self._say(GOODBYE)
        assert self.process.stdin is not None  # noqa: S101
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(CLOSE_S + patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _say(self, word: bytes) -> None:
        assert self.process.stdin is not None  # noqa: S101
        with contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(word)
            self.process.stdin.flush()


def watch(conductor: int, lease_s: float) -> Reason:
    """Wait for the conductor's end: by pipe, and by pidfd, because a forked process may hold the pipe open."""
    try:
        handle = os.pidfd_open(conductor)
    except OSError:
        return "conductor-death"
    if os.getppid() != conductor:
        return "conductor-death"
    poll = select.poll()
    poll.register(sys.stdin.fileno(), select.POLLIN)
    poll.register(handle, select.POLLIN)
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), READY)
    while True:
        woken = {number for number, _ in poll.poll(lease_s * 1000)}
        if not woken:
            return "lease"
        if sys.stdin.fileno() in woken:
            said = os.read(sys.stdin.fileno(), 4096)
            if GOODBYE in said:
                return "orderly"
            if not said:
                return "conductor-death"
        if handle in woken:
            return "conductor-death"


def main(arguments: Sequence[str]) -> None:
    run_id, run_dir, conductor, lease_s, *urls = arguments
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    with _locked(Path(run_dir) / LOCK, {"run": run_id, "process": int(conductor), "guard": os.getpid()}):
        reason = watch(int(conductor), float(lease_s))
        _end(run_id, Path(run_dir), int(conductor), urls, reason)


def _end(run_id: str, run_dir: Path, conductor: int, urls: Sequence[str], reason: Reason) -> None:
    ledger = run_dir / LEDGER
    swept = sweep(run_id, urls, frozenset({conductor}), proxies(ledger))
    record = {"reason": reason, **asdict(swept)}
    _write(run_dir / RECORD, {**record, "to_revert": [one.id for one in pending(ledger)]})
    # Last, because a user's own command may take its time.
    reverted = revert_all(run_id, ledger)
    if reverted.done or reverted.failed:
        _write(run_dir / RECORD, {**record, "to_revert": [], **asdict(reverted)})


@contextlib.contextmanager
def _locked(path: Path, holder: dict[str, object]) -> Iterator[None]:
    """Not a pid alone, which is used again: the kernel lets go of a lock however its holder ends."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(holder).encode(), 0)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(file)


def _write(path: Path, record: dict[str, object]) -> None:
    part = path.with_suffix(".part")
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(record, sort_keys=True) + "\n")
        part.replace(path)


if __name__ == "__main__":
    main(sys.argv[1:])
