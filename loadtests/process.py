"""One load generator process: its recorder, its users, its share of the time axis. Made after the fork, at test start."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import math
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import gevent.lock

from loadtests import arrivals, cohorts, contract, livestats, scenario
from loadtests.actor import Actor
from loadtests.acts import Cast, members_of
from loadtests.assignment import Assignment
from loadtests.chat import Chat
from loadtests.conversation import Ask
from loadtests.dial import Dial, Target, tls_context
from loadtests.dice import LateDice
from loadtests.door import Door
from loadtests.findings import Finding
from loadtests.health import Health
from loadtests.history import COHORTS, End
from loadtests.outside import load_function
from loadtests.pool import Pool
from loadtests.prompts import Interference, Prompter, spoken
from loadtests.recorder import Recorder
from loadtests.retry import declared
from loadtests.secrets import Secrets
from loadtests.session import Identity, Session
from loadtests.stopping import is_asked
from loadtests.tokens import Source, TokenError, Tokens, known_tokens
from loadtests.travel import Traveller, not_begun
from loadtests.turn import Rules
from loadtests.workload import Levels, kinds_of

__all__ = ["LoadProcess"]

log = logging.getLogger("gauntlet")
BARRIER_POLL_S = 0.02
FLUSH_S = 1.0
RING_S = 0.1
RENEW_S = 1.0
PROGRAMS_AT_ONCE = 8
#: so often arrivals that found nobody free are looked at
EXPIRE_S = 0.05
GC_THRESHOLD = 50_000
NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
#: whoever cannot connect within this before the start goes on trying after it
COMING_NS = 5 * NS_PER_S
LOCUSTS_OWN_LISTENERS = 1  # its statistics, which are fed in bulk
UNSAID = ("…",)  # of a scenario without prompts, whose users all have journeys
STRIDE = 1 << 16  # user numbers of workers whose count is not known beforehand


class LoadProcess:
    """Owns everything that one Locust worker needs; ``environment`` is Locust's."""

    def __init__(self, assignment: Assignment, environment: Any, index: int) -> None:
        # Collections over what lives as long as the run would stop the loop for nothing.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)
        self.assignment = assignment
        self.environment = environment
        self.index = index
        self.contract = contract.load(assignment.contract)
        self.scenario, _ = scenario.load(assignment.scenario)
        source = Source(assignment.token_env, assignment.token_file, assignment.token_program)
        self._secrets = Secrets(known_tokens(source), assignment.users)
        self._tokens = Tokens(source, self._learn_token)
        self._asking = gevent.lock.BoundedSemaphore(PROGRAMS_AT_ONCE)
        self._target = Target.parse(assignment.target, self.contract.file.endpoint, assignment.resolve)
        self._tls = tls_context(self._target.scheme, assignment.ca)
        self._treated = (
            cohorts.treated(assignment.seed, assignment.users, assignment.treated_share)
            if assignment.listeners
            else frozenset()
        )
        self._functions = {one.call: load_function(one) for _, one in self.scenario.functions}
        run_dir = Path(assignment.run_dir)
        self._rows = run_dir / "rows"
        self.name = f"worker-{index}"
        self._cast = Cast(assignment.acts, assignment.seed, members_of(self._treated, assignment.users))
        self._actor: Actor | None = None
        self.recorder = Recorder(self._rows, self.name, self._secrets)
        self.recorder.on_flush = self._feed
        self._prompts = spoken(self.scenario.prompts or UNSAID)
        self._rules = Rules(self.contract, self.recorder.names(self.contract.file.agents.root))
        self._shown = ["" if rule.role == "other" else rule.name for rule in self.contract.events]
        self._shown.insert(0, "")
        self.findings: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.over = gevent.event.Event()
        self.started = gevent.event.Event()
        self.start_ns = 0
        self.end_ns = 0
        self._made = 0
        #: users connect one after the other, before the start; and how many are prepared, connected or with a token
        self._ramp_per_s = self.scenario.limits.connects_per_s if assignment.barrier else None
        self._came, self._up_ns = 0, time.monotonic_ns()
        self._kinds = kinds_of(assignment.seed, assignment.users, self.scenario.mix)
        self._levels = self.scenario.levels
        #: of an open model: its arrivals find their users here
        self._pool: Pool | None = None
        if self.scenario.arrivals.model == "open" and assignment.barrier:
            self._pool = Pool(self.scenario.late_ms * NS_PER_MS, self._group, self._drop)
        #: somebody beside Locust's own statistics wants to hear of every turn
        self.has_listeners = len(environment.events.request._handlers) > LOCUSTS_OWN_LISTENERS
        self.chats: list[Chat] = []
        self._players: dict[int, Chat] = {}
        health = Health(run_dir / "health.jsonl", self.name)
        bodies = [health.run, self._flush_for_ever, self._begin, self._ring]
        if self._tokens.changes:
            bodies.append(self._renew)
        self._greenlets = [gevent.spawn(body) for body in bodies]

    def _begin(self) -> None:
        """Agree on the time axis, then watch for the end."""
        if self.assignment.barrier:
            mine = len(range(self.index, self.assignment.users, self.assignment.workers))
            prepared = self._ramp_per_s is not None or self._tokens.changes
            while prepared and self._came < mine:
                gevent.sleep(BARRIER_POLL_S)
            (self._rows / f"{self.name}.up").write_text(str(time.monotonic_ns()))
            start = Path(self.assignment.run_dir) / "start.json"
            while not start.exists():
                gevent.sleep(BARRIER_POLL_S)
            self.start_ns = int(json.loads(start.read_bytes())["start_ns"])
            self.end_ns = self.start_ns + int(self.scenario.total_s * NS_PER_S)
        else:
            self.start_ns = time.monotonic_ns()
            self.end_ns = 1 << 62
        self.started.set()
        if self._pool is not None:
            self._greenlets.append(gevent.spawn(self._dispatch, self._pool))
        if self._cast.acts:
            self._actor = Actor(self._cast, self._players, self._rows, self.name)
            self._greenlets += self._actor.play(self.start_ns)
        if self.assignment.barrier:
            self.over.wait(max(0.0, (self.end_ns - time.monotonic_ns()) / NS_PER_S))
            while not all(chat.settled for chat in self.chats):
                gevent.sleep(BARRIER_POLL_S)
            self.recorder.flush()
            (self._rows / f"{self.name}.done").write_text(str(time.monotonic_ns()))

    def chat(self) -> tuple[int, Chat] | None:
        """A new user: its number in the run, and its conversation. None: all of ours are here; Locust was asked for so many that
        each of its workers is given enough, whichever it gives one more.
        """
        a = self.assignment
        number = self._made * a.workers + self.index if a.barrier else self.index * STRIDE + self._made
        if a.barrier and number >= a.users:
            return None
        self._made += 1
        cohort = self._cohort(number)
        token = None if self._tokens.changes else self._tokens.of(number)
        door = self._door(token, cohort, number)
        session = Session(
            self.contract,
            self._rules,
            Identity(a.nonce, number, COHORTS.index(cohort)),
            self.recorder,
            self._found,
            _wall,
            token or "",
            self._secrets.learn,
        )
        dice = LateDice(f"retry:{a.seed}:{number}")
        one = Chat(
            session, self.contract, door, declared(self.contract.file.client, self.scenario.retry), dice, self.over
        )
        one.on_error = self._own_error
        one.conversation.visit = self._visits(number)
        self._set_out(number, one)
        self.chats.append(one)
        self._players[number] = one
        return number, one

    def _set_out(self, number: int, chat: Chat) -> None:
        """Whoever has a journey travels in the place of single turns."""
        one, seed, kind = self.scenario, self.assignment.seed, self._kind(number)
        if not (steps := one.journey_of(kind)):
            return
        person = self._person(number)
        traveller = Traveller(
            chat.conversation, self.contract, steps, Prompter(one.prompts, seed, number, Interference(), Interference(), person),
            LateDice(f"journey:{seed}:{number}"), user=number, person=person, functions=self._functions,
            failed=self._function_failed, now_ns=time.monotonic_ns, over=self.over.is_set,
        )  # fmt: skip
        chat.conversation.travel, chat.conversation.not_begun = traveller.perform, traveller.not_begun

    def _function_failed(self, error: BaseException) -> None:
        """A mistake of a function that the scenario names; the first of each kind is told with where it happened."""
        name = type(error).__name__
        if name not in self.errors:
            log.error("a python step: %s", self._secrets.redact("".join(traceback.format_exception(error))))
        self._own_error(name)

    def _person(self, number: int) -> dict[str, str] | None:
        people = self.scenario.people
        return people[number % len(people)] if people else None

    def _cohort(self, number: int) -> str:
        if not self.assignment.listeners:
            return "direct"
        return "treated" if number in self._treated else "control"

    def _kind(self, number: int) -> int:
        """Place in the scenario's mix; of a plain run, whose users are not numbered through, the first."""
        return self._kinds[number] if number < len(self._kinds) else 0

    def _visits(self, number: int) -> Callable[[], tuple[float, float]] | None:
        """How long a user of a kind that comes and goes stays each time, and is away; None: it stays."""
        kind = self.scenario.mix[self._kind(number)] if self.scenario.mix else None
        if kind is None or kind.stay_s is None:
            return None
        dice, stay_s, away_s = random.Random(f"visits:{self.assignment.seed}:{number}"), kind.stay_s, kind.away_s
        return lambda: (dice.uniform(*stay_s), dice.uniform(*away_s))

    def pace_ms(self, number: int) -> int:
        """As the scenario has it for a user."""
        return self.scenario.pace_of(self._kind(number))

    def _group(self, number: int) -> tuple[str, int]:
        """Whoever is of the same may answer for each other."""
        return self._cohort(number), self._kind(number)

    def _drop(self, number: int, intended_ns: int, why: str) -> None:
        # Whom Locust has not brought yet cannot say it itself; nothing that was meant goes uncounted.
        for chat in (self._players.get(number), *self.chats[:1]):
            if chat is not None:
                if steps := self.scenario.journey_of(self._kind(number)):
                    not_begun(chat.session, steps, intended_ns, time.monotonic_ns(), why)
                else:
                    chat.session.dropped(intended_ns, time.monotonic_ns(), why)
                return
        self._own_error("NobodyThere")

    def _dispatch(self, pool: Pool) -> None:
        """Let arrive what is this process's own part of the run's arrivals."""
        a, one = self.assignment, self.scenario
        talking = arrivals.talking(one, a.seed)
        for at_ms, user in arrivals.opened(a.seed, talking, one.rate_per_s, one.arrivals.schedule, self._levels):
            if self.over.is_set():
                return
            if user % a.workers == self.index:
                at_ns = self.start_ns + int(at_ms * NS_PER_MS)
                self._until(at_ns, pool)
                if self.over.is_set():
                    return
                pool.arrive(user, at_ns)
        self._until(self.end_ns, pool)
        pool.close()

    def _until(self, at_ns: int, pool: Pool) -> None:
        """Wait, and meanwhile drop what has waited for too long; never without a look at who else wants to run."""
        gevent.sleep(0)
        while not self.over.is_set() and (left_s := (at_ns - time.monotonic_ns()) / NS_PER_S) > 0:
            gevent.sleep(min(left_s, EXPIRE_S))
            pool.expire(time.monotonic_ns())

    def prompter(self, number: int, prompts: Sequence[str]) -> Prompter:
        """What a user says; ``prompts``: its own instead of the scenario's."""
        one = self.scenario
        return Prompter(
            prompts or self._prompts,
            self.assignment.seed,
            number,
            one.cancel,
            one.overlap,
            self._person(number),
        )

    def _door(self, token: str | None, cohort: str, number: int) -> Door:
        file, listeners, sources = self.contract.file, self.assignment.listeners, self.assignment.sources
        buffer_bytes = self._cast.receive_buffer_bytes(number)

        def dial_of(values: Mapping[str, str]) -> Dial:
            dial = self._target.dial(file.auth, values.get("token", token), self._tls, values)
            return replace(
                dial, source=sources[number % len(sources)] if sources else "", receive_buffer_bytes=buffer_bytes
            )

        def via() -> tuple[str, int] | None:
            at_ms = (time.monotonic_ns() - self.start_ns) / NS_PER_MS if self.start_ns else -1.0
            return listeners.get(self._cast.listener(cohort, number, at_ms)) or listeners.get(cohort)

        credentials = {"token": token} if token else {}
        asked = (lambda: self._token(number)) if self._tokens.changes else None
        return Door(dial_of, file.prelude, credentials, self.assignment.ca, self._secrets, via, asked)

    def _learn_token(self, token: str) -> None:
        self._secrets.keep(token)

    def _token(self, number: int) -> str | None:
        """A program is asked for a few users at a time: as many at once as there are users would be a load of its own."""
        with self._asking:
            return self._tokens.of(number)

    def _renew(self) -> None:
        """Fetch tokens again before they expire, so that no connection waits for it."""
        while True:
            gevent.sleep(RENEW_S)
            for number in self._tokens.due():
                with contextlib.suppress(TokenError):  # whoever needs it asks again, and says so
                    self._token(number)

    def converse(self, number: int, chat: Chat, content: Callable[[], Ask | str], pace_ms: int) -> None:
        """A user's whole life. Our own mistakes are counted against us and never end the user."""

        def ask() -> Ask:
            said = content()
            return Ask(said) if isinstance(said, str) else said

        if self._tokens.changes:
            with contextlib.suppress(TokenError):
                self._token(number)  # before the start, so that the first connection does not wait for it
        if self._ramp_per_s is not None:
            # By number: Locust would spawn a whole second's users at once.
            gevent.sleep(max(0.0, number / self._ramp_per_s - (time.monotonic_ns() - self._up_ns) / NS_PER_S))
            chat.ensure_ready(time.monotonic_ns() + COMING_NS)
        self._came += 1
        self.started.wait()
        live = self._life(number, chat, ask, pace_ms)
        while not chat.stopped:
            try:
                live()
            except Exception as error:
                self.errors[type(error).__name__] += 1
                log.exception("user %d", number)
                gevent.sleep(FLUSH_S)
        chat.cut()  # an error in the goodbye itself leaves nothing open

    def _life(self, number: int, chat: Chat, ask: Callable[[], Ask], pace_ms: int) -> Callable[[], None]:
        """What the user does from start to end, as the scenario's arrivals are."""
        one, seed = self.scenario, self.assignment.seed
        if self._pool is not None:
            pool = self._pool
            return lambda: chat.serve(pool, number, self.end_ns, one.late_ms, ask)
        kind = one.mix[self._kind(number)] if one.mix else None
        shaped, stays = self.assignment.barrier, not self._levels.flat
        schedule: Iterator[float]
        if kind is not None and not kind.talks:
            schedule, stays = iter(()), True
        elif one.arrivals.model == "closed":
            think_ms = (kind.think_ms if kind else None) or one.arrivals.think_ms
            levels = self._levels if shaped else Levels([(math.inf, 1.0)])
            schedule = arrivals.thinking(
                seed, number, think_ms, self._now_ms, levels, number / self.assignment.users % 1
            )
        else:
            schedule = arrivals.paced(seed, number, pace_ms, self._offset_ms(), self._levels if shaped else None)
        stay_ns = self.end_ns if stays else 0
        return lambda: chat.live(
            schedule, self.start_ns, self.end_ns, one.late_ms if shaped else pace_ms, ask, stay_until_ns=stay_ns,
            closed=one.arrivals.model == "closed",
        )  # fmt: skip

    def _now_ms(self) -> float:
        return (time.monotonic_ns() - self.start_ns) / NS_PER_MS

    def _offset_ms(self) -> float:
        """Without a barrier users come whenever Locust spawns them, and plan from then on."""
        return 0.0 if self.assignment.barrier else self._now_ms()

    def fire_turn(self, end: End, took_ms: float) -> None:
        """One Locust ``request`` a turn, for those who listen; Locust's own statistics are fed in bulk."""
        if end not in livestats.CENSORED:
            self.environment.events.request.fire(
                request_type=livestats.TURN, name="turn", response_time=took_ms, response_length=0, context={}, response=None,
                exception=None if end not in livestats.FAILURES else livestats.TurnFailedError(end.name.lower()),
            )  # fmt: skip

    def _own_error(self, name: str) -> None:
        self.errors[name] += 1

    def _found(self, finding: Finding) -> None:
        first = not self.findings[finding.kind.name]
        self.findings[finding.kind.name] += 1
        if first:
            log.warning(
                "provisional finding %s: %s (session %d)", finding.kind.checker, finding.kind.text, finding.session
            )

    def _feed(self, block: memoryview) -> None:
        livestats.feed(self.environment.stats, self._shown, block, time.time())

    def _flush_for_ever(self) -> None:
        while True:
            gevent.sleep(FLUSH_S)
            self.recorder.flush()
            if not self.over.is_set() and is_asked(self._rows.parent):
                self._drain()

    def _drain(self) -> None:
        """No more turns; whoever waits for the next one says goodbye."""
        self.over.set()
        if self._pool is not None:
            self._pool.close()
        for chat in self.chats:
            chat.nudge()

    def _ring(self) -> None:
        while True:
            gevent.sleep(RING_S)
            now_ns = time.monotonic_ns()
            for chat in self.chats:
                chat.ring(now_ns)

    def stop(self) -> None:
        """End of the test: cut what still runs, write our own account. Idempotent."""
        self.over.set()
        for chat in self.chats:
            chat.cut()
        gevent.killall(self._greenlets, block=False)
        if self._actor is not None:
            self._actor.close()
        sessions = [chat.session for chat in self.chats]
        self.recorder.close(
            {
                "users": len(self.chats),
                "turns": sum(session.turns for session in sessions),
                "errors": dict(self.errors),
                "provisional": dict(self.findings),
            }
        )


class _WallClock:
    """ISO time of day to the millisecond; the slow part of it is made once a second."""

    def __init__(self) -> None:
        self._second, self._text = 0, ""

    def __call__(self) -> str:
        second, ns = divmod(time.time_ns(), NS_PER_S)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{ns // 1_000_000:03d}+00:00"


_wall = _WallClock()
