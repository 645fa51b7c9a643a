"""A worker host's way to its master: asks, and after a broken link asks again on a new one."""

from __future__ import annotations

import contextlib
import time

from loadtests.clocks import Reading, RoundTrip, best
from loadtests.errors import RigError
from loadtests.hosts.messages import Answer, Ask, Now, Refused, WhatTime, decode_answer, encode
from loadtests.hosts.wire import Link, call

__all__ = ["Caller", "LinkError"]

#: one question, from connecting to answer; a link that is cut swallows it without a word
PATIENCE_S = 3.0
#: a chunk with its answer: on a slow link it takes longer, and one that is given up is sent from its beginning
CHUNK_S = 15.0
PAUSE_S = 0.25
TRIPS = 64


class LinkError(Exception):
    """The master cannot be reached now."""


class Caller:
    """One connection at a time; not for threads."""

    def __init__(self, address: tuple[str, int], token: bytes) -> None:
        self._address, self._token = address, token
        self._link: Link | None = None

    def ask(self, question: Ask, raw: bytes = b"") -> Answer:
        """One question, on a new connection if need be.

        Raises:
            LinkError: no answer; the next try connects anew.
            RigError: the master does not want us.
        """
        try:
            if self._link is None:
                self._link = call(self._address, self._token, PATIENCE_S)
            self._link.wait_at_most(CHUNK_S if raw else PATIENCE_S)
            self._link.send(encode(question, raw))
            answer = decode_answer(self._link.receive())
        except (OSError, ValueError) as error:
            self.close()
            raise LinkError(str(error) or type(error).__name__) from None
        except BaseException:
            self.close()
            raise
        if isinstance(answer, Refused):
            raise RigError(f"the master refuses this host: {answer.why}")
        return answer

    def insist(self, question: Ask, raw: bytes = b"", *, for_s: float) -> Answer:
        """``ask``, over and over until there is an answer or the time is over.

        Raises:
            LinkError: no answer in all that time.
            RigError: the master does not want us.
        """
        deadline = time.monotonic() + for_s
        while True:
            try:
                return self.ask(question, raw)
            except LinkError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_S)

    def read_clock(self, key: str, *, for_s: float) -> Reading:
        """By how much our clock is ahead of the master's: what the shortest of many round trips says.

        Raises:
            LinkError: no answer in all that time.
            RigError: the master does not want us.
        """
        trips: list[RoundTrip] = []
        deadline = time.monotonic() + for_s
        while len(trips) < TRIPS:
            asked_ns = time.monotonic_ns()
            fresh = self._link is None  # a new connection is no round trip
            try:
                answer = self.ask(WhatTime(key=key))
            except LinkError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_S)
                continue
            if isinstance(answer, Now) and not fresh:
                trips.append(RoundTrip(asked_ns, answer.master_ns, time.monotonic_ns()))
        return best(trips)

    def close(self) -> None:
        if self._link is not None:
            with contextlib.suppress(OSError):
                self._link.close()
            self._link = None
