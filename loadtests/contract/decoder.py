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

_Picker = Callable[..., tuple[Any, ...]]

#: event index, standing, ((position, schema bit) of a required field, …), positions worth a look at their aliases,
#: whether all of these have a value, positions of required raw content
_Entry = tuple[
    int, int, tuple[tuple[int, int], ...], tuple[int, ...], Callable[[tuple[Any, ...]], Any] | None, tuple[int, ...]
]

ID_COUNT = len(IDS)
#: raw content that is there in name only
_HOLLOW = (msgspec.Raw(b"null"), msgspec.Raw(b'""'))
_NOTHING: tuple[Any, ...] = (None,) * ID_COUNT
#: numbers as Python reads them: JSON sets no bound to them, and 1e999 is no reason to call a frame broken
_any_json: Callable[[bytes], Any] = msgspec.json.Decoder(float_hook=float).decode


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


def _pickers(attributes: Sequence[str]) -> tuple[_Picker, _Picker]:
    """Two functions: all values of one record, and those of a container over its root.

    Made of one expression each, because a loop over the fields would cost more than decoding the frame. The names are
    our own (``f0``, ``c1``), never the contract's.
    """
    over = ", ".join(f"v if (v := c.{a}) is not None else r.{a}" if a != "none" else "None" for a in attributes)
    flat = ", ".join(f"r.{a}" if a != "none" else "None" for a in attributes)
    return eval(f"lambda r: ({flat},)"), eval(f"lambda r, c: ({over},)")  # noqa: S307


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
            self._types[name] = (0, LEGACY, (), (), None, ())
        self._unknown: _Entry = (0, UNAPPROVED, (), (), None, ())
        self._compile_fast()
        #: one text frame; bytes that are no JSON object come back with a schema bit, never as an exception
        self.decode: Callable[[bytes], Seen] = self._fast()

    def _entry(self, rule: _Rule, standing: int) -> _Entry:
        required = tuple((self._position[f], 1 << (MISSING_SHIFT + bit)) for bit, f in enumerate(rule.fields))
        fields = {"started": ("agent",), "done": ("agent",), "tool-open": ("tool",), "tool-close": ("tool",)}
        wanted = [f for f in fields.get(rule.role, ()) if len(self._fields.get(f, ())) > 1]
        positions = tuple(self._position[f] for f in wanted)
        searched = sorted({*positions, *(position for position, _ in required)})
        need = eval("lambda v: " + " and ".join(f"v[{i}]" for i in searched)) if searched else None  # noqa: S307
        content = tuple(position for position, _ in required if position >= ID_COUNT)
        return rule.index, standing, required, positions, need, content

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
        container = {name: f"c{i}" for i, name in enumerate(envelope.merge)}
        rename = {attr: name for name, attr in (attribute | container).items()}
        # A default is not held to its type, so that None means absent for raw content as well.
        fields: list[tuple[str, Any, Any]] = [(attribute[name], kind, None) for name, kind in wire.items()]
        inner: Any = msgspec.defstruct("Inner", fields, rename=rename, gc=False)
        outer = [field for field in fields if rename[field[0]] not in {*container, envelope.recovered}]
        outer += [(attr, inner | None, None) for attr in container.values()]
        if envelope.recovered:
            outer.append(("recovered", msgspec.Raw, None))
            rename["recovered"] = envelope.recovered
        root: Any = msgspec.defstruct("Root", outer, rename=rename, gc=False)
        inner.none = root.none = None
        for attr in attribute.values():
            if not hasattr(root, attr):  # a field that is a container's name in the root
                setattr(root, attr, None)
        if not envelope.recovered:
            root.recovered = None
        for attr in ("c0", "c1"):
            if attr not in container.values():
                setattr(root, attr, None)
        self._typed: Callable[[bytes], Any] = msgspec.json.Decoder(root).decode
        first = [attribute[self._fields[n][0]] if self._fields.get(n) else "none" for n in self._order]
        self._flat, self._over = _pickers(first[:ID_COUNT])
        self._flat_content, self._over_content = _pickers(first)
        self._get_type = attrgetter(attribute[envelope.type])
        self._too_many = len(container) > 2
        self._inner_types: dict[str, list[tuple[Callable[[Any], Any] | None, Callable[[Any], Any]]]] = {}
        for name, paths in envelope.wrappers.items():
            ways: list[tuple[Callable[[Any], Any] | None, Callable[[Any], Any]]] = []
            for path in paths:
                head, _, tail = path.rpartition(".")
                if not head or head in container:
                    ways.append((attrgetter(container[head]) if head else None, attrgetter(attribute[tail])))
            self._inner_types[name] = ways

    def classify(self, kind: str) -> tuple[int, int]:
        """(event index, standing) of a raw type."""
        index, standing, *_ = self._types.get(kind, self._unknown)
        return index, standing

    def _fast(self) -> Callable[[bytes], Seen]:
        """``decode`` as a closure: it runs once an event, and attributes of an object cost as much as the decoding."""
        typed, slowly, get_type, inner_types, unwrapped = (
            self._typed, self.decode_slowly, self._get_type, self._inner_types, self._unwrapped
        )  # fmt: skip
        entry_of, unknown = self._types.get, self._unknown
        flat, over, flat_content, over_content = self._flat, self._over, self._flat_content, self._over_content

        def decode(raw: bytes) -> Seen:
            try:
                if not raw.isascii():
                    raw.decode()  # the typed decoder skips what it does not need, bad UTF-8 too
                root = typed(raw)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return slowly(raw)
            kind = get_type(root)
            if kind is None or root.recovered is not None:
                return slowly(raw)
            if kind in inner_types:
                kind = unwrapped(kind, root)
            index, standing, _, _, need, content = entry_of(kind, unknown)
            holder = root.c0
            if holder is None:
                holder = root.c1
            elif root.c1 is not None:
                return slowly(raw)
            if content:
                values = flat_content(root) if holder is None else over_content(root, holder)
                for position in content:
                    if values[position] in _HOLLOW:
                        return slowly(raw)
            else:
                values = flat(root) if holder is None else over(root, holder)
            if need is not None and not need(values):
                return slowly(raw)
            return index, standing, 0, False, kind, values[:ID_COUNT] if content else values

        return slowly if self._too_many else decode

    def _unwrapped(self, kind: str, root: Any) -> str:
        for container, get in self._inner_types[kind]:
            holder = root if container is None else container(root)
            inner: str | None = get(holder) if holder is not None else None
            if inner is not None and inner in self._types and inner != kind:
                return inner
        return kind

    def decode_slowly(self, raw: bytes) -> Seen:
        """The definition, over plain dictionaries."""
        try:
            frame = _any_json(raw)
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
        index, standing, required, wanted, *_ = self._types.get(kind, self._unknown)
        holders = [frame, *(c for name in self._envelope.merge if isinstance(c := frame.get(name), dict))]
        searched = {*wanted, *(position for position, _ in required)}
        merged = {n: self._find(holders, n, i in searched) for i, n in enumerate(self._order)}
        bits, values = 0, []
        for name in self._order:
            value = merged.get(name)
            kind_wanted = int if name == "cursor" else str
            if name in IDS and value is not None and (not isinstance(value, kind_wanted) or isinstance(value, bool)):
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
