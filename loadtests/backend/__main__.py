"""``python -P -m loadtests.backend``: the reference backend as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import threading
from pathlib import Path

from loadtests.backend.agents import POLICIES
from loadtests.backend.defects import PLANTABLE
from loadtests.backend.frames import SHAPES
from loadtests.backend.options import shares_of
from loadtests.backend.planting import SPARED_TURNS
from loadtests.backend.server import ServerOptions, run
from loadtests.backend.supervisor import supervise
from loadtests.errors import GauntletError

__all__ = ["main", "parse"]


def parse(arguments: list[str]) -> tuple[ServerOptions, bool]:
    """The options, and whether stdin is the lifeline."""
    parser = argparse.ArgumentParser(prog="loadtests.backend", description="The embedded reference backend.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--db", default=":memory:", help="the event log's file, or :memory:")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--defect", default="", metavar="NAME", help="one of " + ", ".join(PLANTABLE))
    parser.add_argument("--defect-share", type=float, default=0.1)
    parser.add_argument("--spared-turns", type=int, default=SPARED_TURNS, help="so many turns are never hit")
    parser.add_argument("--shape", choices=SHAPES, default="flat")
    parser.add_argument("--require-token", action="store_true")
    parser.add_argument(
        "--era-file", type=Path, metavar="FILE", help="holds a number: tokens USER.NUMBER of a smaller one have expired"
    )
    parser.add_argument(
        "--outcome", action="append", default=[], metavar="STATUS=SHARE", help="a share of turns that end otherwise"
    )
    parser.add_argument("--concurrent", default="", choices=("", *POLICIES), help="a message while a turn is under way")
    parser.add_argument(
        "--event-version", action="append", default=[], metavar="VERSION", help="of events; several are mixed by turns"
    )
    parser.add_argument(
        "--at-once", type=int, default=0, help="so many turns run at a time, one more fails; 0: any number"
    )
    parser.add_argument("--ping-interval", dest="ping_interval_s", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--ping-timeout", dest="ping_timeout_s", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--build", default="reference", metavar="LABEL")
    parser.add_argument("--node", default="node-1", metavar="LABEL")
    parser.add_argument("--nodes", type=int, default=1, help="so many processes on one log, at one port")
    parser.add_argument("--drain-spread", dest="drain_spread_s", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--goodbye-code", type=int, default=1012, help=argparse.SUPPRESS)
    parser.add_argument("--member", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--lifeline", action="store_true", help="exit when stdin ends")
    values = vars(parser.parse_args(arguments))
    lifeline = bool(values.pop("lifeline"))
    values["outcomes"] = shares_of(values.pop("outcome"))
    values["event_versions"] = tuple(values.pop("event_version"))
    return ServerOptions(**values), lifeline


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    # os.read and not sys.stdin: a thread inside its buffer would hold a lock that the interpreter wants at exit.
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(stop.set)


async def _serve(options: ServerOptions, *, lifeline: bool) -> None:
    if options.nodes != 1:
        await supervise(options, lifeline=lifeline)
        return
    stop = asyncio.Event()
    if lifeline:
        watch = (asyncio.get_running_loop(), stop)
        threading.Thread(target=_watch_stdin, args=watch, name="lifeline", daemon=True).start()
    await run(options, stop)


def main(arguments: list[str] | None = None) -> int:
    try:
        options, lifeline = parse(sys.argv[1:] if arguments is None else arguments)
        asyncio.run(_serve(options, lifeline=lifeline))
    except GauntletError as error:
        print(f"loadtests.backend: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
