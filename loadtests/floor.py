"""The floor of what can be measured here: round trips through our own transport to a server that only echoes, on loopback.

No latency of a run can be below it, and what its slowest take is time that no backend took.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import subprocess
import sys
import time
from collections.abc import Sequence

import gevent
import msgspec

from loadtests.bell import Bell
from loadtests.contract.schema import Auth, Endpoint
from loadtests.dial import Target
from loadtests.transport import Connection, DialError

__all__ = ["Floor", "measured"]

ROUND_TRIPS = 200
LIMIT_S = 5.0
#: as long as an ordinary message
MESSAGE = b'{"type": "echo", "content": "' + b"x" * 200 + b'"}'
LOOPBACK = "127.0.0.1"


class Floor(msgspec.Struct, frozen=True):
    """Of ``round_trips``, in ms, from the send to when the answer was read."""

    round_trips: int
    p50_ms: float
    p99_ms: float
    max_ms: float


def measured() -> Floor | None:
    """None: no echo, and that is no reason not to run."""
    command = [sys.executable, "-P", "-m", "loadtests.floor"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as echo:
        try:
            ready = select.select([echo.stdout], [], [], LIMIT_S)[0] if echo.stdout is not None else []
            port = ready[0].readline().strip() if ready else ""
            return _round_trips(int(port)) if port else None
        except (DialError, OSError, ValueError):
            return None
        finally:
            echo.kill()


def _round_trips(port: int) -> Floor | None:
    bell, heard_ns = Bell(), [0]

    def hear(_: Sequence[bytes], at_ns: int, __: bytes) -> None:
        heard_ns[0] = at_ns
        bell.ring()

    dial = Target.parse(f"ws://{LOOPBACK}:{port}/", Endpoint()).dial(Auth(), None, None)
    connection = Connection(dial, hear, lambda *_: None, lambda *_: bell.ring(), lambda _: None)
    connection.connect(LIMIT_S)
    took_ns = []
    deadline = time.monotonic() + LIMIT_S
    for _ in range(ROUND_TRIPS):
        bell.clear()
        sent_ns = time.monotonic_ns()
        connection.send_text(MESSAGE)
        if not bell.wait(max(0.0, deadline - time.monotonic())) or not connection.is_open:
            break
        took_ns.append(heard_ns[0] - sent_ns)
    connection.abort()
    gevent.sleep(0)
    if not took_ns:
        return None
    took_ns.sort()
    p50, p99, most = (round(took_ns[min(len(took_ns) - 1, int(len(took_ns) * q))] / 1e6, 3) for q in (0.5, 0.99, 1.0))
    return Floor(len(took_ns), p50, p99, most)


async def _echo() -> None:
    from websockets.asyncio.server import ServerConnection, serve  # noqa: PLC0415  # of no use to who only measures

    async def answer(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(answer, LOOPBACK, 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        # Until whoever started us closes our stdin, or is gone.
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_echo())
