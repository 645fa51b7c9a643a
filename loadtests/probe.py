"""One connection and one turn, step by step: the preflight before any load, ``gauntlet try``, and ``gauntlet doctor``.

A process of its own when the conductor asks, since it runs on gevent: ``python -m loadtests.probe ASSIGNMENT``.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

import gevent
import msgspec

from loadtests import assignment, contract
from loadtests.bell import Bell
from loadtests.contract.compile import Contract
from loadtests.dial import Dial, Target, tls_context
from loadtests.door import Door
from loadtests.errors import ConfigError
from loadtests.findings import Finding
from loadtests.floor import Floor, measured
from loadtests.history import End
from loadtests.plaintext import printable
from loadtests.retry import REFUSALS
from loadtests.secrets import Secrets
from loadtests.session import Identity, Session
from loadtests.tokens import Source, TokenError, Tokens, known_tokens
from loadtests.transport import Connection, DialError
from loadtests.turn import Rules

__all__ = ["PROBE_SESSION", "Frame", "Probe", "Report", "main", "probe_assignment"]

PROBE_SESSION = 0xFFFFFF  # no user of a run has this number
CONNECT_TIMEOUT_S = 10.0
SHOWN_FRAMES = 8
SHOWN_BYTES = 300
WHOLE_BYTES = 8192
PREFLIGHT_TURN_S = 15.0  # it waits no longer, even where the contract would
NS_PER_MS = 1e6
APPLICATION_CLOSES = range(4000, 5000)  # RFC 6455 7.4.2: what they mean is the other side's to say

Fit = Literal["refused", "no-websocket", "unreachable", "silent", "misfit", "fits"]


class Frame(msgspec.Struct, frozen=True):
    """One text frame as the contract saw it; ``at_ms`` since the message was sent (or since dialling, before)."""

    at_ms: float
    event: str
    standing: str
    text: str
    findings: tuple[str, ...] = ()
    #: not cut where it is shown; of frames that did not fit, so that another contract can be tried on them
    whole: str = ""


class Report(msgspec.Struct, kw_only=True):
    """``steps``: name, ok, milliseconds, text. ``fit`` says whether a run makes sense."""

    fit: Fit = "fits"
    problem: str = ""
    steps: list[tuple[str, bool, float, str]] = []
    frames: list[Frame] = []
    approved: int = 0
    outcome: str = ""
    build: str = ""
    #: of the preflight: what cannot be measured below here; None: no echo
    floor: Floor | None = None


class _Memory:
    """A record that is kept nowhere: the probe only shows."""

    frames_received = 0

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}
        self.known = self._numbers.get
        self._rows = 0

    def row(self, *_: int, **__: int) -> int:
        self._rows += 1
        return self._rows - 1

    def ordinary(self, *_: int | bytes) -> int:
        self.frames_received += 1
        return self.row()

    def intern(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    def keep(
        self, session: int, turn: int, row: int, at_ns: int, direction: str, raw: bytes, size: int | None = None
    ) -> None:
        """Shown as they come, not kept."""


class Probe:
    """Walks one session through connect, ready and a turn, and tells what it sees."""

    def __init__(
        self, compiled: Contract, door: Door, nonce: str, secrets: Secrets, show: Callable[[Frame], None] | None = None,
        most_turn_s: float = math.inf, token: str = "",
    ) -> None:  # fmt: skip
        self._contract = compiled
        self._door = door
        self._secrets = secrets
        self._show = show
        self._turn_limit_s = min(compiled.file.turn.deadline_ms / 1000, most_turn_s)
        self._offered = bool(token)
        self.report = Report()
        self._found: list[str] = []
        record = _Memory()
        rules = Rules(compiled, frozenset(record.intern(name) for name in compiled.file.agents.root))
        self._session = Session(
            compiled, rules, Identity(nonce, PROBE_SESSION), record, self._finding, _wall, token, secrets.learn
        )
        self._woken = Bell()
        self._session.wake = self._woken.ring
        self._connection: Connection | None = None
        self._since_ns = time.monotonic_ns()
        self._close = ""
        self._fatal = self._sent_away = False

    def run(self, content: str) -> Report:
        """All steps, as far as they go."""
        try:
            if self._connect() and self._ready():
                self._turn(content)
        finally:
            if self._connection is not None:
                self._connection.close()
        self._judge_fit()
        return self.report

    def _finding(self, finding: Finding) -> None:
        self._found.append(f"{finding.kind.checker}: {finding.kind.text}")

    def _passed(self, name: str, took_ms: float, text: str = "") -> None:
        self.report.steps.append((name, True, round(took_ms, 1), self._redact(text)))

    def _failed(self, name: str, took_ms: float, text: str) -> None:
        self.report.steps.append((name, False, round(took_ms, 1), self._redact(text)))

    def _redact(self, text: str) -> str:
        return self._whole(text)[:SHOWN_BYTES]

    def _whole(self, text: str) -> str:
        """Text of the other side without what is secret, and without what a terminal would obey."""
        return printable(self._secrets.redact(text))[:WHOLE_BYTES]

    def _connect(self) -> bool:
        session = self._session
        dial: Dial | None = None
        began = time.monotonic_ns()
        session.dial(began)
        try:
            dial = self._door.open(session.values, CONNECT_TIMEOUT_S)
            if self._contract.file.prelude:
                self._passed("prelude", (time.monotonic_ns() - began) / NS_PER_MS, _calls(self._contract))
                began = time.monotonic_ns()
            connection = Connection(dial, self._texts, self._binary, self._closed, session.opened)
            self._connection = connection
            connection.connect(CONNECT_TIMEOUT_S)
        except DialError as error:
            self._connection = None
            for step in ("dns", "tcp", "tls", "upgrade") if dial is not None else ():
                if step == error.step:
                    break
                if step != "tls" or (dial is not None and dial.tls is not None):
                    self._passed(step, 0.0)
            self._failed(error.step, (time.monotonic_ns() - began) / NS_PER_MS, error.text)
            refused = error.code in REFUSALS
            answered = error.step == "upgrade" or (error.step == "prelude" and error.code > 0)
            self.report.fit = "refused" if refused else "no-websocket" if answered else "unreachable"
            self.report.problem = self._redact(str(error))
            return False
        timing = connection.timing
        self._passed("dns", (timing.resolved - began) / NS_PER_MS)
        self._passed("tcp", (timing.connected - timing.resolved) / NS_PER_MS, f"{dial.address[0]}:{dial.address[1]}")
        if timing.secured:
            self._passed("tls", (timing.secured - timing.connected) / NS_PER_MS, f"as {dial.server_name}")
        last = timing.secured or timing.connected
        self._passed("upgrade", (timing.upgraded - last) / NS_PER_MS, "101")
        offered = "a token" if self._offered else "no credentials"
        self._passed(
            "auth",
            0.0,
            f"offered {offered}" if self._contract.file.auth.mode != "none" else "none in the contract",
        )
        return True

    def _ready(self) -> bool:
        began = time.monotonic()
        deadline = began + self._contract.file.handshake.timeout_ms / 1000
        self._wait(lambda: self._session.ready or not self._session.open, deadline)
        took_ms = (time.monotonic() - began) * 1000
        wanted = self._contract.file.handshake.ready or "nothing to wait for"
        if self._session.ready:
            self._passed("handshake", took_ms, wanted)
            return True
        self._failed(
            "handshake",
            took_ms,
            self._close or f"no {wanted} within {self._contract.file.handshake.timeout_ms} ms",
        )
        self.report.problem = self._close or f"connected, and no {wanted} came"
        return False

    def _turn(self, content: str) -> None:
        session, connection = self._session, self._connection
        if connection is None:
            return
        began = self._since_ns = time.monotonic_ns()
        session.begin(began, content, began)
        while session.outbox:
            connection.send_text(session.outbox.pop(0))
        self._wait(lambda: not session.flights or not session.open, time.monotonic() + self._turn_limit_s)
        now = time.monotonic_ns()
        ended = not session.flights
        session.give_up(now, End.TIMEOUT)
        self.report.outcome = session.last_end.name.lower() if ended else "closed" if self._close else "no end"
        tell = self._passed if ended and session.last_end == End.OK else self._failed
        tell("turn", (now - began) / NS_PER_MS, self._close or self.report.outcome)
        gevent.sleep(0.05)  # what comes after the end belongs to the picture
        session.stop(time.monotonic_ns())

    def _wait(self, done: Callable[[], bool], deadline: float) -> None:
        connection = self._connection
        while not done():
            self._woken.clear()
            while self._session.outbox and connection is not None:
                connection.send_text(self._session.outbox.pop(0))
            until = min(deadline, self._session.pause_until_ns / 1e9 or deadline)
            self._woken.wait(max(0.0, until - time.monotonic()))
            self._session.tick(time.monotonic_ns())
            if not done() and time.monotonic() >= deadline:
                return

    def _texts(self, raws: Sequence[bytes], at_ns: int, _: bytes) -> None:
        for raw in raws:
            self._text(raw, at_ns)

    def _text(self, raw: bytes, at_ns: int) -> None:
        index, standing, schema, _, kind, _ = self._contract.decode(raw)
        before = len(self._found)
        self._session.frame(raw, at_ns)
        if index and not schema & 3:
            self.report.approved += 1
        whole = self._whole(raw.decode("utf-8", "replace"))
        names = ("approved", "deprecated", "legacy", "not approved", "unknown version", "deprecated version")
        name = self._contract.label(index) if index else self._redact(kind)
        frame = Frame(
            round((at_ns - self._since_ns) / NS_PER_MS, 1), name, names[standing],
            whole[:SHOWN_BYTES], tuple(self._found[before:]), whole,
        )  # fmt: skip
        if self._show is not None:
            self._show(frame)
        if len(self.report.frames) < SHOWN_FRAMES:
            self.report.frames.append(frame)

    def _binary(self, raw: bytes, at_ns: int) -> None:
        self._session.binary(raw, at_ns)
        if len(self.report.frames) < SHOWN_FRAMES:
            self.report.frames.append(Frame(0.0, "", "binary", f"{len(raw)} bytes of binary"))

    def _closed(self, code: int, reason: str, at_ns: int) -> None:
        self._close = self._redact(f"closed by the other side with {code} {reason}".rstrip())
        self._fatal = self._session.is_fatal(code)
        self._sent_away = code in APPLICATION_CLOSES
        self._session.closed(at_ns, code, reason)

    def _judge_fit(self) -> None:
        """Refused, or frames of which none fits: no run makes sense. Connected and silent does: that is a finding."""
        report = self.report
        if report.fit == "fits":
            self._judge_frames(report)
        if report.fit != "misfit":
            report.frames = [msgspec.structs.replace(frame, whole="") for frame in report.frames]

    def _judge_frames(self, report: Report) -> None:
        if (self._fatal and not report.outcome) or (self._sent_away and not report.frames):
            report.fit, report.problem = "refused", self._close
        elif report.frames and not report.approved:
            report.fit, report.problem = "misfit", f"none of the frames fits contract {self._contract.name}"
        elif not report.frames:
            report.fit = "silent"


def _calls(compiled: Contract) -> str:
    return ", ".join(f"{call.method} {call.path}" for call in compiled.file.prelude)


def _wall() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def probe_assignment(
    one: assignment.Assignment, content: str, show: Callable[[Frame], None] | None = None, most_turn_s: float = math.inf
) -> Report:
    """Probe the target of a run as its users will meet it, directly; a turn has the contract's deadline, or less.

    Raises:
        ConfigError: the source of tokens, or the CA file.
    """
    compiled = contract.load(one.contract)
    source = Source(one.token_env, one.token_file, one.token_program)
    target = Target.parse(one.target, compiled.file.endpoint, one.resolve)
    secrets = Secrets(known_tokens(source), one.users)
    # Of a template any user will do, and one that the run will not have; others know only their own.
    user = random.Random(one.nonce).randrange(10**6) if source.env else 0
    try:
        token = Tokens(source, secrets.keep).of(user)
    except TokenError as error:
        raise ConfigError(source.option, "", str(error), "a token for each user") from None
    tls = tls_context(target.scheme, one.ca)
    door = Door(
        lambda values: target.dial(compiled.file.auth, token, tls, values),
        compiled.file.prelude,
        {"token": token} if token else {},
        one.ca,
        secrets,
    )
    return Probe(compiled, door, one.nonce, secrets, show, most_turn_s, token or "").run(content)


def main() -> None:
    """Print the report as one JSON line; exit 2 on a configuration error."""
    try:
        report = probe_assignment(assignment.read(sys.argv[1]), "Preflight: say hello.", most_turn_s=PREFLIGHT_TURN_S)
        report.floor = measured()
    except ConfigError as error:
        print(json.dumps({"error": str(error)}))
        sys.exit(2)
    print(msgspec.json.encode(report).decode())


if __name__ == "__main__":
    main()
