"""One Toxiproxy listener a cohort, each in a process of its own: a wedge or a restart in one cannot touch another.

With a Toxiproxy that is not ours, all listeners stand in that one, under names that say whose they are.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from chaos.ports import free_port
from chaos.server import ToxiproxyServer
from chaos.sweep import TAG, proxy_prefix
from chaos.toxiproxy import Control, ControlError, Refused
from loadtests.errors import RigError

__all__ = ["Listener", "open_listeners"]

LOOPBACK = "127.0.0.1"
#: another process may take the chosen port between the choice and the bind
TRIES = 5


@dataclass(slots=True)
class Listener:
    """Where a cohort dials, and who controls the way from there to ``upstream``."""

    cohort: str
    address: tuple[str, int]
    upstream: tuple[str, int]
    control: Control
    proxy: str
    #: None: the Toxiproxy is not ours, and cannot be restarted
    server: ToxiproxyServer | None
    #: its connections end by RST when it is closed
    armed: bool = False

    def restart(self) -> None:
        """Replace a wedged process by a new one on the same ports; every connection of this cohort ends.

        Raises:
            RigError: it is not ours, or it does not come back.
        """
        if self.server is None:
            raise RigError(f"Toxiproxy at {self.control.url} hangs and is not ours to restart: restart it by hand")
        old = self.server
        old.kill()
        self.server = ToxiproxyServer.start(old.binary, old.env, old.log_path, old.port)
        self.control.create(self.proxy, _join(self.address), _join(self.upstream))
        if self.armed:
            self.control.arm(self.proxy)

    def close(self) -> None:
        if self.server is not None:
            self.server.stop()


def open_listeners(
    cohorts: Sequence[str],
    upstream: tuple[str, int],
    run_id: str,
    *,
    log_dir: Path,
    binary: Path | None = None,
    url: str = "",
    armed: Collection[str] = (),
) -> dict[str, Listener]:
    """A listener for each cohort: private processes of ``binary``, or proxies in the Toxiproxy at ``url``; those of the
    cohorts in ``armed`` are made ready for resets before anybody connects.

    Raises:
        RigError: a process or a listener does not come up; what was opened is closed again.
    """
    if (binary is None) == (not url):
        raise ValueError("either a binary or a url")
    opened: dict[str, Listener] = {}
    try:
        for cohort in cohorts:
            opened[cohort] = listener = _open(cohort, upstream, run_id, log_dir, binary, url)
            if cohort in armed:
                listener.control.arm(listener.proxy)
                listener.armed = True
    except RigError:
        for listener in opened.values():
            with contextlib.suppress(RigError):
                listener.control.delete(listener.proxy)
            listener.close()
        raise
    return opened


def _open(
    cohort: str, upstream: tuple[str, int], run_id: str, log_dir: Path, binary: Path | None, url: str
) -> Listener:
    server = None
    if binary is not None:
        # the tag is how the guard finds this process; nothing else of the environment, which may hold a token
        server = ToxiproxyServer.start(binary, {TAG: run_id}, log_dir / f"toxiproxy-{cohort}.log")
    try:
        control = Control(server.url if server else url, proxy_prefix(run_id))
        host = LOOPBACK if server else _numeric(url)
        name = proxy_prefix(run_id) + cohort
        return Listener(cohort, _create(control, name, host, upstream), upstream, control, name, server)
    except RigError:
        if server:
            server.stop()
        raise


def _create(control: Control, name: str, host: str, upstream: tuple[str, int]) -> tuple[str, int]:
    for attempt in range(TRIES):
        address = (host, free_port(host) if host in {LOOPBACK, "::1"} else free_port())
        try:
            control.create(name, _join(address), _join(upstream))
        except Refused:
            if attempt == TRIES - 1:
                raise
        except ControlError:
            # it may be there all the same: its answer was late, or could not be read back
            with contextlib.suppress(ControlError):
                control.delete(name)
            raise
        else:
            return address
    raise AssertionError("the last attempt returns or raises")


def _numeric(url: str) -> str:
    """The address that ``url`` names: Toxiproxy reads back numbers, not names."""
    parts = urlsplit(url)
    try:
        infos = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RigError(f"--toxiproxy-url {url}: {error.strerror}; give http://HOST:PORT of a Toxiproxy") from None
    return str(min(infos, key=lambda info: info[0] != socket.AF_INET)[4][0])


def _join(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
