"""A contract file becomes tables and one decoder, once, at start.

What the frame decoder returns is a plain tuple, ``Seen``: on the hot path an object per event is what one can save.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from loadtests.configfile import convert, merge, nearest, read_yaml
from loadtests.contract.decoder import FrameDecoder
from loadtests.contract.schema import ContractFile, GateRule, Role
from loadtests.contract.template import Template
from loadtests.errors import ConfigError

__all__ = ["BUILT_IN", "Contract", "EventRule", "load"]

BUILT_IN = Path(__file__).parent.parent / "contracts"
MAX_REQUIRED_FIELDS = 12  # the schema bits of a row have room for no more


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """One approved event: its place in rows (``index``, from 1), its meaning, and what it must carry."""

    index: int
    name: str
    role: Role
    demanded: bool
    fields: tuple[str, ...]


class Contract:
    """A compiled contract. Tables are indexed by an event's ``index``; 0 stands for a type that is not approved."""

    def __init__(self, file: ContractFile, source: str, text: str) -> None:
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
        self.legacy = frozenset(file.legacy)
        self.resumes = file.resume.mode == "cursor"
        self.has_cursor = "cursor" in file.fields
        self._check()
        #: event index -> the index of the pair's opening event; an opening may have several ways to be closed
        self.opens = {self.by_name[pair.open].index: self.by_name[pair.open].index for pair in file.pairs}
        self.closes = {self.by_name[pair.close].index: self.by_name[pair.open].index for pair in file.pairs}
        ordered = {name for row in file.order.states.values() for name in row}
        #: event index -> True where the automaton has a say
        self.ordered = tuple(i > 0 and self.events[i - 1].name in ordered for i in range(len(self.events) + 1))
        self.automaton = {
            state: {self.by_name[name].index: after for name, after in row.items()}
            for state, row in file.order.states.items()
        }
        self.message = Template(file.send.template)
        self.resume_ask = Template(file.resume.ask)
        self.decoder = FrameDecoder(file, self.events)
        #: ``Seen`` of one text frame, see ``loadtests.contract.decoder``
        self.decode = self.decoder.decode

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
        raise ConfigError(self.source, "events", f"no event has the role {role!r}")

    def gates(self) -> dict[str, list[GateRule]]:
        """The contract's budgets, metric selector -> rules."""
        return {
            metric: [GateRule(rule=rule) if isinstance(rule, str) else rule for rule in rules]
            for metric, rules in self.file.budgets.items()
        }

    def _check(self) -> None:
        """References between the tables; what the file's shape alone cannot say."""
        file, events = self.file, list(self.file.events)

        def known(place: str, name: str) -> None:
            if name not in file.events:
                raise ConfigError(self.source, place, f"{name!r} is not in events", nearest(name, events))

        for alias, name in file.aliases.items():
            known(f"aliases.{alias}", name)
            if alias in file.events:
                raise ConfigError(self.source, f"aliases.{alias}", "is an approved event too", "one or the other")
        for name in file.legacy:
            if name in file.events or name in file.aliases:
                raise ConfigError(self.source, f"legacy.{name}", "is approved or an alias too", "one or the other")
        for i, pair in enumerate(file.pairs):
            known(f"pairs[{i}].open", pair.open)
            known(f"pairs[{i}].close", pair.close)
            for field in pair.by:
                self._known_field(f"pairs[{i}].by", field)
        for name, event in file.events.items():
            for field in event.fields:
                self._known_field(f"events.{name}.fields", field)
            if len(event.fields) > MAX_REQUIRED_FIELDS:
                raise ConfigError(
                    self.source, f"events.{name}.fields", "too many", f"at most {MAX_REQUIRED_FIELDS} fields"
                )
        if file.handshake.ready:
            known("handshake.ready", file.handshake.ready)
        if file.resume.mode == "cursor":
            known("resume.answer", file.resume.answer)
            for key in ("stream", "resumed"):
                if not getattr(file.resume, key):
                    raise ConfigError(self.source, f"resume.{key}", "is empty", "a path, because resume.mode is cursor")
            if not self.has_cursor:
                raise ConfigError(self.source, "fields", "has no cursor", "one, because resume.mode is cursor")
        self._check_order(known)
        if not any(event.role == "done" for event in file.events.values()):
            raise ConfigError(self.source, "events", "no event has the role 'done'", "a turn that can end well")
        if not any(event.role == "started" for event in file.events.values()):
            raise ConfigError(self.source, "events", "no event has the role 'started'", "a turn that can begin")

    def _check_order(self, known: Any) -> None:
        order = self.file.order
        if order.states and order.start not in order.states:
            raise ConfigError(
                self.source, "order.start", f"no state {order.start!r}", nearest(order.start, list(order.states))
            )
        for state, row in order.states.items():
            for name, after in row.items():
                known(f"order.states.{state}", name)
                if after not in order.states:
                    raise ConfigError(
                        self.source,
                        f"order.states.{state}.{name}",
                        f"no state {after!r}",
                        nearest(after, list(order.states)),
                    )

    def _known_field(self, place: str, field: str) -> None:
        if field not in self.file.fields:
            raise ConfigError(self.source, place, f"{field!r} is not in fields", nearest(field, list(self.file.fields)))


def _resolve(name_or_path: str) -> tuple[Path, str]:
    built_in = {path.stem: path for path in sorted(BUILT_IN.glob("*.yaml"))}
    if name_or_path in built_in:
        return built_in[name_or_path], f"contract {name_or_path}"
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return path, str(path)
    raise ConfigError(
        "--contract", "", f"no contract {name_or_path!r}", nearest(name_or_path, list(built_in)) + " or a YAML file"
    )


def load(name_or_path: str | Path) -> Contract:
    """Read and compile a built-in contract or a file; ``extends`` is followed, mappings merge key by key.

    Raises:
        ConfigError: no such contract, or a mistake in it: file, key path, what was expected.
    """
    path, where = _resolve(str(name_or_path))
    data, chain = read_yaml(path), [path.resolve()]
    while base_name := data.get("extends"):
        if not isinstance(base_name, str):
            raise ConfigError(where, "extends", f"is {type(base_name).__name__}", "the name of a contract")
        beside = path.parent / base_name
        base_path = beside if beside.is_file() else _resolve(base_name)[0]
        if base_path.resolve() in chain:
            raise ConfigError(where, "extends", f"{base_name!r} extends itself", "a chain without a circle")
        chain.append(base_path.resolve())
        base = read_yaml(base_path)
        further = base.pop("extends", "")
        data = merge(base, {key: value for key, value in data.items() if key != "extends"})
        data["extends"] = further
    data.pop("extends", None)
    file = convert(data, ContractFile, where)
    return Contract(file, where, msgspec.yaml.encode(file).decode())
