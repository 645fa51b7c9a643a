"""Ends all that a run left behind: processes that carry its tag, and its proxies in a Toxiproxy that is not ours.

Standard library only, and no list of its own: the tag and the prefix are all it needs, so nothing can be forgotten. Names
that are known beforehand help where a Toxiproxy cannot list what it has.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

__all__ = ["COHORTS", "DEADLINE_S", "TAG", "Swept", "kill_marked", "proxy_prefix", "sweep", "tagged"]

#: the environment variable that every process of a run inherits
TAG = "GAUNTLET_RUN"
#: every listener that a run can have; asking for one that it had not does no harm
COHORTS = ("control", "treated", "treated-alt", "treated-hs")
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


def sweep(
    run_id: str, urls: Sequence[str] = (), spare: frozenset[int] = frozenset(), known: Sequence[str] = ()
) -> Swept:
    """Kill and delete until nothing of the run is found in three rounds on end; never ourselves, never ``spare``; ``known``
    are names of proxies that the run is known to have had.

    Repeated, because a fork or a call to Toxiproxy may be in flight when its author dies.
    """
    if not run_id:
        raise ValueError("an empty run id would match strangers")
    begun_ns, swept, quiet = time.monotonic_ns(), Swept(), 0
    hit: set[int] = set()
    prefix = proxy_prefix(run_id)
    names = dict.fromkeys(
        [*(prefix + cohort for cohort in COHORTS), *(name for name in known if name.startswith(prefix))]
    )
    places = [_Place(url, prefix, list(names)) for url in urls]
    while quiet < ROUNDS:
        killed = kill_marked(f"{TAG}={run_id}", spare | {os.getpid()})
        hit |= killed
        swept.killed = len(hit)
        swept.left = [f"process {pid}" for pid in sorted(killed)]
        deleted = 0
        for place in places:
            try:
                deleted += place.clear(swept.left)
            except ConnectionRefusedError:
                continue  # proxies live in that process's memory only
            except (OSError, ValueError, http.client.HTTPException) as error:
                swept.left.append(f"Toxiproxy at {place.url}: {type(error).__name__}")
        swept.proxies += deleted
        quiet = 0 if swept.left or deleted else quiet + 1
        if time.monotonic_ns() - begun_ns > DEADLINE_S * 1e9:
            break
        time.sleep(ROUND_S)
    swept.left += [
        f"proxy {n} at {p.url}, which hangs: restart that Toxiproxy" for p in places for n in sorted(p.stuck)
    ]
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


@dataclass(slots=True)
class _Place:
    """A Toxiproxy that is not ours."""

    url: str
    prefix: str
    names: list[str]
    #: one that hangs keeps the list of all from being given; what is known by name goes all the same
    mute: bool = False
    #: those that no further round can move
    stuck: set[str] = field(default_factory=set)

    def clear(self, left: list[str]) -> int:
        """How many proxies went; what would not is added to ``left``.

        Raises:
            OSError: nobody answers.
            ValueError: no Toxiproxy does.
        """
        # This asks for no proxy: a server that stands still is not asked for each.
        self._call("GET", "/version", plain=True)
        gone = self._remove([name for name in self.names if name not in self.stuck], left)
        if self.mute and not gone:
            return 0
        try:
            listed = self._call("GET", "/proxies")
        except TimeoutError:
            self.mute = True
            return gone
        self.mute = False
        more = [name for name in listed or [] if name.startswith(self.prefix) and name not in self.names]
        return gone + self._remove(more, left)

    def _remove(self, names: Sequence[str], left: list[str]) -> int:
        """Disable all, then delete: a toxic that hangs cannot stop a disable, only its answer."""
        hangs = {name: not self._try("POST", name, '{"enabled": false}') for name in names}
        gone = 0
        # What hangs goes last, so that it keeps no other.
        for name in sorted(names, key=hangs.__getitem__):
            if hangs[name] and not self._can_be_deleted(name):
                self.stuck.add(name)
            elif (done := self._try("DELETE", name)) == "done":
                gone += 1
            elif done is None:
                left.append(f"proxy {name} at {self.url}")
        return gone

    def _can_be_deleted(self, name: str) -> bool:
        """False: it hangs with a client in its door. A delete would hang too, and hold the list of all proxies for good."""
        try:
            # No address, so it changes nothing; and it is refused only by whoever got hold of the proxy, as a delete must.
            self._call("POST", f"/proxies/{quote(name, safe='')}", '{"listen": "nowhere"}')
        except TimeoutError:
            return False
        except (OSError, ValueError, http.client.HTTPException):
            return True
        return True

    def _try(self, method: str, name: str, body: str | None = None) -> Literal["done", "absent"] | None:
        """None: it failed, which another round may mend, and which keeps no other proxy from its turn.

        Raises:
            ConnectionRefusedError: nobody is there.
        """
        try:
            return "absent" if self._call(method, f"/proxies/{quote(name, safe='')}", body) is None else "done"
        except ConnectionRefusedError:
            raise
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def _call(self, method: str, path: str, body: str | None = None, *, plain: bool = False) -> list[str] | None:
        """The keys of the answer, unless it is ``plain``; None: there is no such thing."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=CALL_S)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status == http.client.NOT_FOUND:
            return None
        if response.status == http.client.SERVICE_UNAVAILABLE:
            raise TimeoutError("503, the control plane hangs")
        if response.status >= http.client.BAD_REQUEST:
            raise ValueError(f"status {response.status}")
        answer = [] if plain else json.loads(content or b"{}")
        return [str(key) for key in answer] if isinstance(answer, dict) else []
