"""Which turns, resumes and connections a planted defect hits: a seeded share, and surely one. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from loadtests.backend.defects import DEFECTS, Defect, Site
from loadtests.backend.eventlog import Claim, Entry
from loadtests.backend.script import Script
from loadtests.configfile import nearest
from loadtests.errors import ConfigError

__all__ = ["Planter", "defect_named"]

SPARED_TURNS = 10  # preflight, and enough sessions for something to leak from
SPARED_CONNECTIONS = 4  # preflight's own
MOST_IN_A_ROW = 3
EARLY_S = 20.0
QUIET_S = 30.0


def defect_named(name: str) -> Defect:
    """The defect of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in DEFECTS:
        raise ConfigError("--defect", "", f"no defect {name!r}", nearest(name, list(DEFECTS)))
    return DEFECTS[name]


class Planter:
    """One defect, or none, for the life of a server."""

    def __init__(self, defect: Defect | None, seed: int, share: float = 0.1, spared_turns: int = SPARED_TURNS) -> None:
        self.defect = defect
        self._seed = seed
        self._share = defect.share if defect and defect.share is not None else share
        self._spared_turns = spared_turns
        self._turns = 0
        self._connections = 0
        self._in_a_row = 0
        self._first_eligible_s: float | None = None
        self._last_cut_s: float | None = None
        self.planted = 0

    def turn(self, run: str, plan: Callable[..., Script], site: Callable[[], Site]) -> Script:
        """The turn's script, spoilt if its number is up; ``plan(nested=…)`` makes it."""
        self._turns += 1
        defect = self.defect
        if defect is None or defect.script is None or self._turns <= self._spared_turns or not self._hits(run):
            return plan(nested=True)
        spoilt = defect.script(plan(nested=not defect.plain), site())
        if spoilt is None:
            return plan(nested=True)
        self.planted += 1
        return spoilt

    def replay(self, claim: Claim) -> tuple[Entry, ...]:
        """The events to send after a resume was granted."""
        defect = self.defect
        if defect is None or defect.replay is None or not self._hits(f"{claim.stream}:{claim.after}"):
            return claim.missed
        spoilt = defect.replay(claim)
        if spoilt is None:
            return claim.missed
        self.planted += 1
        return spoilt

    def refuses_welcome(self, now_s: float, *, known_user: bool) -> bool:
        """Whether this connection is left without a welcome.

        Who comes back must be served, and a client without credentials looks the same every time: so only while no
        connection was cut for a while, since only after a cut somebody can be coming back.
        """
        self._connections += 1
        if self.defect is None or self.defect.where != "connection" or known_user:
            return False
        if self._connections <= SPARED_CONNECTIONS:
            return False
        if self._last_cut_s is not None and now_s - self._last_cut_s < QUIET_S:
            return False
        if self._first_eligible_s is None:
            self._first_eligible_s = now_s
        if now_s - self._first_eligible_s > EARLY_S or self._in_a_row >= MOST_IN_A_ROW:
            self._in_a_row = 0
            return False
        hit = self._hits(f"connection {self._connections}")
        self._in_a_row = self._in_a_row + 1 if hit else 0
        self.planted += hit
        return hit

    def cut(self, now_s: float) -> None:
        """A client went without saying goodbye, or gave up waiting: it will be back."""
        if self._connections > SPARED_CONNECTIONS:
            self._last_cut_s = now_s

    def _hits(self, key: str) -> bool:
        """The share, decided by the key alone; but the first occasion always."""
        if self.planted == 0:
            return True
        digest = hashlib.blake2b(f"{self._seed}:{key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64 < self._share
