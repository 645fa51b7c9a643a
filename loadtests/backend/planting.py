"""Which turns, resumes and connections a planted defect hits: a seeded share, and surely one. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from loadtests.backend.defects import PLANTABLE, Defect, Place
from loadtests.backend.eventlog import Claim, Entry
from loadtests.backend.script import Script, Wants
from loadtests.backend.spoilt_turns import Site
from loadtests.configfile import nearest
from loadtests.contract.schema import Role
from loadtests.errors import ConfigError

__all__ = ["Planter", "defect_named"]

SPARED_TURNS = 10  # preflight, and enough sessions for something to leak from
SPARED_CONNECTIONS = 4  # preflight's own
MOST_IN_A_ROW = 3
EARLY_S = 20.0
QUIET_S = 30.0
REFUSED_S = 30.0


def defect_named(name: str) -> Defect:
    """The defect of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PLANTABLE:
        raise ConfigError("--defect", "", f"no defect {name!r}", nearest(name, list(PLANTABLE)))
    return PLANTABLE[name]


class Planter:
    """One defect, or none, for the life of a server."""

    def __init__(
        self,
        defect: Defect | None,
        seed: int,
        share: float = 0.1,
        spared_turns: int = SPARED_TURNS,
        roles: Mapping[str, Role] | None = None,
    ) -> None:
        self.defect = defect
        self._seed = seed
        self._share = defect.share if defect and defect.share is not None else share
        self._spared_turns = spared_turns
        self._roles = roles or {}
        self._turns = 0
        self._connections = 0
        self._in_a_row = 0
        self._first_eligible_s: float | None = None
        self._first_cut_s: float | None = None
        self._last_cut_s: float | None = None
        self.cuts = 0
        #: streams and users whose connection was cut
        self.cut_off: set[str] = set()
        self.planted = 0

    @property
    def forgets(self) -> bool:
        return self.defect is not None and self.defect.forgets

    @property
    def reads_all(self) -> bool:
        return self.defect is not None and self.defect.reads_all

    @property
    def across(self) -> bool:
        """Only what comes from another node is hit."""
        return self.defect is not None and self.defect.across

    @property
    def closes(self) -> bool:
        return self.defect is not None and self.defect.closes

    def strikes(self, where: Place, key: str) -> bool:
        """Whether the defect hooks in at this place, and hits what ``key`` names; then it counts as planted."""
        hit = self.aims(where, key)
        self.planted += hit
        return hit

    def aims(self, where: Place, key: str) -> bool:
        """The same for what may still miss: ``hit`` is to be called when it did not."""
        if self.defect is None or self.defect.where != where or self._turns < self._spared_turns:
            return False
        return self._hits(key)

    def hit(self) -> None:
        """What was aimed at was hit."""
        self.planted += 1

    def spare(self) -> None:
        """What was hit came to no harm after all."""
        self.planted -= 1

    def turn(self, run: str, plan: Callable[[Wants | None], Script], site: Callable[[], Site]) -> Script:
        """The turn's script, spoilt if its number is up; ``plan`` makes it, as it is wanted."""
        self._turns += 1
        defect = self.defect
        if defect is None or defect.script is None or self._turns <= self._spared_turns or not self._hits(run):
            return plan(None)
        spoilt = defect.script(plan(defect.wants), site())
        if spoilt is None:
            return plan(None)
        self.planted += 1
        return spoilt

    def stop(self, run: str, left: Script, ending: Script) -> tuple[Script, bool]:
        """What comes after a stop, and whether the thread stays busy for ever; ``left`` is what it cuts off."""
        defect = self.defect
        if defect is None or defect.cancel is None or not self._hits(run):
            return ending, False
        spoilt = defect.cancel(left, ending)
        if spoilt is None:
            return ending, False
        self.planted += not defect.wedges  # a busy thread harms nobody until somebody waits for it
        return spoilt, defect.wedges

    def replay(self, claim: Claim) -> tuple[Entry, ...]:
        """The events to send after a resume was granted."""
        defect = self.defect
        if defect is None or defect.replay is None or not self._hits(f"{claim.stream}:{claim.after}"):
            return claim.missed
        spoilt = defect.replay(claim, self._roles)
        if spoilt is None:
            return claim.missed
        self.planted += 1
        return spoilt

    def rewind(self, claim: Claim) -> int | None:
        """Up to where the log still knows the stream; None: all of it."""
        defect = self.defect
        if defect is None or defect.rewind is None or not self._hits(f"{claim.stream}:{claim.after}"):
            return None
        upto = defect.rewind(claim)
        self.planted += upto is not None
        return upto

    def admits(self, now_s: float) -> bool:
        """Whether anybody is let in at all."""
        if self.defect is None or self.defect.where != "admission" or self._first_cut_s is None:
            return True
        refused = now_s - self._first_cut_s < REFUSED_S
        self.planted += refused
        return not refused

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

    def cut(self, now_s: float, *whose: str) -> None:
        """A client went without saying goodbye, or gave up waiting: it will be back. ``whose``: its stream and user."""
        if self._connections > SPARED_CONNECTIONS:
            self.cuts += 1
            if self.defect is not None:  # a sound backend remembers nobody for ever
                self.cut_off.update(filter(None, whose))
            self._last_cut_s = now_s
            if self._first_cut_s is None:
                self._first_cut_s = now_s

    def _hits(self, key: str) -> bool:
        """The share, decided by the key alone; but the first occasion always."""
        if self.planted == 0:
            return True
        digest = hashlib.blake2b(f"{self._seed}:{key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64 < self._share
