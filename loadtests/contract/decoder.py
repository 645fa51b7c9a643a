"""Text frame -> ``Seen``: what kind of event it is and the ids it carries, whatever envelope it came in.

Two ways lead to the same answer. The fast one decodes into a typed record made from the contract (msgspec, 0.4 µs a
frame) and serves the flat, ``payload``, ``data`` and wrapped shapes. Whatever does not fit, a stored message, a field
of the wrong type, garbage, goes the slow way over plain dictionaries, which is also the definition that tests hold the
fast way to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from loadtests.contract.schema import ContractFile

__all__ = [
    "APPROVED",
    "DEPRECATED",
    "IDS",
    "LEGACY",
    "MISSING_SHIFT",
    "NOT_JSON",
    "NO_TYPE",
    "UNAPPROVED",
    "WRONG_TYPE",
    "FrameDecoder",
    "Seen",
    "at_path",
]

#: Canonical id fields in the order in which ``Seen`` carries them; all are strings but the cursor, a whole number.
IDS = ("turn", "agent", "execution", "tool", "event_id", "stream", "message", "thread", "cursor")

APPROVED, DEPRECATED, LEGACY, UNAPPROVED = 0, 1, 2, 3

#: Schema bits of a row. From MISSING_SHIFT on, bit k says that the k-th required field of the event is absent.
NOT_JSON, NO_TYPE, WRONG_TYPE, MISSING_SHIFT = 1, 2, 4, 3

#: (event index, standing, schema bits, recovered, raw type, ids in the order of IDS)
Seen = tuple[int, int, int, bool, str, tuple[Any, ...]]

#: event index, standing, ((position, schema bit) of a required field, …), positions worth a look at their aliases
_Entry = tuple[int, int, tuple[tuple[int, int], ...], tuple[int, ...]]

ID_COUNT = len(IDS)
_EMPTY = msgspec.Raw(b"")
_NOTHING: tuple[Any, ...] = (None,) * ID_COUNT


class _Rule(Protocol):
    @property
    def index(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def fields(self) -> tuple[str, ...]: ...


def at_path(data: Any, path: str) -> Any:
    """The value at a dotted path in decoded JSON, or None."""
    for step in path.split("."):
        if not isinstance(data, dict):
            return None
        data = data.get(step)
    return data


class FrameDecoder:
    """Compiled from a contract file; ``decode`` never raises, whatever the bytes are."""

    def __init__(self, file: ContractFile, rules: Sequence[_Rule]) -> None:
        self._envelope = file.envelope
        self._fields = {name: tuple(wire) for name, wire in file.fields.items()}
        self._content = tuple(name for name in self._fields if name not in IDS)
        self._order = (*IDS, *self._content)
        self._position = {name: i for i, name in enumerate(self._order)}
        by_name = {rule.name: rule for rule in rules}
        self._types: dict[str, _Entry] = {}
        for rule in rules:
            self._types[rule.name] = self._entry(rule, APPROVED)
        for alias, name in file.aliases.items():
            self._types[alias] = self._entry(by_name[name], DEPRECATED)
        for name in file.legacy:
            self._types[name] = (0, LEGACY, (), ())
        self._unknown: _Entry = (0, UNAPPROVED, (), ())
        self._compile_fast()

    def _entry(self, rule: _Rule, standing: int) -> _Entry:
        required = tuple((self._position[f], 1 << (MISSING_SHIFT + bit)) for bit, f in enumerate(rule.fields))
        fields = {"started": ("agent",), "done": ("agent",), "tool-open": ("tool",), "tool-close": ("tool",)}
        wanted = [f for f in fields.get(rule.role, ()) if len(self._fields.get(f, ())) > 1]
        return rule.index, standing, required, tuple(self._position[f] for f in wanted)

    def _compile_fast(self) -> None:
        envelope = self._envelope
        wire: dict[str, Any] = {}
        for name, aliases in self._fields.items():
            kind: Any = (int | None) if name == "cursor" else (str | None) if name in IDS else msgspec.Raw
            for alias in aliases:
                wire.setdefault(alias, kind)
        inner_names = {p.split(".")[-1] for paths in envelope.wrappers.values() for p in paths}
        for name in {envelope.type, *inner_names}:
            wire[name] = str | None
        attribute = {name: f"f{i}" for i, name in enumerate(wire)}

        def fields(names: dict[str, Any]) -> list[tuple[str, Any, Any]]:
            return [(attribute[n], kind, _EMPTY if kind is msgspec.Raw else None) for n, kind in names.items()]

        rename = {attr: name for name, attr in attribute.items()}
        inner: Any = msgspec.defstruct("Inner", fields(wire), rename=rename, gc=False)
        extra = [(f"c{i}", inner | None, None) for i, _ in enumerate(envelope.merge)]
        extra_names = {f"c{i}": name for i, name in enumerate(envelope.merge)}
        if envelope.recovered:
            extra.append(("recovered", msgspec.Raw, _EMPTY))
            extra_names["recovered"] = envelope.recovered
        root_fields = [f for f in fields(wire) if rename[f[0]] not in extra_names.values()] + extra
        root: Any = msgspec.defstruct("Root", root_fields, rename={**rename, **extra_names}, gc=False)
        self._typed: Callable[[bytes], Any] = msgspec.json.Decoder(root).decode

        inner.none = root.none = None
        first = [attribute[self._fields[n][0]] if self._fields.get(n) else "none" for n in self._order]
        self._values: Callable[[Any], tuple[Any, ...]] = attrgetter(*first)
        self._get_type = attrgetter(attribute[envelope.type])
        self._containers: tuple[Callable[[Any], Any], ...] = tuple(
            attrgetter(f"c{i}") for i, _ in enumerate(envelope.merge)
        )
        container_at = {name: i for i, name in enumerate(envelope.merge)}
        self._inner_types: dict[str, list[tuple[int, Callable[[Any], Any]]]] = {}
        for outer, paths in envelope.wrappers.items():
            ways = []
            for path in paths:
                head, _, tail = path.rpartition(".")
                if not head or head in container_at:
                    ways.append((container_at[head] if head else -1, attrgetter(attribute[tail])))
            self._inner_types[outer] = ways

    def classify(self, kind: str) -> tuple[int, int]:
        """(event index, standing) of a raw type."""
        index, standing, _, _ = self._types.get(kind, self._unknown)
        return index, standing

    def decode(self, raw: bytes) -> Seen:
        """One text frame. Bytes that are no JSON object come back with a schema bit, never as an exception."""
        try:
            root = self._typed(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self.decode_slowly(raw)
        if self._envelope.recovered and root.recovered is not _EMPTY:
            return self.decode_slowly(raw)
        kind = self._get_type(root)
        if kind is None:
            return self.decode_slowly(raw)
        containers = [c for get in self._containers if (c := get(root)) is not None]
        ways = self._inner_types.get(kind)
        if ways is not None:
            for container, get in ways:
                holder = root if container < 0 else self._containers[container](root)
                inner = get(holder) if holder is not None else None
                if inner is not None and inner in self._types and inner != kind:
                    kind = inner
                    break
        index, standing, required, wanted = self._types.get(kind, self._unknown)
        values = self._values(root)
        for container in containers:
            over = self._values(container)
            values = tuple([o if o is not None and o is not _EMPTY else v for v, o in zip(values, over, strict=True)])
        for position in wanted:
            if values[position] is None:
                return self.decode_slowly(raw)
        for position, _ in required:
            value = values[position]
            if value is None or value is _EMPTY or value == "":
                return self.decode_slowly(raw)
        return index, standing, 0, False, kind, values[:ID_COUNT]

    def decode_slowly(self, raw: bytes) -> Seen:
        """The definition, over plain dictionaries."""
        try:
            frame = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return 0, UNAPPROVED, NOT_JSON, False, "", _NOTHING
        if not isinstance(frame, dict):
            return 0, UNAPPROVED, NO_TYPE, False, "", _NOTHING
        recovered = bool(self._envelope.recovered and frame.get(self._envelope.recovered) is True)
        if recovered:
            for name in reversed(self._envelope.merge):
                stored = frame.get(name)
                if isinstance(stored, dict) and isinstance(stored.get(self._envelope.type), str):
                    frame = stored
                    break
        kind = frame.get(self._envelope.type)
        if not isinstance(kind, str):
            return 0, UNAPPROVED, NO_TYPE, recovered, "", _NOTHING
        for path in self._envelope.wrappers.get(kind, ()):
            inner = at_path(frame, path)
            if isinstance(inner, str) and inner in self._types and inner != kind:
                kind = inner
                break
        index, standing, required, wanted = self._types.get(kind, self._unknown)
        holders = [frame, *(c for name in self._envelope.merge if isinstance(c := frame.get(name), dict))]
        searched = {*wanted, *(position for position, _ in required)}
        merged = {n: self._find(holders, n, i in searched) for i, n in enumerate(self._order)}
        bits, values = 0, []
        for name in self._order:
            value = merged.get(name)
            wanted = int if name == "cursor" else str
            if name in IDS and value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
                bits |= WRONG_TYPE
                value = None
            values.append(value)
        for position, bit in required:
            value = values[position]
            if (value is None or value == "") and not (
                bits & WRONG_TYPE and merged.get(self._order[position]) is not None
            ):
                bits |= bit
        return index, standing, bits, recovered, kind, tuple(values[:ID_COUNT])

    def _find(self, holders: list[dict[str, Any]], name: str, by_alias: bool) -> Any:
        """A field's first name in any container (later ones win), then its other names."""
        aliases = self._fields.get(name, ())
        for alias in aliases if by_alias else aliases[:1]:
            for holder in reversed(holders):
                if holder.get(alias) is not None:
                    return holder[alias]
        return None
