"""The parent of a cluster: one process a node at one port, and what may be done to them, asked for by lines on stdin.

``kill K`` (SIGKILL), ``start K``, ``restart K`` (announced), ``roll`` (that, each in turn), ``pause K``, ``resume K``; each is
answered by one line when it is done.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from loadtests.backend.options import ServerOptions, argv_of
from loadtests.backend.planting import defect_named
from loadtests.backend.server import DRAIN, cannot_listen
from loadtests.errors import ConfigError, GauntletError, RigError

__all__ = ["Cluster", "supervise"]

START_S = 30.0
STOP_S = 15.0
MOST_NODES = 16
LISTENING = b"listening "
GOODBYES = (1012, 1001)
#: no line that anybody can write
STOP, END_OF_LINES = "\n", "\n\n"


class Cluster:
    """Nodes by number, from 1. Each deed is done when its call returns."""

    def __init__(self, options: ServerOptions, port: int) -> None:
        self._options = options
        self._port = port
        self._nodes: dict[int, asyncio.subprocess.Process] = {}
        #: whose end was ordered, and the rest is watched
        self._bidden: set[asyncio.subprocess.Process] = set()
        self._watches: set[asyncio.Task[None]] = set()
        self.url = ""
        self.deeds: dict[str, Callable[[int], Awaitable[None]]] = {
            "kill": self.kill, "start": self.start, "restart": self.restart, "pause": self.pause, "resume": self.resume,
        }  # fmt: skip

    @property
    def numbers(self) -> range:
        return range(1, self._options.nodes + 1)

    async def start(self, number: int) -> None:
        """Until it listens.

        Raises:
            RigError: it is up already, or does not come up.
        """
        if self._alive(number):
            raise RigError(f"node {number} is up")
        options = replace(
            self._options, node=f"node-{number}", nodes=1, member=True, port=self._port,
            goodbye_code=GOODBYES[(number - 1) % len(GOODBYES)],
        )  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "loadtests.backend", "--lifeline", *argv_of(options), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._nodes[number] = process
        watch = asyncio.create_task(self._watch(number, process))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        line = b""
        try:
            async with asyncio.timeout(START_S):
                line = await process.stdout.readline() if process.stdout else b""
        except TimeoutError:
            pass
        if not line.startswith(LISTENING):
            await self.kill(number)
            raise RigError(f"node {number} did not start")
        self.url = line.removeprefix(LISTENING).decode().strip()

    async def kill(self, number: int) -> None:
        """SIGKILL, until it is gone."""
        process = self._node(number)
        self._bidden.add(process)
        process.kill()
        await process.wait()

    async def restart(self, number: int) -> None:
        """Announced to its clients, its turns left to the other nodes."""
        process = self._node(number)
        self._bidden.add(process)
        process.send_signal(DRAIN)
        await self._ended(process, STOP_S + self._options.drain_spread_s)
        await self.start(number)

    async def pause(self, number: int) -> None:
        self._node(number).send_signal(signal.SIGSTOP)

    async def resume(self, number: int) -> None:
        self._node(number).send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        living = [self._nodes[number] for number in self._nodes if self._alive(number)]
        self._bidden.update(living)
        for process in living:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        await asyncio.gather(*(self._ended(process, STOP_S) for process in living))

    async def obey(self, words: str) -> str:
        """One line's deed, and the line that answers it."""
        try:
            match words.split():
                case ["roll"]:
                    for number in self.numbers:
                        await self.restart(number)
                case [verb, number] if verb in self.deeds and number.isdecimal():
                    await self.deeds[verb](int(number))
                case _:
                    return f"failed {words}: say roll, or one of {', '.join(self.deeds)} and a node's number"
        except GauntletError as error:
            return f"failed {words}: {error}"
        return f"done {words}"

    async def _watch(self, number: int, process: asyncio.subprocess.Process) -> None:
        """The others go on without it; who looks after them is to know."""
        code = await process.wait()
        if process not in self._bidden:
            print(f"node {number} has ended by itself, code {code}", file=sys.stderr, flush=True)

    def _alive(self, number: int) -> bool:
        return number in self._nodes and self._nodes[number].returncode is None

    def _node(self, number: int) -> asyncio.subprocess.Process:
        if not self._alive(number):
            raise RigError(f"node {number} is not up")
        return self._nodes[number]

    async def _ended(self, process: asyncio.subprocess.Process, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _reserved(options: ServerOptions) -> socket.socket:
    """A port that is ours while nodes come and go; who is bound and does not listen gets no connection."""
    kind = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    holder = socket.socket(kind, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        holder.bind((options.host, options.port))
    except OSError as error:
        holder.close()
        raise cannot_listen(options, error) from None
    return holder


@asynccontextmanager
async def _running(options: ServerOptions) -> AsyncIterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="gauntlet-cluster-") as folder:
        if options.db == ":memory:":
            options = replace(options, db=str(Path(folder) / "log.db"))
        with _reserved(options) as holder:
            cluster = Cluster(options, int(holder.getsockname()[1]))
            try:
                await asyncio.gather(*(cluster.start(number) for number in cluster.numbers))
                yield cluster
            finally:
                await cluster.stop()


def _read_lines(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[str]) -> None:
    # os.read and not sys.stdin: a thread inside its buffer would hold a lock that the interpreter wants at exit.
    rest = b""
    while chunk := os.read(0, 4096):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            loop.call_soon_threadsafe(lines.put_nowait, line.decode("utf-8", "replace").strip())
    loop.call_soon_threadsafe(lines.put_nowait, END_OF_LINES)


async def supervise(options: ServerOptions, *, lifeline: bool) -> None:
    """Until SIGTERM or SIGINT, or with ``lifeline`` until stdin ends; one line on stdout says where it listens.

    Raises:
        ConfigError: an option is impossible.
        RigError: a node does not come up.
    """
    if not 1 <= options.nodes <= MOST_NODES:
        raise ConfigError("--nodes", "", f"{options.nodes}", f"1 to {MOST_NODES}")
    if options.defect:
        defect_named(options.defect)
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lines.put_nowait, STOP)
    async with _running(options) as cluster:
        print(f"listening {cluster.url}", flush=True)
        threading.Thread(target=_read_lines, args=(loop, lines), name="orders", daemon=True).start()
        while True:
            words = await lines.get()
            if words == STOP or (words == END_OF_LINES and lifeline):
                return
            if words.strip():
                print(await cluster.obey(words), flush=True)
