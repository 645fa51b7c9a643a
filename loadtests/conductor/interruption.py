"""Ctrl-C and SIGTERM as one exception, so that a run stops its load, heals, and still reports."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

__all__ = ["Interrupted", "interruptible"]


class Interrupted(Exception):  # noqa: N818  # an end, not an error
    """Somebody wants the run to end."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and Ctrl-C become one exception in the main thread. Then only a second Ctrl-C is heard."""

    def interrupt(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Whoever cancels a job often sends one after the other; the end that has begun is what is asked for.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
