"""The run's child processes: the embedded backend and Locust. Each carries the run's tag, so that the guard finds it."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from loadtests.assignment import ENVIRONMENT
from loadtests.errors import RigError

__all__ = ["Backend", "Load", "ask_probe"]

BACKEND_START_S = 30.0
STOP_S = 20.0
#: an order to a cluster is answered by then: a node is killed, has started, or has ended in order and started
KILLED_S, STARTED_S, RESTARTED_S = 5.0, BACKEND_START_S + 5.0, STOP_S + BACKEND_START_S
LISTENING, DONE = "listening ", "done "


def _environment(tag: Mapping[str, str], without: str = "") -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name != without}, **tag}


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To it and to those that it has started; no longer once it has ended, since its number may be another's by then."""
    if process.poll() is None:
        os.killpg(process.pid, number)


def _end(process: subprocess.Popen[bytes], wait_s: float, *, leads: bool = False) -> None:
    """SIGTERM, then SIGKILL, with ``leads`` to its whole group; returns when it is gone."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        if leads:
            _signal_group(process, signal.SIGKILL)
        else:
            process.kill()
        process.wait()


@contextlib.contextmanager
def _children(pid: int) -> Iterator[list[int]]:
    """Descriptors of a process's children, each readable once its child is gone."""
    handles: list[int] = []
    try:
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                handles.append(os.pidfd_open(int(child)))
        yield list(handles)
    finally:
        for handle in handles:
            os.close(handle)


class Backend:
    """The embedded reference backend, with what faults may do to it: one process, or with the option ``nodes`` the parent of
    several. Each deed is done when its call returns.
    """

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
        self._nodes = int(more.get("nodes", 1))
        #: the node that was killed last; before the first time the last one, so that the first one comes first
        self._victim = self._nodes
        self._meant_down = False
        #: one order at a time: each is one line, and so is its answer
        self._ordering = threading.Lock()
        self._unanswered = 0
        self.url = self._spawn()

    def _spawn(self) -> str:
        with self._log.open("ab") as log:
            # Unbuffered, so that what is still to be read is what select sees; a group, so that a signal reaches all nodes.
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=self._env, bufsize=0, process_group=0,
            )  # fmt: skip
        self._unanswered = 0
        line = self._line(BACKEND_START_S)
        if not line.startswith(LISTENING):
            _end(self._process, 1.0, leads=True)
            raise RigError(f"the embedded backend did not start: see {self._log}")
        return line.removeprefix(LISTENING).strip()

    def _line(self, within_s: float) -> str:
        """The next line that it says; empty: there is none, or it has ended."""
        stdout = self._process.stdout
        if stdout is None:
            raise RigError("the embedded backend has no output")
        readable, _, _ = select.select([stdout], [], [], max(0.0, within_s))
        return stdout.readline().decode() if readable else ""

    def _order(self, words: str, within_s: float) -> None:
        """One line to a cluster's parent.

        Raises:
            RigError: there is no cluster, it failed, or there was no answer in time.
        """
        if self._nodes < 2:
            raise RigError(f"{words}: the embedded backend is one process; give it nodes")
        with self._ordering:
            deadline = time.monotonic() + within_s
            try:
                answer = self._asked(words, deadline)
            except (OSError, ValueError):  # it has ended, or its pipes are closed
                answer = ""
        if not answer.startswith(DONE):
            problem = answer.strip() or f"no answer to {words!r} within {within_s:g} s"
            raise RigError(f"the embedded backend: {problem}; see {self._log}")

    def _asked(self, words: str, deadline: float) -> str:
        if self._process.stdin is not None:
            self._process.stdin.write(f"{words}\n".encode())
        self._unanswered += 1
        line = ""
        while self._unanswered:  # the answers to orders that were given up come first
            line = self._line(deadline - time.monotonic())
            if not line:
                return ""
            self._unanswered -= 1
        return line

    @property
    def alive(self) -> bool:
        """False: it is gone, and no fault has done that."""
        return self._meant_down or self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL: nothing is said goodbye to, nothing is written that was not."""
        self._meant_down = True
        with _children(self._process.pid) as nodes:
            _signal_group(self._process, signal.SIGKILL)
            self._process.wait()
            # Until each is gone its socket still takes connections, which then find nobody.
            deadline, left = time.monotonic() + KILLED_S, set(nodes)
            while left and time.monotonic() < deadline:
                left.difference_update(select.select(left, [], [], max(0.0, deadline - time.monotonic()))[0])
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
        _signal_group(self._process, signal.SIGSTOP)

    def resume(self) -> None:
        _signal_group(self._process, signal.SIGCONT)

    def restart(self) -> None:
        """An orderly end, as at a rollout, and at once a new start.

        Raises:
            RigError: it did not come up again.
        """
        self._meant_down = True
        self.stop()
        self.start()

    def kill_node(self) -> None:
        """SIGKILL to one node, each time to the next: who was cut from the last one is with another now.

        Raises:
            RigError: it was not up, there is no cluster, or its parent did not answer.
        """
        number = self._victim % self._nodes + 1
        self._order(f"kill {number}", KILLED_S)
        self._victim = number

    def start_node(self) -> None:
        """After ``kill_node``: the same one, until it listens again.

        Raises:
            RigError: it did not come up, there is no cluster, or its parent did not answer.
        """
        self._order(f"start {self._victim}", STARTED_S)

    def roll(self) -> None:
        """Each node in turn is restarted, and announces it to its clients.

        Raises:
            RigError: one did not come up again, there is no cluster, or its parent did not answer.
        """
        self._order("roll", self._nodes * RESTARTED_S)

    def stop(self) -> None:
        self.resume()  # who is stopped hears no other signal
        _end(self._process, STOP_S, leads=True)
        self._close()

    def _close(self) -> None:
        # Who waits for an answer has by now read that there is none: the other end is gone.
        with self._ordering:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()


class Load:
    """Locust, with one worker or a master and several. ``among``: of how many load processes on all hosts the workers are a part."""

    def __init__(
        self, run_dir: Path, tag: Mapping[str, str], users: int, workers: int, url: str, *, web: bool, among: int = 0
    ) -> None:
        from importlib.util import find_spec

        from chaos.ports import free_port

        locustfile = Path(str(getattr(find_spec("loadtests"), "origin", ""))).parent / "locustfile.py"
        # Whichever worker Locust gives one more: each takes those that are its own, and no others.
        most = math.ceil(users / (among or workers))
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
            str(most * workers),
            "-r",
            str(most * workers),
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
