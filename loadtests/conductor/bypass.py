"""Do users go round Toxiproxy? Then no fault reaches them, and whatever a run shows says nothing of faults.

A canary cannot tell: it goes by the listener. So the load processes' own sockets are looked at.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

import psutil

__all__ = ["Bypass"]

#: seldom, because all sockets are listed each time; and soon, because it matters from the first fault on
FIRST_S, LATER = 1.0, 2.0


class Bypass:
    """Of one run. ``target``: where nobody may be connected; ``listeners``: where they should be."""

    def __init__(
        self, pid: int, target: tuple[str, int], listeners: Mapping[str, tuple[str, int]], now_s: float | None = None
    ) -> None:
        """``pid``: the load's first process; its children are looked at as well."""
        self._pid = pid
        self._target = _numbers(target)
        self._listeners = {number for address in listeners.values() for number in _numbers(address)}
        self._wait_s = FIRST_S
        self._next_s = (time.monotonic() if now_s is None else now_s) + FIRST_S

    def trouble(self, now_s: float) -> str:
        """What is wrong; empty: nothing, or it is not time to look yet."""
        if not self._listeners or now_s < self._next_s:
            return ""
        self._wait_s *= LATER
        self._next_s = now_s + self._wait_s
        ends = [end for end in self._remote_ends() if end in self._target - self._listeners]
        if not ends:
            return ""
        return f"faults do not reach the users: {len(ends)} connections go to {ends[0][0]}:{ends[0][1]} itself, beside Toxiproxy"

    def _remote_ends(self) -> list[tuple[str, int]]:
        try:
            first = psutil.Process(self._pid)
            processes = [first, *first.children(recursive=True)]
        except psutil.Error:
            return []
        return [end for process in processes for end in _ends_of(process)]


def _ends_of(process: psutil.Process) -> list[tuple[str, int]]:
    try:
        found = process.net_connections("tcp")
    except psutil.Error:
        return []
    return [(one.raddr.ip, one.raddr.port) for one in found if one.status == psutil.CONN_ESTABLISHED]


def _numbers(address: tuple[str, int]) -> set[tuple[str, int]]:
    try:
        infos = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {(str(info[4][0]), address[1]) for info in infos}
