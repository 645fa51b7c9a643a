"""The gevent shell of one session: waits, dials, sends, comes back. It decides nothing that the session can decide.

A user survives any connection failure and never silently lowers the load: what was planned is sent, or dropped and
counted with its reason.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import gevent
import gevent.event

from loadtests.bell import Bell
from loadtests.contract.compile import Contract
from loadtests.dial import Dial
from loadtests.history import End
from loadtests.retry import Backoff, Policy
from loadtests.session import Session
from loadtests.transport import OUR_ERROR, Connection, DialError

__all__ = ["Chat"]

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
CONNECT_TIMEOUT_S = 5.0
LEAST_CONNECT_S = 1.0  # however near the time for which the connection is wanted


class Chat:
    """One user's conversation over real sockets. ``over``: set when the run wants no more turns."""

    def __init__(
        self,
        session: Session,
        contract: Contract,
        dial: Dial,
        policy: Policy,
        rng: random.Random,
        over: gevent.event.Event,
    ) -> None:
        self.session = session
        self._contract = contract
        self._dial = dial
        self._policy = policy
        self._backoff = Backoff(policy, rng)
        self._over = over
        self._woken = Bell()
        self._connection: Connection | None = None
        self._closing = False
        self._cut_ns = 0
        self._events_at_cut = 0
        self._alarm_ns = 0
        self.stopped = False
        #: called with a turn's end and its milliseconds since the intended send
        self.on_turn: Callable[[End, float], None] | None = None
        #: called with the name of an exception of our own
        self.on_error: Callable[[str], None] = _ignore
        session.wake = self._woken.ring

    # Connection

    def ensure_ready(self, until_ns: int) -> bool:
        """Be connected and ready, retrying as the policy says, until a time; false: not by then, or never again."""
        while not self._is_ready():
            if self._is_refused() or time.monotonic_ns() >= until_ns:
                return False
            if self._connect((until_ns - time.monotonic_ns()) / NS_PER_S) and self._await_ready():
                self._backoff.succeeded()
                return True
            if self._is_ready():
                break
            delay_ms = self._backoff.failed(fatal=self._fatal)
            if delay_ms is None:
                self.session.gave_up(time.monotonic_ns(), fatal=self._is_refused())
                if self._is_refused():
                    return False
                # The outage outlasted the policy. The user stays, and looks again at the policy's slowest pace.
                self._backoff.succeeded()
                delay_ms = float(self._policy.cap_ms)
            left_ms = (until_ns - time.monotonic_ns()) / NS_PER_MS
            gevent.sleep(max(0.0, min(delay_ms, left_ms)) / 1000)
        return True

    _fatal = False

    def _is_open(self) -> bool:
        return self.session.open

    def _is_refused(self) -> bool:
        return self._backoff.stopped

    def _is_ready(self) -> bool:
        return self.session.ready

    def _connect(self, left_s: float) -> bool:
        session = self.session
        self._drop_connection()
        self._fatal = self._closing = False
        connection = self._connection = Connection(
            self._dial, session.frame, session.binary, self._closed, session.opened
        )
        session.dial(time.monotonic_ns())
        try:
            connection.connect(max(LEAST_CONNECT_S, min(CONNECT_TIMEOUT_S, left_s)))
        except DialError as error:
            self._connection = None
            self._fatal = session.is_fatal(error.code) or error.fatal
            session.dial_failed(time.monotonic_ns(), error.code, f"{error.step}: {error.text}", fatal=self._fatal)
            return False
        if not connection.is_open:
            return False  # upgraded and closed at once; ``_closed`` has told the session
        return session.open

    def _await_ready(self) -> bool:
        deadline = time.monotonic() + self._contract.file.handshake.timeout_ms / 1000
        while self._is_open() and not self._is_ready():
            self._woken.clear()
            self._send()
            left = deadline - time.monotonic()
            if left <= 0 or not self._woken.wait(left):
                if self._is_open() and not self._is_ready():
                    self._hang_up(1000, "no welcome", never_ready=True)
                break
        if self._is_ready():
            self._send()
        return self._is_ready()

    def _closed(self, code: int, reason: str, at_ns: int) -> None:
        """Called by the hub: the other side, or the network, ended it."""
        session = self.session
        if code == OUR_ERROR:
            self.on_error(reason)
        self._fatal = session.is_fatal(code)
        flight = session.flight
        if flight is not None:
            self._cut_ns, self._events_at_cut, flight.resent = at_ns, flight.events, False
        session.closed(at_ns, code, reason, ours=self._closing or code == OUR_ERROR)

    def _hang_up(self, code: int, reason: str, *, never_ready: bool = False) -> None:
        connection, session = self._connection, self.session
        self._closing = True
        if connection is not None and connection.is_open and not never_ready:
            connection.close(code, reason)
        if connection is not None:
            connection.abort()
        self._connection = None
        if session.open:
            session.closed(time.monotonic_ns(), code, reason, ours=True, never_ready=never_ready)

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    def _send(self) -> None:
        connection, outbox = self._connection, self.session.outbox
        if connection is None:
            return
        while outbox and connection.is_open:
            connection.send_text(outbox.pop(0))

    # Turns

    def run_turn(self, intended_ns: int, content: str, give_up_sending_ns: int) -> bool:
        """Send one turn and wait for its end; false: it was dropped.

        ``give_up_sending_ns``: by then it has not been possible to send, so it is dropped.
        """
        session = self.session
        if not self.ensure_ready(give_up_sending_ns):
            session.dropped(
                intended_ns, time.monotonic_ns(), "refused for good" if self._backoff.stopped else "not connected"
            )
            return False
        self._cut_ns = 0
        self._woken.clear()
        session.begin(intended_ns, content, time.monotonic_ns())
        self._send()
        self._await_end()
        if self.on_turn is not None:
            self.on_turn(session.last_end, (time.monotonic_ns() - intended_ns) / NS_PER_MS)
        return True

    def _await_end(self) -> None:
        session, recovery_ns = self.session, self._contract.file.turn.recovery_ms * NS_PER_MS
        while (flight := session.flight) is not None:
            if not session.ready:
                # Cut. A backend that is down for longer than both budgets has not served this turn.
                until_ns = max(session.deadline_ns(), self._cut_ns + recovery_ns)
                if not self.ensure_ready(until_ns):
                    self._give_up(flight.events)
                    return
                self._cut_ns = time.monotonic_ns()
                self._send()
                continue
            deadline_ns = session.deadline_ns()
            if self._cut_ns:
                # Only a contract of recovery bounds a cut turn by the recovery budget; a resumed one just goes on.
                heard = flight.events > self._events_at_cut or self._contract.resumes
                deadline_ns = max(deadline_ns, self._cut_ns + recovery_ns) if heard else self._cut_ns + recovery_ns
            self._woken.clear()
            if deadline_ns <= time.monotonic_ns():
                self._give_up(flight.events)
                return
            # No timer of its own: most turns end long before, and a timer a turn costs more than the turn's statistics.
            self._alarm_ns = deadline_ns
            self._woken.wait()

    def ring(self, now_ns: int) -> None:
        """Called a few times a second: wake the greenlet whose turn has outlived its deadline."""
        if now_ns >= self._alarm_ns and self.session.flight is not None:
            self._woken.ring()

    def _give_up(self, events: int) -> None:
        flight = self.session.flight
        in_doubt = self._cut_ns and not events and not (flight is not None and flight.resent)
        self.session.give_up(time.monotonic_ns(), End.IN_DOUBT if in_doubt else End.TIMEOUT)

    def live(
        self, schedule: Iterator[float], start_ns: int, end_ns: int, pace_ms: int, content: Callable[[], str]
    ) -> None:
        """All planned turns of this user, from the run's start to its end, then a polite goodbye."""
        pace_ns = pace_ms * NS_PER_MS
        for at_ms in schedule:
            intended_ns = start_ns + int(at_ms * NS_PER_MS)
            if intended_ns >= end_ns or not self._wait_until(intended_ns):
                break
            now_ns = time.monotonic_ns()
            if now_ns - intended_ns > pace_ns:
                self.session.dropped(intended_ns, now_ns, "late by more than a pace")
                continue
            self.run_turn(intended_ns, content(), intended_ns + pace_ns)
        self.stop()

    def _wait_until(self, at_ns: int) -> bool:
        """Wait for a turn's time; a connection that breaks meanwhile is made again at once, as a chat page would."""
        while not self._over.is_set():
            left_ns = at_ns - time.monotonic_ns()
            if left_ns <= 0:
                return True
            if not self.session.ready and not self._backoff.stopped:
                self.ensure_ready(at_ns)
                continue
            self._woken.clear()
            self._woken.wait(left_ns / NS_PER_S)
        return False

    def stop(self) -> None:
        """Say goodbye and settle. Idempotent."""
        if self.stopped:
            return
        self.stopped = True
        self._hang_up(1000, "")
        self.session.stop(time.monotonic_ns())

    def cut(self) -> None:
        """The run is being killed: a turn in flight is censored, the connection let go at once."""
        if self.stopped:
            return
        self.stopped = True
        now_ns = time.monotonic_ns()
        self.session.give_up(now_ns, End.CUT_BY_STOP)
        self._closing = True
        self._drop_connection()
        if self.session.open:
            self.session.closed(now_ns, 1001, "run ended", ours=True)
        self.session.stop(now_ns)


def _ignore(name: str) -> None:
    """Nobody counts: outside of a load process an exception of ours ends in the trace of whoever runs the chat."""
