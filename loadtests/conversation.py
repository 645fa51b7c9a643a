"""What a user does next, without doing it: generators that ask a shell to dial, wait and hang up. Pure.

``loadtests.chat`` performs the requests with gevent over real sockets, the simulation performs them in virtual time; what
is decided here is decided for both. A user survives any connection failure and never silently lowers the load: what was
planned is sent, or dropped and counted with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

from loadtests.content import ANSWERED
from loadtests.contract.compile import Contract
from loadtests.dice import Dice
from loadtests.flight import Expectation, Flight
from loadtests.history import ABNORMAL, OUR_ERROR, End
from loadtests.pool import Seat
from loadtests.retry import Backoff, Policy
from loadtests.session import Session

__all__ = [
    "NEVER", "Answer", "Ask", "Conversation", "Dial", "Failure", "Fetch", "Hangup", "Line", "Outcome", "Pause", "Pending", "Request",
    "Run", "Steps", "Told", "Wait",
]  # fmt: skip

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
CONNECT_TIMEOUT_S = 5.0
LEAST_CONNECT_S = 1.0  # however near the time for which the connection is wanted
NEVER = 1 << 62


class Dial(NamedTuple):
    """Let go of the old connection and make a new one. Answered with None, or with how it failed."""

    timeout_s: float


class Wait(NamedTuple):
    """Until the session's ``wake`` is called (since the last wait) or a time, in ns; None: for ever.

    ``coarse``: the time may be missed by a fraction of a second.
    """

    until_ns: int | None
    coarse: bool = False


class Pause(NamedTuple):
    """Until a time, whatever happens."""

    until_ns: int


class Hangup(NamedTuple):
    """Say goodbye within a bounded time, then let go."""

    code: int
    reason: str


class Failure(NamedTuple):
    """How a dial failed; ``code`` is an HTTP status, a negative errno, or 0. ``fatal``: so it will always be."""

    code: int
    text: str
    fatal: bool = False


class Answer(NamedTuple):
    """Of an HTTP request; ``text`` is the server's, and bounded."""

    status: int
    text: str


class Outcome(NamedTuple):
    """What became of a call of somebody else's function."""

    value: Any = None
    error: BaseException | None = None


class Pending:
    """Something that goes on by itself; the session's ``wake`` is called when ``result`` is there."""

    __slots__ = ("began_ns", "result")

    def __init__(self, result: Answer | Failure | Outcome | None = None, began_ns: int | None = None) -> None:
        self.result = result
        #: when it was begun, after waiting for its turn; None: it has not been
        self.began_ns = began_ns


class Fetch(NamedTuple):
    """Begin an HTTP request to the target's own host. Answered with a ``Pending`` of ``Answer`` or ``Failure``."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None
    timeout_s: float


class Run(NamedTuple):
    """Begin a call that may block, where it blocks nobody. Answered with a ``Pending`` of ``Outcome``."""

    call: Callable[[], Any]


Request = Dial | Wait | Pause | Hangup | Fetch | Run
Result = TypeVar("Result")
#: what a shell runs: requests out, answers in
Steps = Generator[Request, Any, Result]


class Line(Protocol):
    """The connection as far as it can be used without waiting."""

    @property
    def is_open(self) -> bool: ...
    def send(self, message: bytes) -> None: ...
    def abort(self, *, reset: bool = False) -> None: ...


class Told(Protocol):
    """Something told in a message; ``loadtests.prompts.CodeWord`` is the real one."""

    known: bool


class Ask(NamedTuple):
    """One planned message. ``cancel_after_ms``, ``second_after_ms``: negative for never."""

    content: str
    expect: Expectation | None = None
    #: what the message tells, and the backend knows once the turn has ended well
    tells: Told | None = None
    cancel_after_ms: float = -1.0
    #: another message, sent while this turn is under way
    second: str = ""
    second_after_ms: float = -1.0


class Conversation:
    """One user's conversation. ``over`` says whether the run wants no more turns."""

    def __init__(
        self,
        session: Session,
        contract: Contract,
        policy: Policy,
        dice: Dice,
        line: Line,
        now_ns: Callable[[], int],
        over: Callable[[], bool],
    ) -> None:
        self.session = session
        self._contract = contract
        self._policy = policy
        self._backoff = Backoff(policy, dice)
        self._line = line
        self._now_ns = now_ns
        self._over = over
        self._recovery_ns = contract.file.turn.recovery_ms * NS_PER_MS
        self._handshake_ns = contract.file.handshake.timeout_ms * NS_PER_MS
        #: a welcome proves that the backend serves us; without one, the first frame does
        self._greets = bool(contract.file.handshake.ready or contract.file.handshake.steps)
        self._unproved = False
        self._closing = False
        self._fatal = False
        #: before this a connection that was lost is not dialled again
        self._first_ns = 0
        self._cut_ns = 0
        self._events_at_cut = 0
        #: no more turns will be sent; and: the session is over, its goodbye said
        self.stopped = self.settled = False
        #: how long this user stays connected, and is away then, in seconds; None: it stays
        self.visit: Callable[[], tuple[float, float]] | None = None
        self._leave_ns = self._away_ns = 0
        #: called with a turn's end and its milliseconds since the intended send
        self.on_turn: Callable[[End, float], None] | None = None
        #: what is done in the place of single turns: gets the intended time, by when it must have been possible to begin, and
        #: the run's end, in ns; and what writes down one that nobody began, and why; None: single turns are
        self.travel: Callable[[int, int, int], Steps[None]] | None = None
        self.not_begun: Callable[[int, str], None] | None = None

    # Connection

    def ensure_ready(self, until_ns: int, *, idle: bool = False) -> Steps[bool]:
        """Be connected and ready, retrying as the policy says, until a time; false: not by then, or never again.

        ``idle``: with nothing to say, so that nobody is dialled once the run wants no more turns.
        """
        session, backoff, now_ns = self.session, self._backoff, self._now_ns
        while not session.ready:
            if self._is_refused() or now_ns() >= until_ns or (idle and self._over()):
                return False
            if now_ns() < self._first_ns:
                yield Pause(min(self._first_ns, max(until_ns, now_ns())))
                continue
            if self._unproved:
                self._unproved = False
                if not (yield from self._back_off(until_ns)):
                    return False
                continue
            if (yield from self._connect((until_ns - now_ns()) / NS_PER_S)) and (yield from self._await_ready()):
                if self._greets:
                    backoff.succeeded()
                self._arrived()
                return True
            if not self._is_ready() and not (yield from self._back_off(until_ns)):
                return False
        return True

    def _back_off(self, until_ns: int) -> Steps[bool]:
        """Wait as the policy says, but not beyond a time; false: there is no coming back."""
        session, backoff, now_ns = self.session, self._backoff, self._now_ns
        delay_ms = backoff.failed(fatal=self._fatal)
        if delay_ms is None:
            session.gave_up(now_ns(), fatal=backoff.stopped)
            if backoff.stopped:
                return False
            # The outage outlasted the policy. The user stays, and looks again at the policy's slowest pace.
            backoff.succeeded()
            delay_ms = float(self._policy.cap_ms)
        yield Pause(min(now_ns() + int(delay_ms * NS_PER_MS), max(until_ns, now_ns())))
        return True

    def _connect(self, left_s: float) -> Steps[bool]:
        session = self.session
        self._fatal = self._closing = False
        session.dial(self._now_ns())
        failure: Failure | None = yield Dial(max(LEAST_CONNECT_S, min(CONNECT_TIMEOUT_S, left_s)))
        if failure is not None:
            self._fatal = failure.fatal or self._is_fatal(failure.code)
            session.dial_failed(self._now_ns(), failure.code, failure.text, fatal=self._fatal)
            return False
        return session.open  # false: upgraded and closed at once, which ``closed`` has told the session

    def _await_ready(self) -> Steps[bool]:
        session, deadline_ns = self.session, self._now_ns() + self._handshake_ns
        while session.open and not session.ready:
            self._send()
            pause_ns = session.pause_until_ns
            if self._now_ns() >= deadline_ns:
                self._let_go(self._now_ns(), 1000, "no welcome", never_ready=True)
                break
            yield Wait(min(pause_ns, deadline_ns) if pause_ns else deadline_ns)
            session.tick(self._now_ns())
        if self._is_ready():
            self._send()
        return self._is_ready()

    # Asked anew each time: while the conversation waits, anything may change.
    def _is_ready(self) -> bool:
        return self.session.ready

    def _is_fatal(self, code: int) -> bool:
        return self.session.is_fatal(code) or self._backoff.is_fatal(code)

    def _is_refused(self) -> bool:
        return self._backoff.stopped

    def closed(self, code: int, reason: str, at_ns: int) -> None:
        """The shell tells: the other side, or the network, ended the connection."""
        session = self.session
        self._fatal = self._is_fatal(code)
        if session.ready and not self._closing:
            self._first_ns = at_ns + int(self._backoff.lost() * NS_PER_MS)
        if not self._greets and not session.heard:
            self._unproved = True  # whoever says nothing and closes has not served us
        if session.flights:
            self._cut_ns, self._events_at_cut = at_ns, session.events_in_flight
            session.unsend()
        dismissed = self._fatal and session.ready and not self._closing
        session.closed(at_ns, code, reason, ours=self._closing or code == OUR_ERROR)
        if dismissed:  # not even once more: whoever was let in is told as clearly as who was not
            self._backoff.failed(fatal=True)
            session.gave_up(at_ns, fatal=True)

    def _let_go(self, at_ns: int, code: int, reason: str, *, never_ready: bool = False) -> None:
        """Without a goodbye."""
        self._closing = True
        self._line.abort()
        if self.session.open:
            self.session.closed(at_ns, code, reason, ours=True, never_ready=never_ready)

    def _send(self) -> None:
        line, outbox = self._line, self.session.outbox
        while outbox and line.is_open:
            line.send(outbox.pop(0))

    def beat(self) -> None:
        """To be called a few times a second: what the contract sends while nothing else is said, and whether it is answered."""
        session, now_ns = self.session, self._now_ns()
        if not session.ready:
            return
        if session.unanswered(now_ns):  # nobody is there; whoever waits comes back by another connection
            self._let_go(now_ns, 1000, "no answer to a ping", never_ready=True)
        elif session.keep_alive(now_ns):
            self._send()

    def returned(self, at_ns: int) -> None:
        """The client had not looked for a while: what is under way has the recovery budget from now, as after a cut."""
        if self.session.flights:
            self._cut_ns, self._events_at_cut = at_ns, self.session.events_in_flight

    # Turns

    def run_turn(self, intended_ns: int, ask: Ask, give_up_sending_ns: int) -> Steps[bool]:
        """Send one turn and wait for its end; false: it was dropped.

        ``give_up_sending_ns``: by then it has not been possible to send, so it is dropped.
        """
        session = self.session
        if not session.ready and not (yield from self.ensure_ready(give_up_sending_ns)):
            session.dropped(intended_ns, self._now_ns(), self.refused)
            return False
        now_ns = self._now_ns()
        self.begin(intended_ns, ask)
        if ask.cancel_after_ms >= 0 or ask.second_after_ms >= 0:
            yield from self._interfere(ask, now_ns)
        yield from self.await_end()
        self.ended(session.last_end, intended_ns, None if ask.second else ask.tells)
        return True

    def begin(self, intended_ns: int, ask: Ask, step: int = 0) -> Flight:
        """Send a turn's message, on a connection that is ready. ``step``: of a journey, from 1."""
        if not self.session.flights:
            self._cut_ns = 0
        flight = self.session.begin(intended_ns, ask.content, self._now_ns(), ask.expect, step)
        self._send()
        return flight

    def ended(self, end: End, intended_ns: int, tells: Told | None = None, flight: Flight | None = None) -> None:
        """A turn is over; what its message told is known if it was answered. ``flight``: it ended some time ago."""
        if self.session.heard and not self._greets:
            self._backoff.succeeded()
        if tells is not None and end in ANSWERED:
            tells.known = True
        if self.on_turn is not None and not (flight is not None and flight.left):
            ended_ns = self._now_ns() if flight is None else flight.ended_ns
            self.on_turn(end, (ended_ns - intended_ns) / NS_PER_MS)

    def drop(self, intended_ns: int, why: str) -> None:
        """What was planned for a time, and nobody begins."""
        if self.not_begun is not None:
            self.not_begun(intended_ns, why)
        else:
            self.session.dropped(intended_ns, self._now_ns(), why)

    def cancel(self) -> None:
        """Ask for the latest turn to be stopped."""
        self.session.cancel(self._now_ns())
        self._send()

    @property
    def refused(self) -> str:
        """Why nobody could be connected."""
        return "refused for good" if self._is_refused() else "not connected"

    def _interfere(self, ask: Ask, sent_ns: int) -> Steps[None]:
        """While the turn is under way: cancel it, or say something else, as planned."""
        session = self.session
        cancels = ask.cancel_after_ms >= 0
        at_ns = sent_ns + int((ask.cancel_after_ms if cancels else ask.second_after_ms) * NS_PER_MS)
        while session.flights and session.ready and self._now_ns() < at_ns:
            yield Wait(at_ns)
            self._send()  # such as the answer to a ping
        if not session.flights or not session.ready:
            return
        if cancels:
            session.cancel(self._now_ns())
        else:
            session.begin(self._now_ns(), ask.second, self._now_ns())
        self._send()

    def await_end(self, until_ns: int = NEVER, enough: Callable[[], bool] | None = None) -> Steps[None]:
        """Until all that is under way has ended, or was given up; or until a time, or ``enough``, which is asked whenever the session
        wakes.
        """
        session, recovery_ns, now_ns = self.session, self._recovery_ns, self._now_ns
        while session.flights:
            if now_ns() >= until_ns or (enough is not None and enough()):
                return
            if not session.ready:
                # Cut. A backend that is down for longer than both budgets has not served this turn.
                budget_ns = max(session.deadline_ns(), self._cut_ns + recovery_ns)
                if not (yield from self.ensure_ready(min(budget_ns, until_ns))):
                    if until_ns < budget_ns and not self._is_refused():
                        return
                    self._give_up()
                    return
                self._cut_ns = now_ns()
                self._send()
                continue
            deadline_ns = session.deadline_ns()
            if self._cut_ns:
                # Only a contract of recovery bounds a cut turn by the recovery budget; a resumed one just goes on.
                heard = session.events_in_flight > self._events_at_cut or self._contract.resumes
                deadline_ns = max(deadline_ns, self._cut_ns + recovery_ns) if heard else self._cut_ns + recovery_ns
            if deadline_ns <= now_ns():
                self._give_up(now_ns())
                continue
            # Coarse: most turns end long before, and a timer a turn would cost more than all else about its end.
            yield Wait(min(deadline_ns, until_ns), coarse=deadline_ns <= until_ns)
            self._send()

    def attend(self, until_ns: int, enough: Callable[[], bool] | None = None) -> Steps[None]:
        """Until a time, or ``enough``, or until the run wants no more and nothing is under way; meanwhile what is under way goes on,
        and a connection that breaks is made again.
        """
        while self._now_ns() < until_ns and not (enough is not None and enough()):
            if self.session.flights:
                yield from self.await_end(until_ns, enough)
            elif not (yield from self._wait_until(until_ns, enough)):
                return

    def depart(self, until_ns: int, *, reset: bool) -> Steps[None]:
        """The user's own doing: away until a time, whatever is under way. ``reset``: by a RST and without a word."""
        session = self.session
        if session.open:
            session.part()
            yield from self._part(reset=reset)
            if self._contract.file.turn.interrupted == "abandoned":
                session.give_up(self._now_ns(), End.ABANDONED)
        yield from self._stay_away(until_ns)

    def come_back(self) -> Steps[bool]:
        """Be connected again, within the recovery budget; what is under way has that budget once more."""
        if not (yield from self.ensure_ready(self._now_ns() + self._recovery_ns)):
            return False
        if self.session.flights:
            self._cut_ns = self._now_ns()
        self._send()
        return True

    def _give_up(self, by_ns: int = 0) -> None:
        """Those turns that should have ended by a time; 0, or where none is alone in that: all."""
        session = self.session
        due = [flight for flight in session.flights.values() if by_ns and session.deadline_of(flight) <= by_ns]
        for flight in due or list(session.flights.values()):
            in_doubt = self._cut_ns and not flight.events and not flight.resent
            session.give_up(self._now_ns(), End.IN_DOUBT if in_doubt else End.TIMEOUT, flight.number)

    def live(
        self, schedule: Iterator[float], start_ns: int, end_ns: int, late_ms: int, ask: Callable[[], Ask], *,
        stay_until_ns: int = 0, closed: bool = False,
    ) -> Steps[None]:  # fmt: skip
        """All planned turns of this user, from the run's start to its end, then a polite goodbye.

        ``late_ms``: what is later is dropped; ``stay_until_ns``: connected until then, even if there is nothing more to say;
        ``closed``: the schedule is made while the user goes on.
        """
        late_ns, now_ns = late_ms * NS_PER_MS, self._now_ns
        for at_ms in schedule:
            intended_ns = start_ns + int(at_ms * NS_PER_MS)
            if intended_ns >= end_ns or not (yield from self._wait_until(intended_ns)):
                break
            if self._is_refused() and closed:
                break  # who waits for answers and gets none plans no turns
            if now_ns() - intended_ns > late_ns:
                self.drop(intended_ns, "late by more than a pace")
                continue
            yield from self._take(intended_ns, ask, intended_ns + late_ns, end_ns)
        if stay_until_ns:
            yield from self._wait_until(stay_until_ns)
        yield from self.stop()

    def _take(self, intended_ns: int, ask: Callable[[], Ask], give_up_ns: int, end_ns: int) -> Steps[None]:
        if self.travel is not None:
            yield from self.travel(intended_ns, give_up_ns, end_ns)
        else:
            yield from self.run_turn(intended_ns, ask(), give_up_ns)

    def serve(self, seat: Seat, end_ns: int, late_ms: int, ask: Callable[[], Ask]) -> Steps[None]:
        """What arrives from outside, whenever this user is free, to the run's end; then a polite goodbye."""
        late_ns = late_ms * NS_PER_MS
        while not self._over() and self._now_ns() < end_ns:
            if intended_ns := seat.taken() or (seat.offer() if self._is_ready() else 0):
                seat.withdraw()
                yield from self._take(intended_ns, ask, intended_ns + late_ns, end_ns)
            elif self._is_leaving():
                seat.withdraw()
                yield from self._leave(end_ns)
            elif self._is_ready():
                yield Wait(self._leave_ns or None)
                self._send()
            else:
                seat.withdraw()
                if self._is_refused():
                    yield Wait(end_ns)
                else:
                    yield from self.ensure_ready(end_ns, idle=True)
        seat.withdraw()
        if intended_ns := seat.taken():
            self.drop(intended_ns, "the run ended")
        yield from self.stop()

    def _wait_until(self, at_ns: int, enough: Callable[[], bool] | None = None) -> Steps[bool]:
        """Wait for a turn's time, or ``enough``; a connection that breaks meanwhile is made again at once, as a chat page would."""
        while not self._over():
            if self._now_ns() >= at_ns or (enough is not None and enough()):
                return True
            if self._is_leaving():
                yield from self._leave(at_ns)
                continue
            if not self.session.ready and not self._backoff.stopped:
                yield from self.ensure_ready(at_ns, idle=True)
                continue
            leaves = self._leave_ns if self.session.ready else 0
            yield Wait(min(at_ns, leaves or at_ns))
            self._send()
        return False

    # Visits

    def _arrived(self) -> None:
        """Ready by a new connection: from now on counts how long the user stays."""
        if self.visit is not None:
            stay_s, away_s = self.visit()
            self._leave_ns = self._now_ns() + int(stay_s * NS_PER_S)
            self._away_ns = int(away_s * NS_PER_S)

    def _is_leaving(self) -> bool:
        return 0 < self._leave_ns <= self._now_ns() and self.session.ready

    def _leave(self, until_ns: int) -> Steps[None]:
        """Say goodbye, as one who closes the page, and stay away for a while, but not beyond a time."""
        yield from self._part(reset=False)
        yield from self._stay_away(min(self._now_ns() + self._away_ns, max(until_ns, self._now_ns())))

    def _part(self, *, reset: bool) -> Steps[None]:
        """End the connection, of one's own will."""
        self._closing, self._leave_ns = True, 0
        if reset:
            self._line.abort(reset=True)
        else:
            yield Hangup(1000, "")
        if self.session.open:
            self.closed(ABNORMAL if reset else 1000, "", self._now_ns())

    def _stay_away(self, until_ns: int) -> Steps[None]:
        while not self._over() and self._now_ns() < until_ns:
            yield Wait(until_ns)

    def stop(self) -> Steps[None]:
        """Say goodbye and settle. Idempotent."""
        if self.stopped:
            return
        self.stopped = True
        self._closing = True
        yield Hangup(1000, "")
        if self.session.open:
            self.session.closed(self._now_ns(), 1000, "", ours=True)
        if not self.settled:  # the run may have been killed during the goodbye
            self.settled = True
            self.session.stop(self._now_ns())

    def cut(self) -> None:
        """The run is being killed: a turn in flight is censored, the connection let go at once."""
        if self.settled:
            return
        self.stopped = self.settled = True
        session, now_ns = self.session, self._now_ns()
        session.give_up(now_ns, End.CUT_BY_STOP)
        self._let_go(now_ns, 1001, "run ended")
        session.stop(now_ns)
