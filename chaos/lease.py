"""One run a target at a time: a lock file that the kernel lets go of when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import socket
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from loadtests.errors import BusyError, RigError

__all__ = ["Lease", "lease_dir"]

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


class Lease:
    """Held until ``close``, or until this process is no more."""

    def __init__(self, files: list[int]) -> None:
        self._files = files

    @classmethod
    def take(cls, host: str, port: int, run_id: str, say: Callable[[str], None]) -> Lease:
        """Take the lease of all addresses that a target has; one whose holder has died is taken over, and that is said.

        Raises:
            BusyError: a run that lives has one of them.
            RigError: there is no place for locks.
        """
        files: list[int] = []
        try:
            for name in sorted(_machines(host)):
                key = hashlib.sha256(f"{name}:{port}".encode()).hexdigest()[:16]
                files.append(_locked(lease_dir() / f"{key}.lease"))
        except BaseException:
            for file in files:
                os.close(file)
            raise
        left = {holder["run"]: holder["pid"] for file in files if (holder := _holder(file))}
        for run, pid in left.items():
            say(f"took over from run {run}, whose process {pid} is gone; gauntlet chaos cleanup RUN ends what it left")
        for file in files:
            _write(file, {"run": run_id, "pid": os.getpid()})
        return cls(files)

    def close(self) -> None:
        """Idempotent."""
        files, self._files = self._files, []
        for file in files:
            # emptied, not removed: another may have opened it already
            with contextlib.suppress(OSError):
                os.ftruncate(file, 0)
            os.close(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _locked(path: Path) -> int:
    # Not by O_EXCL and a pid: a pid is used again, a lock is not.
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = _holder(file)
        os.close(file)
        who = f"run {holder['run']} (process {holder['pid']})" if holder else "another run"
        raise BusyError(f"{who} is on this target; wait for its end, two at once would measure each other") from None
    return file


def _machines(host: str) -> set[str]:
    """By address, since one machine has many names; by name where it has no address yet. All of loopback is one."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return {"loopback" if host == "localhost" else host.lower().rstrip(".")}
    return {_machine(ipaddress.ip_address(str(one).partition("%")[0])) for one in found}


def _machine(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    plain = mapped or address
    return "loopback" if plain.is_loopback else str(plain)


def _holder(file: int) -> dict[str, Any] | None:
    try:
        data = json.loads(os.pread(file, 4096, 0) or b"null")
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and {"run", "pid"} <= data.keys() else None


def _write(file: int, data: dict[str, Any]) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(data).encode(), 0)
