"""What the servers of other protocols share: an agent that thinks, uses tools and answers in chunks; its faults; its process.

It knows no protocol: a server spells the agent's acts in its own frames, and says where in them a fault finds its place.
"""

from __future__ import annotations

import argparse
import copy
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import uvicorn

__all__ = ["FAULTS", "Act", "Agent", "Fault", "Spelling", "Spoiler", "options", "serve", "served"]

Frame = dict[str, Any]
Place = tuple[str, ...]
Kind = Literal["started", "thought", "called", "call-end", "returned", "chunk", "answer", "end"]
Fault = Literal[
    "none", "lost-event", "doubled-event", "event-after-end", "never-ends", "swapped", "wrong-tool-id", "lost-chunk",
    "wrong-type", "leaked", "mute", "raises", "lost-tool-end",
]  # fmt: skip
FAULTS: tuple[Fault, ...] = Fault.__args__  # type: ignore[attr-defined]  # the names of a Literal

ROOT = Path(__file__).parent.parent.parent
TOOLS = ("search", "query_costs", "read_file", "forecast")
WORDS = ("The", " bill", " grew", " because", " storage", " doubled", " in", " one", " region", ".")
BACKLOG = 2048


class Act(NamedTuple):
    """One thing that the agent does, ``delay_s`` after the one before."""

    delay_s: float
    kind: Kind
    text: str = ""
    call: str = ""
    tool: str = ""
    number: int = 0


class ModelGoneError(Exception):
    """What an agent dies of."""


class Agent:
    """Answers questions; think times, tools and words are a function of seed and run."""

    def __init__(self, seed: int, fault: Fault) -> None:
        self._seed = seed
        self._fault = fault
        self._asked: dict[str, str] = {}

    def answer(self, run: str, thread: str, question: str) -> Iterator[Act]:
        """The acts of one turn.

        Raises:
            ModelGoneError: in the middle, if that is the fault.
        """
        rng = random.Random(f"{self._seed}/{run}")
        others = [text for other, text in self._asked.items() if other != thread]
        self._asked[thread] = question
        yield Act(rng.uniform(0.005, 0.02), "started")
        overheard = others[-1] if others and self._fault == "leaked" else question
        yield Act(rng.uniform(0.01, 0.04), "thought", f"They want to know: {overheard}")
        yield from self._use_tools(rng, run, question)
        words = [question, ": ", *WORDS[: rng.randint(5, len(WORDS))]]
        for number, word in enumerate(words):
            yield Act(rng.uniform(0.003, 0.012), "chunk", word, number=number)
        yield Act(rng.uniform(0.001, 0.005), "answer", "".join(words))

    def _use_tools(self, rng: random.Random, run: str, question: str) -> Iterator[Act]:
        """Two or three; the first two are sometimes open at once and come back in either order."""
        calls = [(f"call-{n}-{run}", rng.choice(TOOLS)) for n in range(1, rng.randint(2, 3) + 1)]
        together = calls[:2] if rng.random() < 0.5 else []
        for call, tool in together:
            yield Act(rng.uniform(0.002, 0.01), "called", question, call, tool)
        for call, tool in rng.sample(together, len(together)):
            yield Act(rng.uniform(0.02, 0.08), "returned", f"12 rows for {question}", call, tool)
        if self._fault == "raises":
            raise ModelGoneError("the model is gone")
        for call, tool in calls[len(together) :]:
            yield Act(rng.uniform(0.002, 0.01), "called", question, call, tool)
            yield Act(rng.uniform(0.02, 0.08), "returned", f"7 rows for {question}", call, tool)


@dataclass(frozen=True, slots=True)
class Spelling:
    """Where a protocol's frames say what a fault must find."""

    kinds: Mapping[str, Kind]
    #: where the type stands; the first place that a frame has
    types: tuple[Place, ...]
    call: Place
    #: parts of a frame that must differ in another event of the same type
    unique: tuple[Place, ...]
    wrong_type: str


@dataclass(slots=True)
class Spoiler:
    """One turn's frames on their way out, with the fault planted once."""

    fault: Fault
    spelling: Spelling
    struck: bool = False
    held: list[Frame] = field(default_factory=list)
    late: Frame = field(default_factory=dict)

    def pass_on(self, frame: Frame) -> list[Frame]:
        """What is sent in place of a frame."""
        kind = self.kind_of(frame)
        if kind == "called" and not self.late:
            self.late = self._another(frame)
        if self.fault == "mute":
            return []
        if self.fault == "swapped" and not self.struck:
            # The beginning comes after whatever the agent does next.
            self.held.append(frame)
            if kind in {None, "started"}:
                return []
            self.struck = True
            return [*self.held[1:], self.held[0]]
        strikes = {
            "lost-event": "returned", "doubled-event": "returned", "wrong-tool-id": "returned", "lost-chunk": "chunk",
            "wrong-type": "thought", "event-after-end": "end", "never-ends": "end",
            "lost-tool-end": "call-end",
        }  # fmt: skip
        if self.struck or kind is None or strikes.get(self.fault) != kind:
            return [frame]
        self.struck = True
        return self._strike(frame)

    def _strike(self, frame: Frame) -> list[Frame]:
        match self.fault:
            case "doubled-event":
                return [frame, frame]
            case "event-after-end":
                return [frame, self.late]
            case "wrong-tool-id":
                return [_with(frame, self.spelling.call, "call-of-nobody")]
            case "wrong-type":
                return [_with(frame, self._type_place(frame), self.spelling.wrong_type)]
            case _:
                return []

    def kind_of(self, frame: Frame) -> Kind | None:
        return self.spelling.kinds.get(str(_at(frame, self._type_place(frame))))

    def _type_place(self, frame: Frame) -> Place:
        return next((place for place in self.spelling.types if _at(frame, place) is not None), self.spelling.types[-1])

    def _another(self, frame: Frame) -> Frame:
        for place in self.spelling.unique:
            frame = _with(frame, place, f"{_at(frame, place)}-late")
        return frame


def _at(frame: Any, place: Place) -> Any:
    for name in place:
        frame = frame.get(name) if isinstance(frame, dict) else None
    return frame


def _with(frame: Frame, place: Place, value: str) -> Frame:
    changed = copy.deepcopy(frame)
    holder: Any = changed
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = value
    return changed


def options(what: str) -> argparse.ArgumentParser:
    """The flags that both servers have."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", choices=FAULTS, default="none")
    return parser


def serve(app: Any, port: int, path: str) -> None:
    """Serve until standard input ends: no server outlives the test that started it."""
    with socket.create_server(("127.0.0.1", port), backlog=BACKLOG) as listener:
        config = uvicorn.Config(app, ws="websockets-sansio", lifespan="off", log_level="error")
        server = uvicorn.Server(config)

        def watch() -> None:
            sys.stdin.buffer.read()
            server.should_exit = server.force_exit = True

        threading.Thread(target=watch, daemon=True).start()
        print(f"listening ws://127.0.0.1:{listener.getsockname()[1]}{path}", flush=True)
        server.run(sockets=[listener])


@contextmanager
def served(module: str, *flags: str) -> Iterator[str]:
    """One of the servers in a process of its own; yields its URL."""
    words: Sequence[str] = [sys.executable, "-P", "-m", f"tests.live.{module}", *flags]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[1]
        finally:
            process.kill()
