"""How turns end: what an ending is called, what it counts as, and who said so. One table; every other list of endings in
reports derives from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loadtests.history import End

__all__ = ["BY_CLIENT", "CENSORED", "ENDINGS", "FAILED", "GOOD", "LEFT", "LEFT_OUT", "UNENDED", "Ending", "counting_as"]

Counted = Literal["ok", "failed", "censored"]


@dataclass(frozen=True, slots=True)
class Ending:
    """``counts_as``: its column of the books; ``said``: it came with an event of the backend, else the client made it."""

    name: str
    counts_as: Counted
    said: bool = True


#: what a turn is called whose user's own journey has cut it, however it ended: neither good nor bad
LEFT = "left"
ENDINGS: dict[End, Ending] = {
    End.OK: Ending("ok", "ok"),
    End.FAILED: Ending("failed", "failed"),
    End.TIMEOUT: Ending("timeout", "failed", said=False),
    End.CUT_BY_STOP: Ending("cut", "censored", said=False),
    End.IN_DOUBT: Ending("in-doubt", "censored", said=False),
    End.ABANDONED: Ending("abandoned", "failed", said=False),
    End.DEGRADED: Ending("degraded", "ok"),
    End.REFUSED: Ending("refused", "ok"),
    End.THROTTLED: Ending("throttled", "censored"),
    End.CANCELLED: Ending("cancelled", "censored"),
    End.REJECTED: Ending("rejected", "censored"),
}


def counting_as(counted: Counted) -> tuple[str, ...]:
    """Names of the endings that stand in this column of the books."""
    return tuple(one.name for one in ENDINGS.values() if one.counts_as == counted)


#: the turn was answered, and not with a failure
GOOD = counting_as("ok")
FAILED = counting_as("failed")
#: neither good nor bad; a quota, a cancelled turn and a second one refused as promised say nothing of a turn's success, and one that
#: its user's own journey has cut says nothing of times either
LEFT_OUT = (*counting_as("censored"), LEFT)
#: ends that the client made itself
BY_CLIENT = tuple(end for end, one in ENDINGS.items() if not one.said)
#: of those, neither good nor bad: the run ended first, or a fault may have swallowed the message
CENSORED = tuple(end for end in BY_CLIENT if ENDINGS[end].counts_as == "censored")
#: names of those that failed: the client stopped waiting
UNENDED = tuple(ENDINGS[end].name for end in BY_CLIENT if ENDINGS[end].counts_as == "failed")
