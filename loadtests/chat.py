"""The gevent shell of one conversation: waits, dials, sends. What is done and when is ``loadtests.conversation``'s to say."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar, cast

import gevent
import gevent.event
import gevent.threadpool

from loadtests.bell import Bell
from loadtests.contract.compile import Contract
from loadtests.contract.schema import Call
from loadtests.conversation import (
    Answer,
    Ask,
    Conversation,
    Dial,
    Failure,
    Fetch,
    Hangup,
    Outcome,
    Pause,
    Pending,
    Run,
    Steps,
    Wait,
)  # fmt: skip
from loadtests.dice import Dice
from loadtests.door import Door
from loadtests.history import ABNORMAL, OUR_ERROR
from loadtests.pool import Pool
from loadtests.retry import Policy
from loadtests.session import Session
from loadtests.tokens import TokenError
from loadtests.transport import Connection, DialError

__all__ = ["Chat"]

NS_PER_S = 1_000_000_000
#: functions of the scenario's at once, in one process
MOST_THREADS = 16
#: what a dial can lack here: it says nothing of the backend
OF_THIS_HOST = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL}
Result = TypeVar("Result")


class Chat:
    """One user's conversation over real sockets. ``over``: set when the run wants no more turns."""

    def __init__(
        self,
        session: Session,
        contract: Contract,
        door: Door,
        policy: Policy,
        dice: Dice,
        over: gevent.event.Event,
    ) -> None:
        self.session = session
        self._door = door
        self._bell = Bell()
        self._connection: Connection | None = None
        self._alarm_ns = 0
        #: an act of ours: nobody reads; and: nobody does anything
        self._deaf = self._asleep = False
        self._awake = gevent.event.Event()
        #: called with the name of an exception of our own
        self.on_error: Callable[[str], None] = _ignore
        self.conversation = Conversation(session, contract, policy, dice, self, time.monotonic_ns, over.is_set)
        session.wake = self._bell.ring

    # What the conversation uses at once

    @property
    def is_open(self) -> bool:
        return self._connection is not None and self._connection.is_open

    def send(self, message: bytes) -> None:
        """Queue a text frame; never blocks."""
        if self._connection is not None:
            self._connection.send_text(message)

    def abort(self, *, reset: bool = False) -> None:
        """Let go of the connection, with ``reset`` by a RST."""
        if self._connection is not None:
            self._connection.abort(reset=reset)
            self._connection = None

    # What it asks for

    def _perform(self, steps: Steps[Result]) -> Result:
        """Run a part of the conversation in the calling greenlet."""
        answer: Any = None
        bell = self._bell
        while True:
            try:
                request = steps.send(answer)
            except StopIteration as end:
                result: Result = end.value
                return result
            answer = None
            if type(request) is Wait:
                if request.until_ns is None:
                    bell.wait()
                elif request.coarse:
                    self._alarm_ns = request.until_ns
                    bell.wait()
                else:
                    bell.wait((request.until_ns - time.monotonic_ns()) / NS_PER_S)
                bell.clear()
            elif type(request) is Dial:
                answer = self._dial(request.timeout_s)
            elif type(request) is Pause:
                gevent.sleep(max(0.0, (request.until_ns - time.monotonic_ns()) / NS_PER_S))
            elif type(request) is Hangup:
                self._hang_up(request)
            elif type(request) is Fetch or type(request) is Run:
                answer = self._begin(request)
            while self._asleep:
                self._awake.wait()

    def _begin(self, what: Fetch | Run) -> Pending:
        """In a greenlet or a thread of its own, so that what is under way goes on meanwhile."""
        pending = Pending(began_ns=time.monotonic_ns() if isinstance(what, Fetch) else None)

        def finish() -> None:
            if isinstance(what, Fetch):
                pending.result = self._fetched(what)
            else:
                pending.result = _threads().apply(_called, (what.call, pending))
            self._bell.ring()

        gevent.spawn(finish)
        return pending

    def _fetched(self, what: Fetch) -> Answer | Failure:
        values = self.session.values
        try:
            self._door.authorise(values)
            call = Call(
                path=what.path, method=cast("Any", what.method), headers=dict(what.headers),
                body=None if what.body is None else dict(what.body),
            )  # fmt: skip
            return Answer(*self._door.fetch(call, {"thread": self.session.thread, **values}, what.timeout_s))
        except TokenError as error:
            self.on_error(type(error).__name__)
            return Failure(OUR_ERROR, f"token: {error}")
        except DialError as error:
            return Failure(error.code, error.text, error.fatal)

    def _dial(self, timeout_s: float) -> Failure | None:
        session = self.session
        self.abort()
        try:
            self._door.authorise(session.values)
        except TokenError as error:
            self.on_error(type(error).__name__)
            return Failure(OUR_ERROR, f"token: {error}")
        deadline = time.monotonic() + timeout_s
        try:
            dial = self._door.open(session.values, timeout_s)
            connection = self._connection = Connection(
                dial, session.frames, session.binary, self._closed, session.opened
            )
            connection.connect(max(0.0, deadline - time.monotonic()))
        except DialError as error:
            self._connection = None
            if -error.code in OF_THIS_HOST:
                self.on_error(errno.errorcode[-error.code])
            return Failure(error.code, f"{error.step}: {error.text}", error.fatal)
        return None

    def _hang_up(self, how: Hangup) -> None:
        connection = self._connection
        if connection is not None and connection.is_open:
            connection.close(how.code, how.reason)
        self.abort()

    def _closed(self, code: int, reason: str, at_ns: int) -> None:
        """Called by the hub: the other side, or the network, ended it."""
        if code == OUR_ERROR:
            self.on_error(reason)
        self.conversation.closed(code, reason, at_ns)

    def ring(self, now_ns: int) -> None:
        """Called a few times a second: wake the greenlet whose turn has outlived its deadline, keep the connection alive."""
        if self._deaf:
            return  # whoever does not read can tell nobody to be late
        if self.session.flights:
            if now_ns >= self._alarm_ns:
                self._bell.ring()
        else:
            self.conversation.beat()

    def nudge(self) -> None:
        """Look again whether there is anything to do."""
        self._bell.ring()

    # What a fault of our own side does; each says whether there was a connection to hit

    def stop_reading(self) -> bool:
        """Leave what comes in the kernel's buffer, until ``look`` and ``wake``."""
        if not self.is_open or self.stopped:
            return False
        self._deaf = True
        self._paused(writing=False)
        return True

    def fall_asleep(self) -> bool:
        """Neither read, write nor look at the clock, until ``look`` and ``wake``: a phone whose page is in the background."""
        if not self.stop_reading():
            return False
        self._asleep = True
        self._awake.clear()
        self._paused(writing=True)
        return True

    def _paused(self, *, writing: bool) -> None:
        if self._connection is not None:
            self._connection.pause(writing=writing)

    def unread_bytes(self) -> int:
        """What waits in the kernel's buffer."""
        return self._connection.unread_bytes if self._connection is not None else 0

    def look(self) -> None:
        """Read what has come, and do nothing else yet."""
        if self._connection is not None:
            self._connection.resume()
        # Before anything is read: a close must find the turns' new limits.
        self.conversation.returned(time.monotonic_ns())

    def wake(self) -> None:
        """Go on as ever."""
        self._deaf = self._asleep = False
        self._awake.set()
        self._bell.ring()

    def lose(self, why: str, *, reset: bool) -> bool:
        """The connection is gone at once, by a RST or a FIN and without a word."""
        connection = self._connection
        if connection is None or not connection.is_open or self.stopped:
            return False
        connection.abort(reset=reset)
        self.conversation.closed(ABNORMAL, why, time.monotonic_ns())
        return True

    def leave(self, why: str) -> Any:
        """As ``lose``, but the socket stays open: the caller has it, and must close it. None: there was none."""
        connection = self._connection
        if connection is None or not connection.is_open or self.stopped:
            return None
        left = connection.detach()
        self.conversation.closed(ABNORMAL, why, time.monotonic_ns())
        return left

    # For users

    @property
    def stopped(self) -> bool:
        """No more turns will be sent."""
        return self.conversation.stopped

    @property
    def settled(self) -> bool:
        """The session is over, its goodbye said."""
        return self.conversation.settled

    def ensure_ready(self, until_ns: int) -> bool:
        """Be connected and ready by a time; see ``Conversation.ensure_ready``."""
        return self._perform(self.conversation.ensure_ready(until_ns))

    def run_turn(self, intended_ns: int, ask: Ask | str, give_up_sending_ns: int) -> bool:
        """One turn from send to end; see ``Conversation.run_turn``."""
        ask = Ask(ask) if isinstance(ask, str) else ask
        return self._perform(self.conversation.run_turn(intended_ns, ask, give_up_sending_ns))

    def live(
        self, schedule: Iterator[float], start_ns: int, end_ns: int, late_ms: int, ask: Callable[[], Ask], *,
        stay_until_ns: int = 0, closed: bool = False,
    ) -> None:  # fmt: skip
        """All planned turns of this user, then a polite goodbye; see ``Conversation.live``."""
        live = self.conversation.live(
            schedule, start_ns, end_ns, late_ms, ask, stay_until_ns=stay_until_ns, closed=closed
        )
        self._perform(live)

    def serve(self, pool: Pool, number: int, end_ns: int, late_ms: int, ask: Callable[[], Ask]) -> None:
        """Whatever arrives from outside while this user is free, then a polite goodbye; see ``Conversation.serve``."""
        self._perform(self.conversation.serve(pool.seat(number, self._bell.ring), end_ns, late_ms, ask))

    def stop(self) -> None:
        """Say goodbye and settle. Idempotent."""
        self._perform(self.conversation.stop())

    def cut(self) -> None:
        """The run is being killed: what is in flight is censored, the connection let go at once."""
        self.conversation.cut()


def _ignore(name: str) -> None:
    """Nobody counts: outside of a load process an exception of ours ends in the trace of whoever runs the chat."""


@cache
def _threads() -> Any:
    """Not the hub's own: somebody else's function may block for long, and names must be looked up all the same."""
    return gevent.threadpool.ThreadPool(MOST_THREADS)


def _called(call: Callable[[], Any], pending: Pending) -> Outcome:
    pending.began_ns = time.monotonic_ns()  # until now it has waited for a thread
    try:
        return Outcome(call())
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever it is, it is the function's
        return Outcome(error=error)
