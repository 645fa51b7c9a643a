"""Waiting for a run while watching all of its parts: whichever breaks first says why the run cannot go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

__all__ = ["Disorder", "Drained", "await_all"]

POLL_S = 0.1


class Disorder(Exception):  # noqa: N818  # an end, not an error
    """The run cannot go on; what there is will be judged, and cannot say GO."""


class Drained(Exception):  # noqa: N818  # an end, not an error
    """The run is to end before its time, and in order."""


def await_all(
    done: Callable[[], bool],
    limit_s: float,
    otherwise: str,
    watched: Sequence[Callable[[], str]],
    tick: Callable[[], None] | None = None,
) -> None:
    """Poll until done. ``watched``: each says what is wrong with its part, or nothing. ``tick``: shows how far it is.

    Raises:
        Disorder: a part broke, or the time is over (``otherwise``).
    """
    deadline = time.monotonic() + limit_s
    while not done():
        for part in watched:
            if trouble := part():
                raise Disorder(trouble)
        if time.monotonic() > deadline:
            raise Disorder(otherwise)
        if tick is not None:
            tick()
        time.sleep(POLL_S)
