"""Ends all that a run left behind: processes that carry its tag, and its proxies in a Toxiproxy that is not ours.

Standard library only, and no list of its own: the tag and the prefix are all it needs, so nothing can be forgotten.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

__all__ = ["TAG", "Swept", "kill_marked", "proxy_prefix", "sweep", "tagged"]

#: the environment variable that every process of a run inherits
TAG = "GAUNTLET_RUN"
PROC = Path("/proc")
ROUNDS = 3
ROUND_S = 0.02
CALL_S = 1.0
DEADLINE_S = 10.0


@dataclass(slots=True)
class Swept:
    """What was found and ended; ``left`` is what would not go."""

    killed: int = 0
    proxies: int = 0
    clean_ms: float = 0.0
    left: list[str] = field(default_factory=list)


def proxy_prefix(run_id: str) -> str:
    return f"gauntlet-{run_id}-"


def sweep(run_id: str, urls: Sequence[str] = (), spare: frozenset[int] = frozenset()) -> Swept:
    """Kill and delete until nothing of the run is found in three rounds on end; never ourselves, never ``spare``.

    Repeated, because a fork or a call to Toxiproxy may be in flight when its author dies.
    """
    if not run_id:
        raise ValueError("an empty run id would match strangers")
    begun_ns, swept, quiet = time.monotonic_ns(), Swept(), 0
    hit: set[int] = set()
    while quiet < ROUNDS:
        killed = kill_marked(f"{TAG}={run_id}", spare | {os.getpid()})
        hit |= killed
        swept.killed = len(hit)
        swept.left = [f"process {pid}" for pid in sorted(killed)]
        deleted = 0
        for url in urls:
            try:
                deleted += _delete_proxies(url, proxy_prefix(run_id))
            except ConnectionRefusedError:
                continue  # proxies live in that process's memory only
            except (OSError, ValueError, http.client.HTTPException) as error:
                swept.left.append(f"Toxiproxy at {url}: {type(error).__name__}")
        swept.proxies += deleted
        quiet = 0 if swept.left or deleted else quiet + 1
        if time.monotonic_ns() - begun_ns > DEADLINE_S * 1e9:
            break
        time.sleep(ROUND_S)
    swept.clean_ms = round((time.monotonic_ns() - begun_ns) / 1e6, 1)
    return swept


def tagged(run_id: str) -> list[int]:
    """The living processes that carry the run's tag."""
    return [pid for pid in _pids() if _carries(pid, f"{TAG}={run_id}")]


def kill_marked(mark: str, spare: frozenset[int] | set[int] = frozenset()) -> set[int]:
    """SIGKILL every process whose environment holds ``NAME=value``."""
    killed = set()
    for pid in _pids():
        if pid in spare:
            continue
        try:
            # opened before the environment is read: a pid that is used again cannot be hit
            handle = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            if _carries(pid, mark):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                killed.add(pid)
        except OSError:
            continue
        finally:
            os.close(handle)
    return killed


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _carries(pid: int, mark: str) -> bool:
    """A zombie's environment reads as empty, so what is dead but not yet reaped does not count."""
    try:
        environ = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return mark.encode() in environ.split(b"\0")


def _delete_proxies(url: str, prefix: str) -> int:
    """Disable, then delete: a toxic that hangs cannot stop a disable."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=CALL_S)
    try:
        names = [name for name in _call(connection, "GET", "/proxies") if name.startswith(prefix)]
    finally:
        connection.close()
    for name in names:
        path = f"/proxies/{quote(name, safe='')}"
        for method, body in (("POST", '{"enabled": false}'), ("DELETE", None)):
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=CALL_S)
            # another round looks again
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                _call(connection, method, path, body)
            connection.close()
    return len(names)


def _call(connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> list[str]:
    """The keys of the answer."""
    connection.request(method, path, body, {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read() or b"{}")
    return [str(key) for key in answer] if isinstance(answer, dict) else []
