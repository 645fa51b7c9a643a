"""One run a target at a time: a lock file that the kernel lets go of when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from loadtests.errors import RigError

__all__ = ["Lease", "lease_dir"]

PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
OURS_ONLY = 0o700


def lease_dir() -> Path:
    """The user's own runtime folder; without one, a folder of theirs among the temporary files.

    Raises:
        RigError: somebody else has that folder.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    path = Path(runtime) / "gauntlet" if runtime else Path(tempfile.gettempdir()) / f"gauntlet-{os.getuid()}"
    try:
        path.mkdir(mode=OURS_ONLY, parents=True, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        raise RigError(f"{path} cannot be used for locks: {error.strerror}; set XDG_RUNTIME_DIR") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise RigError(f"{path} is not ours; set XDG_RUNTIME_DIR to a folder of your own")
    return path


@dataclass(slots=True)
class Lease:
    """Held until ``close``, or until this process is no more."""

    path: Path
    _file: int

    @classmethod
    def take(cls, target: str, run_id: str, say: Callable[[str], None]) -> Lease:
        """Take the lease of a target's URL; one whose holder has died is taken over, and that is said.

        Raises:
            RigError: a run that lives has it.
        """
        path = lease_dir() / f"{_key(target)}.lease"
        # Not by O_EXCL and a pid: a pid is used again, a lock is not.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(file)
            os.close(file)
            who = f"run {holder['run']} (process {holder['pid']})" if holder else "another run"
            raise RigError(f"{who} is on this target; wait for its end, two at once would measure each other") from None
        if left := _holder(file):
            say(
                f"took over from run {left['run']}, whose process {left['pid']} is gone; gauntlet chaos cleanup RUN ends what it left"
            )
        _write(file, {"run": run_id, "pid": os.getpid()})
        return cls(path, file)

    def close(self) -> None:
        if self._file >= 0:
            # emptied, not removed: another may have opened it already
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _key(target: str) -> str:
    """Host and port: two paths of one backend are one backend."""
    parts = urlsplit(target)
    host = (parts.hostname or "").lower()
    port = parts.port or PORTS.get(parts.scheme, 0)
    return hashlib.sha256(f"{'loopback' if host in LOOPBACK else host}:{port}".encode()).hexdigest()[:16]


def _holder(file: int) -> dict[str, Any] | None:
    try:
        data = json.loads(os.pread(file, 4096, 0) or b"null")
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and {"run", "pid"} <= data.keys() else None


def _write(file: int, data: dict[str, Any]) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(data).encode(), 0)
