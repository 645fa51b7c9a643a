"""A user on its journey: performs the steps one after the other, and accounts for every turn that they plan. Pure.

It asks the same shell as a conversation for all that takes time, so that what is under way goes on during any step.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from loadtests.configfile import convert
from loadtests.contract.compile import Contract
from loadtests.conversation import NEVER, Answer, Ask, Conversation, Failure, Fetch, Outcome, Pending, Run, Steps
from loadtests.dice import Dice
from loadtests.errors import ConfigError
from loadtests.flight import Flight
from loadtests.history import OUR_ERROR, End, Fate
from loadtests.journey import (
    Await,
    Cancel,
    Disconnect,
    Http,
    JourneyStep,
    Outside,
    Say,
    Switch,
    Think,
    check_journey,
    check_journey_promised,
    in_words,
    kind_of,
    sends,
    stated,
)  # fmt: skip
from loadtests.outside import Function, Here, StepFailed
from loadtests.prompts import Prompter
from loadtests.session import Session

__all__ = ["Traveller", "not_begun"]

NS_PER_MS = 1_000_000
MS_PER_S = 1000
NOT_BEGUN = "its journey was not begun"
#: a turn that ends so has not given its user what it waited for
BAD = frozenset({End.FAILED, End.TIMEOUT, End.ABANDONED})
#: of these nobody can say; a quota was measured, and not the backend
UNSAID = frozenset({End.CUT_BY_STOP, End.IN_DOUBT, End.THROTTLED})
#: bad ends that a backend may give a turn whose user has left it
EXCUSED = frozenset({End.FAILED, End.ABANDONED})
BEGUN, ENDED = JourneyStep(send="."), JourneyStep(awaits="done")


class _Over(Exception):  # noqa: N818  # how most journeys that end before their last step do so is no error
    """The journey ends here."""

    def __init__(self, fate: Fate, why: str) -> None:
        super().__init__(why)
        self.fate, self.why = fate, why


def not_begun(session: Session, steps: Sequence[JourneyStep], intended_ns: int, at_ns: int, why: str) -> None:
    """Write down a journey that nobody begins, and every turn that it planned."""
    for i, place in enumerate(sends(steps)):
        session.dropped(intended_ns, at_ns, NOT_BEGUN if i else why, place, over=i > 0)
    session.travelled(intended_ns, 0, at_ns, Fate.NOT_BEGUN, why=why)


class Traveller:
    """One user's journeys, one after the other. ``failed`` is told what a function did wrong."""

    def __init__(
        self, conversation: Conversation, contract: Contract, steps: Sequence[JourneyStep], prompter: Prompter, dice: Dice,
        *, user: int = 0, person: Mapping[str, str] | None = None, functions: Mapping[str, Function] | None = None,
        failed: Callable[[BaseException], None] = lambda _: None, now_ns: Callable[[], int], over: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._conversation, self._session = conversation, conversation.session
        self._steps, self._prompter, self._dice = tuple(steps), prompter, dice
        self._user, self._person, self._functions = user, dict(person or {}), dict(functions or {})
        self._failed, self._now_ns, self._over = failed, now_ns, over
        self._contract = contract.file
        self._recovery_ns = contract.file.turn.recovery_ms * NS_PER_MS
        self._bits: dict[str, int] = {}
        for index, role in enumerate(contract.roles):
            self._bits[role] = self._bits.get(role, 0) | 1 << index
        #: answers are kept for functions alone
        self._listens = any(step.python is not None for step in steps)
        self._notes: dict[str, Any] = {}
        prompter.switch(self._session.thread)
        self._heard = Answer(0, "")
        #: when the next step is due, and when the run ends
        self._due_ns = self._end_ns = self._late_ns = 0
        #: turns of this journey that have not been seen to end, and the latest of all
        self._flights: list[tuple[Flight, Ask]] = []
        self._latest: Flight | None = None
        self._bad: _Over | None = None

    def not_begun(self, intended_ns: int, why: str) -> None:
        """Nobody takes this one."""
        not_begun(self._session, self._steps, intended_ns, self._now_ns(), why)

    def perform(self, intended_ns: int, give_up_ns: int, end_ns: int) -> Steps[None]:
        """One journey. ``give_up_ns``: by then it has not been possible to send its first turn, so it is not begun.

        Whatever happens, each turn that it plans is sent or dropped, and all that it sends has ended when this returns.
        """
        self._due_ns, self._end_ns, self._late_ns = intended_ns, end_ns, give_up_ns - intended_ns
        self._bad, self._flights = None, []
        began_ns, fate, failed_at, why = self._now_ns(), Fate.DONE, -1, ""
        sent: list[int] = []
        place = 0
        try:
            for place, step in enumerate(self._steps, 1):
                if place > 1 and self._is_ending():
                    self._cut()
                yield from self._step(place, step, begins=place == 1)
                if step.send is not None:
                    sent.append(place)
            place = -1
            yield from self._all_ended(NEVER)
        except _Over as end:
            fate, failed_at, why = end.fate, place, end.why
        yield from self._conversation.await_end()
        self._settle()
        now_ns = self._now_ns()
        if fate is Fate.NOT_BEGUN:
            self.not_begun(intended_ns, why)
            return
        where = in_words(self._steps[failed_at - 1]) if failed_at > 0 else ""
        # Why is said once, at the journey: it may be anybody's words, and differ each time.
        reason = f"its journey was over: {where or fate.name.lower()}"
        for one in (one for one in sends(self._steps) if one not in sent):
            over = one != failed_at or fate is Fate.CUT
            self._session.dropped(self._due_ns, now_ns, reason if over else why, one, over=over)
        self._session.travelled(
            intended_ns, began_ns, now_ns, fate, failed_at, f"step {failed_at} ({where}): {why}" if where else why
        )
        if self._latest is not None and self._latest.end is not None:
            self._latest.put_away()

    # Steps

    def _step(self, place: int, step: JourneyStep, *, begins: bool = False) -> Steps[None]:
        match stated(step):
            case Say() as said:
                yield from self._send(place, said, begins=begins)
            case Await() as said:
                yield from self._await(said)
            case Think() as said:
                yield from self._think(said)
            case Cancel() as said:
                yield from self._cancel(said)
            case Switch() as said:
                self._session.switch(first=said.to == "first")
                self._prompter.switch(self._session.thread)
            case Disconnect() as said:
                yield from self._disconnect(said)
            case Http() as said:
                yield from self._http(said)
            case Outside() as said:
                yield from self._python(place, said)

    def _send(self, place: int, said: Say, *, begins: bool) -> Steps[None]:
        conversation, session = self._conversation, self._session
        ask = self._prompter.ask_of(said.say, said.expect) if said.say else self._prompter.ask()
        until_ns = self._due_ns + self._late_ns if begins else self._now_ns() + self._recovery_ns
        if not session.ready and not (yield from conversation.ensure_ready(until_ns)):
            if not begins and self._is_ending():
                self._cut()
            raise _Over(Fate.NOT_BEGUN if begins else Fate.FAILED, conversation.refused)
        flight = conversation.begin(self._due_ns, ask, place)
        if self._listens:
            flight.answer = ""
        self._latest = flight
        self._flights.append((flight, ask))
        self._due_ns = self._now_ns()

    def _await(self, said: Await) -> Steps[None]:
        limit_ns = self._due_ns + said.within_ms * NS_PER_MS if said.within_ms else NEVER
        if said.role == "done":
            yield from self._all_ended(limit_ns)
            if self._flights:
                raise _Over(Fate.FAILED, f"not within {said.within_ms:,} ms")
        elif (flight := self._latest) is not None:
            yield from self._shown(flight, self._bits.get(said.role, 0), said, limit_ns)
        self._due_ns = self._now_ns()

    def _shown(self, flight: Flight, bits: int, said: Await, limit_ns: int) -> Steps[None]:
        def shown() -> bool:
            return bool(flight.turn.seen & bits)

        if flight.end is None and not shown():
            self._session.watch(flight, bits)
            yield from self._conversation.attend(limit_ns, lambda: shown() or flight.end is not None)
            flight.awaited = 0
            self._settle()
        if shown():
            return
        if flight.end is None:
            raise _Over(Fate.FAILED, f"not within {said.within_ms or 0:,} ms")
        raise self._bad or _Over(Fate.FAILED, f"the turn ended without it ({flight.end.name.lower()})")

    def _all_ended(self, limit_ns: int) -> Steps[None]:
        """Until all that is under way has ended.

        Raises:
            _Over: not well.
        """
        yield from self._conversation.await_end(limit_ns)
        self._settle()
        if self._bad is not None:
            raise self._bad

    def _settle(self) -> None:
        """Look which turns have ended, and how."""
        for flight, ask in self._flights:
            if flight.end is None:
                continue
            self._conversation.ended(flight.end, flight.intended, ask.tells, flight)
            if flight.end in BAD and not (flight.left and flight.end in EXCUSED):
                self._bad = self._bad or _Over(Fate.FAILED, f"a turn ended: {flight.end.name.lower()}")
            elif flight.end in UNSAID:
                self._bad = self._bad or _Over(Fate.CUT, f"a turn ended: {flight.end.name.lower().replace('_', ' ')}")
        self._flights = [(flight, ask) for flight, ask in self._flights if flight.end is None]

    def _think(self, said: Think) -> Steps[None]:
        self._due_ns += int(self._dice.uniform(*said.ms) * NS_PER_MS)
        yield from self._conversation.attend(min(self._due_ns, self._end_ns))
        self._settle()
        if self._now_ns() < self._due_ns:
            self._cut()

    def _cancel(self, said: Cancel) -> Steps[None]:
        conversation, session, latest = self._conversation, self._session, self._latest
        at_ns = self._due_ns + int(said.after_ms * NS_PER_MS)

        def ended() -> bool:
            return latest is None or latest.end is not None

        yield from conversation.attend(at_ns, ended)
        if not ended() and not session.ready:
            yield from conversation.attend(NEVER, lambda: session.ready or ended())
        if not ended():
            conversation.cancel()
        self._settle()
        self._due_ns = self._now_ns()

    def _disconnect(self, said: Disconnect) -> Steps[None]:
        until_ns = self._due_ns + int(said.for_ms * NS_PER_MS)
        # Whoever was cut off comes back before it leaves: how long that takes is the outage's, and how long it is away its own.
        if not self._session.open and not (yield from self._conversation.come_back()):
            raise _Over(Fate.FAILED, self._conversation.refused)
        yield from self._conversation.depart(min(until_ns, self._end_ns), reset=said.reset)
        self._settle()
        if self._is_ending():
            self._cut()
        if not (yield from self._conversation.come_back()):
            raise _Over(Fate.FAILED, self._conversation.refused)
        self._due_ns = max(until_ns, self._now_ns())

    def _http(self, said: Http) -> Steps[None]:
        what = Fetch(said.method, said.path, said.headers, said.body, said.within_ms / MS_PER_S)
        result = yield from self._pending(what, said.within_ms)
        if isinstance(result, Failure):
            # Without a token nothing was asked.
            raise _Over(Fate.OUR_ERROR if result.code == OUR_ERROR else Fate.FAILED, result.text)
        if not isinstance(result, Answer):
            raise _Over(Fate.FAILED, f"no answer within {said.within_ms:,} ms")
        self._heard = result
        if result.status not in said.good:
            expected = " or ".join(map(str, said.good))
            raise _Over(Fate.FAILED, f"answered {result.status}, expected {expected}")
        self._due_ns = self._now_ns()

    def _pending(self, what: Fetch | Run, within_ms: int) -> Generator[Any, Any, Answer | Failure | Outcome | None]:
        """What comes of it, while all else goes on; None: nothing in time, counted from when somebody began with it."""
        pending: Pending = yield what

        def came() -> bool:
            return pending.result is not None

        while not came():
            begun_ns = self._now_ns() if pending.began_ns is None else pending.began_ns
            limit_ns = begun_ns + within_ms * NS_PER_MS
            if self._now_ns() >= limit_ns:
                break
            if not self._is_ending():
                yield from self._conversation.attend(min(limit_ns, self._end_ns), came)
            elif self._session.flights:
                yield from self._conversation.await_end(limit_ns, came)
            else:
                self._cut()
        self._settle()
        return pending.result

    # Functions

    def _python(self, place: int, said: Outside) -> Steps[None]:
        function = self._functions[said.call]
        here = self._here()
        value = yield from self._called(lambda: function(here), said)
        if inspect.isgenerator(value):
            yield from self._follow(place, said, value)
        self._due_ns = self._now_ns()

    def _follow(self, place: int, said: Outside, steps: Generator[Any, Any, Any]) -> Steps[None]:
        """Perform what a function yields; whatever it has sent has ended before the next step of the file."""
        here: Here | None = None
        while True:
            given = here
            step = yield from self._called(lambda: _next(steps, given), said)  # noqa: B023  # called before it changes
            if step is None:
                break
            self._due_ns = self._now_ns()
            if self._is_ending():
                self._cut()
            yield from self._step(place, self._checked(step, said))
            here = self._here()
        yield from self._all_ended(NEVER)

    def _checked(self, step: Any, said: Outside) -> JourneyStep:
        """A step that a function gives."""
        try:
            one = convert(step, JourneyStep, said.call) if isinstance(step, dict) else step
            if not isinstance(one, JourneyStep) or kind_of(one) in {"", "python"}:
                raise ConfigError(said.call, "", "gives no step", 'a step such as {"send": "…"}')
            if kind_of(one) in {"await", "cancel"} and self._latest is None:
                raise ConfigError(said.call, kind_of(one), "nothing is under way", "a step send before it")
            # The rules of a file, whose step before is here what has been done.
            check_journey([BEGUN, one], said.call, "yield", self._prompter.prompts, list(self._person) or None)
            before = [BEGUN] if self._session.flights else [BEGUN, ENDED]
            check_journey_promised([*before, one], self._contract, said.call, "yield")
        except (ConfigError, msgspec.ValidationError) as error:
            self._wrong(error)
        return one

    def _called(self, call: Callable[[], Any], said: Outside) -> Generator[Any, Any, Any]:
        """What a call gives.

        Raises:
            _Over: it says that the journey has failed, or did something wrong.
        """
        outcome = yield from self._pending(Run(call), said.within_ms)
        if not isinstance(outcome, Outcome):
            self._wrong(TimeoutError(f"{said.call} did not return within {said.within_ms:,} ms"))
        if isinstance(outcome.error, StepFailed | AssertionError):
            raise _Over(Fate.FAILED, str(outcome.error) or type(outcome.error).__name__)
        if outcome.error is not None:
            self._wrong(outcome.error)
        return outcome.value

    def _wrong(self, error: BaseException) -> NoReturn:
        self._failed(error)
        raise _Over(Fate.OUR_ERROR, type(error).__name__)

    def _here(self) -> Here:
        session, latest = self._session, self._latest
        end = "" if latest is None or latest.end is None else latest.end.name.lower()
        answer = (latest.answer or "") if latest is not None else ""
        return Here(
            self._user, dict(self._person), session.thread, session.turns, end, answer, self._heard.status, self._heard.text,
            self._notes,
        )  # fmt: skip

    # The end

    def _is_ending(self) -> bool:
        return self._over() or self._now_ns() >= self._end_ns

    def _cut(self) -> NoReturn:
        raise _Over(Fate.CUT, "the run ended")


def _next(steps: Generator[Any, Any, Any], here: Here | None) -> Any:
    """The next step that a generator gives; None: it has returned."""
    try:
        return steps.send(here)
    except StopIteration:
        return None
