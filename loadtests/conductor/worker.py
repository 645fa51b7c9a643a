"""A worker host's part of a run: its own users, on its own clock, and in the end its files on their way to the master.

A link that breaks stops nothing: the load goes on, and what is recorded is here. Only a master that is gone for long ends it.
"""

from __future__ import annotations

import json
import math
import secrets
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from loadtests import cohorts, descriptors
from loadtests.clocks import Alignment, Reading
from loadtests.conductor.abort import Counter
from loadtests.conductor.hostoptions import COME_S, LOST_S, same_of
from loadtests.conductor.papers import Part
from loadtests.conductor.run import EXIT_CODES, WORKERS_UP_S, Conductor
from loadtests.conductor.watch import Disorder, await_all
from loadtests.errors import ConfigError, GauntletError, PreflightError, RigError
from loadtests.history import DTYPE, RowKind
from loadtests.hosts.caller import Caller, LinkError
from loadtests.hosts.messages import Answer, Beat, Chunk, Join, Offer, Orders, Tally, Wanted
from loadtests.hosts.parcels import chunks, parcels_of
from loadtests.hosts.wire import TOKEN_VARIABLE, address_of, take_token
from loadtests.stopping import ask_to_stop

__all__ = ["Worker"]

BEAT_S = 0.25
TALLY_S = 1.0
DELIVER_S = 120.0
MOST_IN_VAIN = 5
#: canaries that are not answered by then go on trying, and the run shows it
BASELINE_S = 5.0
#: what the master shall have beside rows; ``start.json`` is on our clock and of no use there
OWN = ("health.jsonl", "history.jsonl", "locust.log", "guard.json", "manifest.json")


class Worker(Conductor):
    def __init__(self, *arguments: Any) -> None:
        """Raises:
        ConfigError: no token.
        """
        super().__init__(*arguments)
        self._key = secrets.token_hex(16)
        self._address, self._token = address_of(self._p.options.worker, "--worker"), take_token()
        self._caller = Caller(self._address, self._token)
        self._counter = Counter(self._dir / "rows")
        self._tally = Tally()
        self._orders = Orders()
        self._state, self._trouble, self._late_ms = "joined", "", 0
        self._refused = ""
        self._heard_s = time.monotonic()
        self._before: Reading | None = None
        self._gone = threading.Event()

    def conduct(self) -> str:
        """Join, make our part of the load, deliver it.

        Raises:
            GauntletError: before any load.
        """
        try:
            reason = super().conduct()
            theirs = self._orders.stop or self._orders.end
            if reason != "ended" and not theirs:
                self._trouble = reason
            self._state = "ended"
            if self._before is not None:
                self._deliver()
        except GauntletError as error:
            self._trouble, self._state = self._trouble or str(error), "ended"
            self._tell()
            raise
        finally:
            self._gone.set()
            self._caller.close()
        return reason

    # -- before the load ---------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._join()
        threading.Thread(target=self._beat_on, name="beat", daemon=True).start()
        self._say(f"this is {self._orders.host}; waiting for the other hosts")
        try:
            await_all(lambda: self._orders.first >= 0, COME_S, "not all hosts came", (self._ended_there,))
        except Disorder as error:
            raise PreflightError("hosts", str(error)) from None
        orders = self._orders
        self._part = Part(orders.nonce, orders.first, orders.workers)
        self._check_descriptors(self._part)
        super()._begin()

    def _check_descriptors(self, part: Part) -> None:
        """Raises:
        ConfigError: our users need more files than may be open here.
        """
        one, processes = self._p.scenario, self._p.options.processes
        ours = {user for user in range(one.users) if part.first <= user % part.workers < part.first + processes}
        hit = ours & cohorts.treated(self._p.options.seed, one.users, one.treated_share)
        descriptors.check(len(ours), processes, len(hit), chaos=self._p.chaos)

    def _join(self) -> None:
        """Raises:
        PreflightError: no master answers.
        ConfigError: it does not want us.
        """
        question = Join(key=self._key, processes=self._p.options.processes, same=same_of(self._p, self._dir))
        where = f"{self._address[0]}:{self._address[1]}"
        self._say(f"looking for the master at {where}")
        try:
            self._follow(self._caller.insist(question, for_s=COME_S))
        except LinkError as error:
            raise PreflightError(
                "master", f"nobody answers at {where} ({error})", "is it running, with --bind?"
            ) from None
        except RigError as error:
            raise ConfigError(
                "--worker", "", str(error), f"the same command and {TOKEN_VARIABLE} as the master"
            ) from None

    def _take_lease(self) -> None:
        """The master has it, for all of us."""

    def _set_start(self) -> int:
        """Ready; and at the master's start begin ours, in our own clock."""
        if not self._rig.watching(BASELINE_S):
            self._say("not every canary is answered, so faults will not be proven there")
        self._before = before = self._caller.read_clock(self._key, for_s=LOST_S)
        self._state = "ready"
        await_all(
            lambda: self._orders.start_ns > 0,
            WORKERS_UP_S + COME_S,
            "the master gave no start",
            (self._broken, self._lookout_now),
        )
        start_ns = self._orders.start_ns + before.ahead_ns
        self._late_ms = max(0, math.ceil((time.monotonic_ns() - start_ns) / 1e6))
        self._state = "running"
        return self._write_start(start_ns)

    # -- during the load ---------------------------------------------------------------------------------------------

    def _beat_on(self) -> None:
        """In a thread of its own, on a connection of its own: news of us, and the master's orders."""
        caller, counted_s = Caller(self._address, self._token), 0.0
        while not self._gone.wait(BEAT_S):
            if time.monotonic() - counted_s > TALLY_S:
                self._tally, counted_s = self._counter.tally(time.monotonic_ns()), time.monotonic()
            try:
                self._follow(caller.ask(self._news()))
            except LinkError:
                continue
            except RigError as error:
                self._refused = str(error)
        caller.close()

    def _news(self) -> Beat:
        return Beat(
            key=self._key, state=self._state, tally=self._tally, trouble=self._trouble[:2000], late_ms=self._late_ms
        )

    def _follow(self, answer: Answer) -> None:
        if isinstance(answer, Orders):
            self._orders, self._heard_s = answer, time.monotonic()

    def _tell(self) -> None:
        """The last word of a part that never began."""
        try:
            self._follow(self._caller.ask(self._news()))
        except (LinkError, RigError):
            return

    def _ended_there(self) -> str:
        if self._refused:
            return self._refused
        return f"the master ended the run: {self._orders.end}" if self._orders.end else ""

    def _lookout_now(self) -> str:
        """Limits are the whole run's, so the master holds them."""
        return self._ended_there()

    def _stop_now(self) -> str:
        silent_s = time.monotonic() - self._heard_s
        if self._orders.stop:
            ask_to_stop(self._dir, self._orders.stop.removeprefix("stopped: "))
        elif silent_s > LOST_S:
            ask_to_stop(self._dir, f"its master was not heard of for {LOST_S:g} s")
        return super()._stop_now()

    # -- after the load ----------------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        """All files, as long as it takes while the master answers."""
        before = self._before
        try:
            if before is None:
                raise LinkError("its clock was never read")
            self._follow(self._caller.insist(self._news(), for_s=DELIVER_S))  # the last beat may not have come to it
            after = self._caller.read_clock(self._key, for_s=DELIVER_S)
            parcels = parcels_of(self._dir, OWN)
            offer = Offer(
                key=self._key,
                parcels=[parcel for parcel, _ in parcels],
                wrote=_wrote(self._dir / "rows"),
                clock=Alignment(before, after),
            )
            self._say(f"delivering {sum(parcel.size_bytes for parcel, _ in parcels) / 1e6:.1f} MB to the master")
            in_vain, wanted = 0, self._wanted(offer)
            while not wanted.whole:
                before_it = wanted
                self._send(parcels, before_it)
                wanted = self._wanted(offer)
                in_vain = in_vain + 1 if wanted.have == before_it.have else 0
                if in_vain > MOST_IN_VAIN:
                    raise LinkError("the master takes none of it")
            self._say(f"delivered; what was recorded here stays in {self._dir} as well")
        except (LinkError, RigError) as error:
            self._say(f"not delivered ({error}); what was recorded here is in {self._dir}")
            self.exit_code = EXIT_CODES["cannot-say"]

    def _wanted(self, offer: Offer) -> Wanted:
        answer = self._caller.insist(offer, for_s=DELIVER_S)
        if not isinstance(answer, Wanted):
            raise LinkError("the master did not say what it wants")
        return answer

    def _send(self, parcels: list[tuple[Any, Path]], wanted: Wanted) -> None:
        for parcel, file in parcels:
            for offset, piece, sha256 in chunks(file, wanted.have.get(f"{parcel.folder}/{parcel.name}", 0)):
                chunk = Chunk(key=self._key, folder=parcel.folder, name=parcel.name, offset=offset, sha256=sha256)
                try:
                    self._caller.ask(chunk, piece)
                except LinkError:
                    return  # what it holds is asked for anew


def _wrote(rows: Path) -> dict[str, dict[str, int]]:
    """Rows of each kind by load process, as it has counted them; of one that could not, as they lie there."""
    found: dict[str, dict[str, int]] = {}
    for file in sorted(rows.glob("*.bin")):
        try:
            found[file.stem] = dict(json.loads(file.with_suffix(".json").read_bytes())["kinds"])
        except (OSError, ValueError, KeyError, TypeError):
            kinds = np.bincount(np.fromfile(file, DTYPE, file.stat().st_size // DTYPE.itemsize)["kind"]).tolist()
            found[file.stem] = {RowKind(kind).name: count for kind, count in enumerate(kinds) if count}
    return found
