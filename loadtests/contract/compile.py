"""A contract file becomes tables, templates and one decoder, once, at start.

What the frame decoder returns is a plain tuple, ``Seen``: on the hot path an object per event is what one can save.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec

from loadtests.configfile import nearest, read_yaml
from loadtests.contract.check import check
from loadtests.contract.content import FinalRule, OutcomeRule, StreamRule, answers, finals, streams
from loadtests.contract.decoder import FrameDecoder
from loadtests.contract.envelope import on_wire
from loadtests.contract.explain import shaped, shaped_in_part
from loadtests.contract.prelude import SHOWN
from loadtests.contract.schema import Concurrent, ContractFile, GateRule, Role
from loadtests.contract.template import Template
from loadtests.errors import ConfigError

__all__ = ["BUILT_IN", "CompiledKeepalive", "CompiledStep", "Contract", "EventRule", "built_in", "load"]

BUILT_IN = Path(__file__).parent.parent / "contracts"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """One approved event: its place in rows (``index``, from 1), its meaning, and what it must carry."""

    index: int
    name: str
    role: Role
    demanded: bool
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledStep:
    """One step of a handshake: it expects a type, or sends, or pauses."""

    expect: str
    take: Mapping[str, str]
    send: Template | None
    pause_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledKeepalive:
    """What is said when nothing else was for a while."""

    message: Template
    every_ms: int
    #: type of the answer; empty: none is promised
    expect: str


class Contract:
    """A compiled contract. Tables are indexed by an event's ``index``; 0 stands for a type that is not approved."""

    def __init__(self, file: ContractFile, source: str, text: str) -> None:
        check(file, source)
        self.file = file
        self.name = file.name
        self.source = source
        self.text = text
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        self.events = tuple(
            EventRule(index=i, name=name, role=event.role, demanded=event.demanded, fields=tuple(event.fields))
            for i, (name, event) in enumerate(file.events.items(), start=1)
        )
        self.by_name = {rule.name: rule for rule in self.events}
        self.roles: tuple[Role, ...] = ("other", *(rule.role for rule in self.events))
        self.demanded = tuple(rule for rule in self.events if rule.demanded)
        self.resumes = file.resume.mode == "cursor"
        self.has_cursor = "cursor" in on_wire(file)
        index_of = {rule.name: rule.index for rule in self.events}
        self._compile_order(index_of)
        self._compile_pairs(index_of)
        self._compile_messages()
        #: event index -> the stream whose chunks it brings, the stream whose whole it brings
        self.stream_of: dict[int, StreamRule] = streams(file, index_of)
        self.final_of: dict[int, FinalRule] = finals(file, index_of)
        rule = OutcomeRule(file, index_of)
        #: (event index, frame) of a terminal -> number of its outcome, and whether the file lists what it says; without a
        #: word of the file's the role says it all
        self.outcome, self.says_outcome = rule.outcome, rule.says
        #: event index -> number of the outcome of the end that follows
        self.foretold: dict[int, int] = rule.foretold
        #: where the answer to a message stands (0: the file does not say)
        self.answer_event, self.read_answer = answers(file, index_of)
        ends = {one.index for one in self.events if one.role in {"done", "failed"}} if rule.says else set()
        #: events whose content has to be read at all
        self.read_events = frozenset({*self.stream_of, *self.final_of, *self.foretold, *ends, self.answer_event} - {0})
        self.decoder = FrameDecoder(file, self.events)
        #: ``Seen`` of one text frame, see ``loadtests.contract.decoder``
        self.decode = self.decoder.decode

    def _compile_order(self, index_of: Mapping[str, int]) -> None:
        file = self.file
        ordered = {name for row in file.order.states.values() for name in row}
        #: event index -> True where the automaton has a say
        self.ordered = (False, *(rule.name in ordered for rule in self.events))
        self.automaton = {
            state: {index_of[name]: after for name, after in row.items()}
            for state, row in (file.order.states or {file.order.start: {}}).items()
        }

    def _compile_pairs(self, index_of: Mapping[str, int]) -> None:
        #: closing event index -> the index of its opening, the first if several have it
        self.closes: dict[int, int] = {}
        #: closings that have several
        self.several: set[int] = set()
        #: closing event index -> the number of its pair; closings of one pair stand for each other
        self.pair_of: dict[int, int] = {}
        #: opening event index -> the numbers of all pairs that it opens
        self.opens: dict[int, tuple[int, ...]] = {}
        for pair in self.file.pairs:
            opening, closing = index_of[pair.open], index_of[pair.close]
            first = self.closes.setdefault(closing, opening)
            if first != opening:
                self.several.add(closing)
            number = self.pair_of.setdefault(closing, closing if pair.also else first)
            self.opens[opening] = tuple(dict.fromkeys((*self.opens.get(opening, ()), number)))
        self.in_pieces = frozenset(index_of[pair.open] for pair in self.file.pairs if pair.pieces)

    def _compile_messages(self) -> None:
        file = self.file
        #: what prelude and handshake take, and everything sent later may name
        takes = (*(call.take for call in file.prelude), *(step.take for step in file.handshake.steps))
        self.taken = frozenset(name for take in takes for name in take)
        self.message = Template(file.send.template, self.taken)
        self.resume_ask = Template(file.resume.ask, self.taken)
        self.cancel = Template(file.cancel.template, self.taken) if file.cancel else None
        self.steps = tuple(
            CompiledStep(
                expect=step.expect,
                take=step.take,
                send=None if step.send is None else Template(step.send, {"token", *self.taken}),
                pause_ms=step.pause_ms,
            )
            for step in file.handshake.steps
        )
        #: types that a step or the welcome waits for; names that steps take; and by type where that stands which must not be shown
        self.awaited = frozenset({file.handshake.ready, *(step.expect for step in self.steps)} - {""})
        self.taken_by_steps = frozenset(name for step in self.steps for name in step.take)
        self.hidden: dict[str, list[str]] = {}
        for step in self.steps:
            self.hidden.setdefault(step.expect, []).extend(p for name, p in step.take.items() if name not in SHOWN)
        self.replies = {kind: Template(answer, self.taken) for kind, answer in file.control.replies.items()}
        beat = file.control.keepalive
        self.keepalive = (
            CompiledKeepalive(message=Template(beat.send, self.taken), every_ms=beat.every_ms, expect=beat.expect)
            if beat
            else None
        )
        #: types of frames that are more than events to a session
        self.heeded = frozenset({*self.replies, self.keepalive.expect if self.keepalive else ""} - {""})

    def promising(self, concurrent: Concurrent) -> Contract:
        """The same, but for what becomes of a second message; itself, if it promises nothing of the kind."""
        turn = self.file.turn
        if not turn.concurrent or concurrent in {"", turn.concurrent}:
            return self
        turn = msgspec.structs.replace(turn, concurrent=concurrent)
        file = msgspec.structs.replace(self.file, turn=turn)
        return Contract(file, self.source, msgspec.yaml.encode(file).decode())

    def label(self, index: int) -> str:
        """The event's name, or a dash for what is not approved."""
        return self.events[index - 1].name if index else "-"

    def names(self, *roles: Role) -> tuple[str, ...]:
        """Event names of these roles, in the contract's order."""
        return tuple(rule.name for rule in self.events if rule.role in roles)

    def name_of(self, role: Role) -> str:
        """The first event of a role.

        Raises:
            ConfigError: the contract has none.
        """
        for rule in self.events:
            if rule.role == role:
                return rule.name
        raise ConfigError(self.source, "events", f"no event has the role {role!r}", nearest(role, list(get_args(Role))))

    def gates(self) -> dict[str, list[GateRule]]:
        """The contract's budgets, metric selector -> rules."""
        return {
            metric: [GateRule(rule=rule) if isinstance(rule, str) else rule for rule in rules]
            for metric, rules in self.file.budgets.items()
        }


def built_in() -> dict[str, Path]:
    """The contracts that come with the package, by name."""
    return {path.stem: path for path in sorted(BUILT_IN.glob("*.yaml"))}


def _resolve(name: str, where: str = "--contract", place: str = "", folder: Path = Path()) -> tuple[Path, str]:
    """A contract's file, and what errors call it; ``where`` and ``place`` are those of whoever names it."""
    known, path = built_in(), folder / name
    if name in known:
        return known[name], f"contract {name}"
    if path.is_file() or (not place and path.suffix in {".yaml", ".yml"}):
        return path, str(path)
    beside = " beside it" if place else ""
    raise ConfigError(where, place, f"no contract {name!r}", f"{nearest(name, list(known))} or a YAML file{beside}")


def _laid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` upon what it extends: mappings key by key, everything else replaced, and nothing (null) takes a key away."""
    laid = dict(base)
    for key, value in over.items():
        old = laid.get(key)
        if value is None and key in laid:
            del laid[key]
        else:
            laid[key] = _laid(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return laid


def load(name_or_path: str | Path) -> Contract:
    """Read and compile a built-in contract or a file; ``extends`` is followed, mappings merge key by key.

    Raises:
        ConfigError: no such contract, or a mistake in it: file, key path, what was expected.
    """
    path, where = _resolve(str(name_or_path))
    layers, chain = [(where, read_yaml(path))], [path.resolve()]
    while base_name := layers[-1][1].pop("extends", None):
        here = layers[-1][0]
        if not isinstance(base_name, str):
            raise ConfigError(here, "extends", f"is {type(base_name).__name__}", "the name of a contract")
        path, there = _resolve(base_name, here, "extends", path.parent)
        if path.resolve() in chain:
            raise ConfigError(here, "extends", f"{base_name!r} extends itself", "a chain without a circle")
        chain.append(path.resolve())
        layers.append((there, read_yaml(path)))
    data: dict[str, Any] = {}
    for there, layer in reversed(layers):
        if len(layers) > 1:
            shaped_in_part(layer, ContractFile, there)
        data.pop("name", None)  # whoever extends another is another
        data = _laid(data, layer)
    file = shaped(data, ContractFile, where)
    return Contract(file, where, msgspec.yaml.encode(file).decode())
