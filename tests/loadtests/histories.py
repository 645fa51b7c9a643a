"""Small histories for the judge's tests: a story in words told to one tracker, and sessions that write a run directory."""

from __future__ import annotations

import json
import re
import zlib
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from loadtests import contract, manifest, scenario
from loadtests.contract import Contract
from loadtests.findings import Finding
from loadtests.history import UNKNOWN_TURN, End, Flag, RowKind
from loadtests.recorder import Recorder
from loadtests.rundir import RunData, read_run
from loadtests.session import Identity, Session, tag_of
from loadtests.tracker import SessionTracker
from loadtests.turn import Rules

NONCE = "gx0a1b2c3d"
ROOT = "supervisor"
CLEAN = "send start think open close done"
ROLES = {
    "start": "started", "think": "thinking", "open": "tool-open", "close": "tool-close", "done": "done", "fail": "failed",
    "content": "content", "other": "other",
}  # fmt: skip
FLAGS = {flag.name.lower().replace("_", "-"): int(flag) for flag in Flag if flag.name}
ENDS = {
    "timeout": End.TIMEOUT,
    "doubt": End.IN_DOUBT,
    "ok": End.OK,
    "abandoned": End.ABANDONED,
    "censored": End.CUT_BY_STOP,
}
STEP = re.compile(r"(?P<lost>\()?(?P<what>[a-z-]+)(?P<marks>(?:[:./@^=<!+$][\w?-]+)*)\)?")


@cache
def compiled(name: str) -> Contract:
    return contract.load(name)


def rules_of(name: str) -> Rules:
    """Of a process that has seen nothing yet."""
    return Rules(compiled(name), frozenset({zlib.crc32(ROOT.encode())}))


class Story:
    """Tells one session's tracker what happened, in words.

    ``start think open close done fail content other none`` are events, with ``:tool .execution /agent @cursor ^turn =key
    <foreign !schema +flag $code``; in brackets they are numbered and never delivered. ``send`` begins a turn,
    ``cancel`` asks for its end; ``cut`` (1006),
    ``gone1011``, ``bye``, ``mute`` and ``deaf`` end a connection, ``back`` opens the next; ``kept>7`` and ``lost`` answer a resume.
    """

    def __init__(self, name: str = "reference", session: int = 1, rules: Rules | None = None) -> None:
        self.contract = compiled(name)
        self.found: list[Finding] = []
        self.tracker = SessionTracker(rules or rules_of(name), session, self.found.append)
        self.row = self.turn = 0
        self.cursor = self.keys = 0
        self.ready = True
        self.tracker.opened(1)
        self.connection = 1

    def tell(self, text: str) -> Story:
        for word in text.split():
            self.row += 1
            self._step(word)
        return self

    @property
    def kinds(self) -> list[str]:
        return sorted(finding.kind.name for finding in self.found)

    @property
    def checkers(self) -> set[str]:
        return {finding.kind.checker for finding in self.found}

    def _step(self, word: str) -> None:
        tracker, at_ns = self.tracker, self.row * 1000
        mid_turn = tracker.current is not None and not tracker.current.ended
        if word == "send":
            self.turn += 1
            tracker.sent(self.row, self.turn)
        elif word in ENDS:
            tracker.ended(self.turn, ENDS[word])
        elif word == "stop":
            tracker.finish(at_ns)
        elif word == "back":
            self.connection += 1
            tracker.opened(self.connection)
        elif word == "cancel":
            tracker.cancelled(self.row, self.turn)
        elif word == "resend":
            tracker.resent(self.turn)
        elif word == "unready":
            self.ready = False
        elif word == "bye":
            tracker.closed(self.row, at_ns, 1000, ours=True, ready=True, never_ready=False, mid_turn=mid_turn)
        elif word == "mute":
            tracker.closed(self.row, at_ns, 1000, ours=True, ready=False, never_ready=True, mid_turn=mid_turn)
        elif word == "deaf":
            tracker.closed(self.row, at_ns, 1000, ours=True, ready=True, never_ready=True, mid_turn=mid_turn)
        elif word.startswith(("cut", "gone")):
            code = int(word[4:] or 1006) if word.startswith("gone") else 1006
            tracker.closed(self.row, at_ns, code, ours=False, ready=self.ready, never_ready=False, mid_turn=mid_turn)
        elif word.startswith("kept"):
            head = int(word.partition(">")[2] or -1)
            tracker.claim(self.row, at_ns, resumed=True, head=head, asked=tracker.high)
        elif word == "lost":
            tracker.claim(self.row, at_ns, resumed=False, head=-1, asked=tracker.high)
            self.cursor = 0
        else:
            self._event(word, at_ns)

    def _event(self, word: str, at_ns: int) -> None:
        step = STEP.fullmatch(word)
        assert step, word
        pairs = re.findall(r"([:./@^=<!+$])([\w?-]+)", step["marks"])
        marks = dict(pairs)
        flags = sum(FLAGS[flag] for mark, flag in pairs if mark == "+")
        role = ROLES.get(step["what"])
        assert role or step["what"] == "none", word
        event = self.contract.by_name[self.contract.name_of(role)].index if role else 0  # type: ignore[arg-type]
        cursor = -1
        if self.contract.has_cursor:
            cursor = int(marks.get("@", self.cursor + 1))
            if not flags & Flag.OTHER_STREAM:
                self.cursor = max(self.cursor, cursor)
        if step["lost"]:
            return
        self.keys += 1
        turn = UNKNOWN_TURN if marks.get("^") == "?" else int(marks.get("^", self.turn))
        self.tracker.event(
            self.row, at_ns, event, flags, int(marks.get("!", 0)), turn, int(marks.get("<", -1)), _number(marks.get("/")),
            _number(marks.get(":")), _number(marks.get(".")), cursor, _number(marks.get("=")) or self.keys,
            int(marks.get("$", 0)),
        )  # fmt: skip


def _number(text: str | None) -> int:
    return zlib.crc32(text.encode()) if text else 0


def kinds(name: str, text: str) -> list[str]:
    """The kinds of findings that a story gives, sorted, with repetitions."""
    return Story(name).tell(text).kinds


class Bench:
    """A run directory being written by sessions, with the findings that they had live."""

    def __init__(self, folder: Path, name: str = "reference", secret: re.Pattern[str] | None = None) -> None:
        self.path = folder
        self.contract = compiled(name)
        write_frame_of_run(folder, self.contract)
        self.recorder = Recorder(folder / "rows", "worker-0", secret=secret)
        self.rules = Rules(self.contract, self.recorder.names(self.contract.file.agents.root))
        self.found: list[Finding] = []
        self.now_ns = 1_000_000_000

    def session(self, number: int = 1) -> Talk:
        return Talk(self, number)

    def read(self) -> RunData:
        self.recorder.flush()
        return read_run(self.path)

    def rows(self, kind: RowKind | None = None) -> list[dict[str, Any]]:
        """What is written so far: all of it, or what is of a kind."""
        rows = self.read().rows
        named = [dict(zip(rows.dtype.names, row, strict=True)) for row in rows.tolist()]
        return [row for row in named if kind in {None, row["kind"]}]

    def tick(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns


class Talk:
    """One session and the backend it talks to; the backend's frames are made by ``say``."""

    def __init__(self, bench: Bench, number: int) -> None:
        self.bench = bench
        self.number = number
        identity = Identity(NONCE, number)
        self.session = Session(bench.contract, bench.rules, identity, bench.recorder, bench.found.append, lambda: "now")
        self.tag = tag_of(NONCE, number)
        self.seq = 0
        self.stream = f"stream_{number}_0"
        self.names = count(1)

    @property
    def kinds(self) -> list[str]:
        return sorted(finding.kind.name for finding in self.bench.found if finding.session == self.number)

    def connect(self) -> Talk:
        self.session.dial(self.bench.tick())
        self.session.opened(self.bench.tick())
        return self

    def welcome(self) -> Talk:
        return self.raw({"type": self.bench.contract.file.handshake.ready, "data": {"stream_id": self.stream}})

    def ready(self) -> Talk:
        return self.connect().welcome()

    def answer(self, *, resumed: bool, head: int | None = None) -> Talk:
        if not resumed:
            self.seq = 0
        answer = {"resumed": resumed, "last_seq": self.seq if head is None else head, "stream_id": self.stream}
        return self.raw({"type": self.bench.contract.file.resume.answer, "data": answer})

    def begin(self, content: str = "hello") -> dict[str, Any]:
        """Send the next turn's message; returns it."""
        self.session.begin(self.bench.tick(), content, self.bench.tick())
        return json.loads(self.session.outbox.pop())

    def say(self, *roles: str, **changes: Any) -> Talk:
        for role in roles:
            self.raw(self.event(role, **changes))
        return self

    def event(self, role: str, **changes: Any) -> dict[str, Any]:
        self.seq += 1
        name = next(self.names)
        fields = {
            "type": self.bench.contract.name_of(ROLES[role]), "run_id": f"run_{self.tag}t{self.session.turns}",  # type: ignore[arg-type]
            "agent_name": ROOT, "seq": self.seq, "stream_id": self.stream, "event_id": f"event_{self.number}_{name}",
            "reasoning": "hm", "tool_name": "search", "execution_id": "e1", "results": {"n": 1},
        }  # fmt: skip
        return {key: value for key, value in {**fields, **changes}.items() if value is not None}

    def raw(self, frame: dict[str, Any] | bytes) -> Talk:
        self.session.frame(frame if isinstance(frame, bytes) else json.dumps(frame).encode(), self.bench.tick())
        return self

    def close(self, code: int = 1006, **how: bool) -> Talk:
        self.session.closed(self.bench.tick(), code, "", **how)
        return self

    def stop(self) -> Talk:
        self.session.stop(self.bench.tick())
        return self


def write_frame_of_run(folder: Path, of: Contract, **facts: Any) -> None:
    """What stands around the rows: manifest, contract, scenario."""
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    smoke, _ = scenario.load("smoke")
    (folder / "scenario.yaml").write_bytes(msgspec.yaml.encode(smoke))
    (folder / "contract.yaml").write_text(of.text)
    manifest.write_manifest(folder, {"kind": "run", "scenario": "smoke", "contract": of.name, **facts})
