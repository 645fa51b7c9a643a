"""The run's child processes: the embedded backend and Locust. Each carries the run's tag, so that the guard finds it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from loadtests.assignment import ENVIRONMENT
from loadtests.errors import RigError

__all__ = ["Backend", "Load", "ask_probe"]

BACKEND_START_S = 30.0
STOP_S = 20.0
LISTENING = "listening "


def _environment(tag: Mapping[str, str], without: str = "") -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name != without}, **tag}


def _end(process: subprocess.Popen[bytes], wait_s: float) -> None:
    """SIGTERM, then SIGKILL; returns when it is gone."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Backend:
    """The embedded reference backend, with what faults may do to it. Each deed is done when its call returns."""

    def __init__(
        self, run_dir: Path, tag: Mapping[str, str], seed: int, defect: str, token_env: str, build: str,
        more: Mapping[str, float | str] = MappingProxyType({}), *, comes_back: bool = False,
    ) -> None:  # fmt: skip
        """Start it and wait until it listens. ``more``: its own options; ``comes_back``: it will be started again, on the
        same port and database.

        Raises:
            RigError: it did not come up; its log says why.
        """
        self._log = run_dir / "backend.log"
        self._env = _environment(tag, without=token_env)
        port = 0
        if comes_back:
            from chaos.ports import free_port

            # Below the range of clients' ports: while it is down, no connection may be given its port, or reach itself.
            port = free_port()
        options = {
            "host": "127.0.0.1", "port": port, "seed": seed, "db": run_dir / "backend.sqlite", "build": build or "embedded",
            **({"defect": defect} if defect else {}), **more,
        }  # fmt: skip
        words = [
            word
            for name, value in options.items()
            for word in (f"--{name.removesuffix('_s').replace('_', '-')}", str(value))
        ]
        self._command = [sys.executable, "-P", "-m", "loadtests.backend", "--lifeline", *words]
        self._meant_down = False
        self.url = self._spawn()

    def _spawn(self) -> str:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=self._env
            )
        return self._listening()

    def _listening(self) -> str:
        stdout = self._process.stdout
        if stdout is None:
            raise RigError("the embedded backend has no output")
        readable, _, _ = select.select([stdout], [], [], BACKEND_START_S)
        line = stdout.readline().decode() if readable else ""
        if not line.startswith(LISTENING):
            _end(self._process, 1.0)
            raise RigError(f"the embedded backend did not start: see {self._log}")
        return line.removeprefix(LISTENING).strip()

    @property
    def alive(self) -> bool:
        """False: it is gone, and no fault has done that."""
        return self._meant_down or self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL: nothing is said goodbye to, nothing is written that was not."""
        self._meant_down = True
        self._process.kill()
        self._process.wait()
        self._close()

    def start(self) -> None:
        """After ``kill``: again, at the same address, with what its database holds.

        Raises:
            RigError: it did not come up.
        """
        self._spawn()
        self._meant_down = False

    def pause(self) -> None:
        """SIGSTOP: connections stay open, and nobody is there."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """An orderly end, as at a rollout, and at once a new start.

        Raises:
            RigError: it did not come up again.
        """
        self._meant_down = True
        self.stop()
        self.start()

    def stop(self) -> None:
        self.resume()  # who is stopped hears no other signal
        _end(self._process, STOP_S)
        self._close()

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class Load:
    """Locust, with one worker or a master and several."""

    def __init__(self, run_dir: Path, tag: Mapping[str, str], users: int, workers: int, url: str, *, web: bool) -> None:
        from importlib.util import find_spec

        from chaos.ports import free_port

        locustfile = Path(str(getattr(find_spec("loadtests"), "origin", ""))).parent / "locustfile.py"
        command = [
            sys.executable,
            "-P",
            "-m",
            "locust",
            "-f",
            str(locustfile),
            "--host",
            url,
            "-u",
            str(users),
            "-r",
            str(users),
        ]
        self.web_url = ""
        if web:
            port = free_port()
            command += ["--autostart", "--web-host", "127.0.0.1", "--web-port", str(port)]
            self.web_url = f"http://127.0.0.1:{port}"
        else:
            command += ["--headless", "--only-summary"]
        if workers > 1:
            at = str(free_port())
            command += ["--processes", str(workers), "--master-bind-host", "127.0.0.1", "--master-bind-port", at]
            command += ["--master-host", "127.0.0.1", "--master-port", at]
        self.log = run_dir / "locust.log"
        env = _environment({**tag, ENVIRONMENT: str(run_dir / "assignment.json"), "PYTHONUNBUFFERED": "1"})
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=run_dir,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> bool:
        """Ask for an orderly end; false: it had to be killed."""
        _end(self._process, STOP_S)
        return self._process.returncode != -signal.SIGKILL


def ask_probe(run_dir: Path, tag: Mapping[str, str], limit_s: float) -> bytes:
    """The preflight in a process of its own, since it runs on gevent; its one line of JSON.

    Raises:
        RigError: it crashed or hung.
    """
    command = [sys.executable, "-P", "-m", "loadtests.probe", str(run_dir / "assignment.json")]
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=_environment(tag), timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise RigError(f"the preflight did not end within {time.monotonic() - began:.0f} s") from None
    lines = done.stdout.strip().splitlines()
    if not lines:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise RigError(f"the preflight crashed: {words[-1] if words else 'no output'}")
    return lines[-1]
