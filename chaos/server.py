"""One private toxiproxy-server process: start it, know where it answers, end it.

Where the binary comes from is the matter of ``binary``.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from chaos.binary import provide
from chaos.ports import free_port
from loadtests.errors import RigError

__all__ = ["ToxiproxyServer", "provide"]

HOST = "127.0.0.1"
READY_S = 10.0
STOP_S = 2.0
#: another process may take the chosen port between the choice and the bind
STARTS = 5


@dataclass(slots=True)
class ToxiproxyServer:
    """A running server; it dies with the run, because the guard finds it by the tag in its environment."""

    binary: Path
    env: Mapping[str, str]
    log_path: Path
    port: int
    process: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(cls, binary: Path, env: Mapping[str, str], log_path: Path, port: int | None = None) -> ToxiproxyServer:
        """Start on a free loopback port (or on ``port``) and wait until the control plane answers.

        Raises:
            RigError: it ended or did not answer in time; the message names its log.
        """
        for _ in range(1 if port else STARTS):
            at = port or free_port(HOST)
            process = _spawn(binary, env, log_path, at)
            if _answers(process, at):
                return cls(binary, env, log_path, at, process)
            _end(process)
        raise RigError(f"{binary} did not start: see {log_path}")

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        """SIGTERM, then SIGKILL; returns when the process is gone."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, for a wedged process; returns when it is gone."""
        _end(self.process)


def _spawn(binary: Path, env: Mapping[str, str], log_path: Path, port: int) -> subprocess.Popen[bytes]:
    with log_path.open("ab") as log:
        try:
            return subprocess.Popen(
                [binary, "-host", HOST, "-port", str(port)],
                # it logs every chunk unless told not to
                env={**env, "LOG_LEVEL": "error"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the conductor, which heals first and ends this process itself
                process_group=0,
            )
        except OSError as error:
            raise RigError(f"{binary} cannot be started: {os.strerror(error.errno or 0)}") from None


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(HOST, port, timeout=1.0)
        try:
            connection.request("GET", "/version")
            if connection.getresponse().status == http.client.OK:
                return _listens(process.pid, port)
        except (OSError, http.client.HTTPException):
            if process.poll() is not None:
                return False
            time.sleep(0.01)
        finally:
            connection.close()
    return False


def _listens(pid: int, port: int) -> bool:
    """Toxiproxy lives on when its port is taken, and then a stranger's server answers in its place."""
    try:
        sockets = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in sockets)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
