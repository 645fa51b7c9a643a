"""Text frame -> ``Seen``: what kind of event it is and the ids it carries, whatever envelope it came in.

Two ways lead to the same answer. The fast one decodes into a typed record made from the contract (msgspec, 0.4 µs a
frame), by a function that is written for the contract at start. Whatever does not fit, a stored message, a field of the
wrong type, garbage, goes the slow way over plain dictionaries, which is also the definition that tests hold the fast
way to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from loadtests.contract.envelope import BROKEN, Opener, any_json, places_of, told_by, type_paths
from loadtests.contract.paths import Records, at_path
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
    "UNDECLARED_OUTCOME",
    "UNNUMBERED_CHUNK",
    "VERSION_DEPRECATED",
    "VERSION_UNKNOWN",
    "WRONG_TYPE",
    "FrameDecoder",
    "Seen",
    "at_path",
]

#: Canonical id fields in the order in which ``Seen`` carries them; all are strings but the cursor, a whole number.
IDS = ("turn", "agent", "execution", "tool", "event_id", "stream", "message", "thread", "cursor", "version")

APPROVED, DEPRECATED, LEGACY, UNAPPROVED, VERSION_UNKNOWN, VERSION_DEPRECATED = 0, 1, 2, 3, 4, 5

#: Schema bits of a row. From MISSING_SHIFT on, bit k says that the k-th required field of the event is absent.
NOT_JSON, NO_TYPE, WRONG_TYPE, MISSING_SHIFT = 1, 2, 4, 3
#: the last bit of all: a terminal event says an outcome that the contract does not list
UNDECLARED_OUTCOME = 1 << 15
#: the one before: a chunk of a numbered stream does not say its number
UNNUMBERED_CHUNK = 1 << 14

#: (event index, standing, schema bits, recovered, raw type, ids in the order of IDS)
Seen = tuple[int, int, int, bool, str, tuple[Any, ...]]

ID_COUNT = len(IDS)
VERSION = IDS.index("version")
#: a version may be a number on the wire; a row carries it as text
MOST_VERSION = 1 << 63
#: raw content that is there in name only
_HOLLOW = (msgspec.Raw(b"null"), msgspec.Raw(b'""'))
_NOTHING: tuple[Any, ...] = (None,) * ID_COUNT
#: fields by which a turn is told apart, worth a look at their other names even where they are not required
_WANTED = {"started": ("agent",), "done": ("agent",), "tool-open": ("tool",), "tool-close": ("tool",)}


class _Rule(Protocol):
    @property
    def index(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def fields(self) -> tuple[str, ...]: ...


class _Entry(NamedTuple):
    """What is to be known of a raw type."""

    event: int
    standing: int
    #: (position, schema bit) of each required field
    required: tuple[tuple[int, int], ...] = ()
    #: positions that are searched under all their names
    searched: frozenset[int] = frozenset()
    #: positions of required raw content
    content: tuple[int, ...] = ()


class FrameDecoder:
    """Compiled from a contract file; ``decode`` never raises, whatever the bytes are."""

    def __init__(self, file: ContractFile, rules: Sequence[_Rule]) -> None:
        self._envelope = file.envelope
        self._fields = told_by(file)
        self._standings: dict[str, int] | None = None
        if file.versions.path:
            self._standings = dict.fromkeys(file.versions.accepted, APPROVED)
            self._standings |= dict.fromkeys(file.versions.deprecated, VERSION_DEPRECATED)
        self._order = (*IDS, *(name for name in self._fields if name not in IDS))
        self._position = {name: i for i, name in enumerate(self._order)}
        by_name = {rule.name: rule for rule in rules}
        self._types: dict[str, _Entry] = {rule.name: self._entry(rule, APPROVED) for rule in rules}
        self._types |= {alias: self._entry(by_name[name], DEPRECATED) for alias, name in file.aliases.items()}
        self._types |= dict.fromkeys(file.legacy, _Entry(0, LEGACY))
        self._unknown = _Entry(0, UNAPPROVED)
        self._opener = Opener(file.envelope, self._types)
        #: one text frame; bytes that are no JSON object come back with a schema bit, never as an exception
        self.decode: Callable[[bytes], Seen] = self._fast() or self.decode_slowly

    def _entry(self, rule: _Rule, standing: int) -> _Entry:
        required = tuple((self._position[f], 1 << (MISSING_SHIFT + bit)) for bit, f in enumerate(rule.fields))
        wanted = {self._position[f] for f in _WANTED.get(rule.role, ()) if len(self._fields.get(f, ())) > 1}
        searched = frozenset({*wanted, *(position for position, _ in required)})
        content = tuple(position for position, _ in required if position >= ID_COUNT)
        return _Entry(rule.index, standing, required, searched, content)

    def classify(self, kind: str) -> tuple[int, int]:
        """(event index, standing) of a raw type."""
        entry = self._types.get(kind, self._unknown)
        return entry.event, entry.standing

    def _kind_of(self, name: str) -> Any:
        if name == "version":
            return str | int
        return int if name == "cursor" else str if name in IDS else msgspec.Raw

    def _fast(self) -> Callable[[bytes], Seen] | None:
        """``decode`` as one function without calls of its own: it runs once an event, and a call costs what a check costs."""
        envelope, records, paths = self._envelope, Records(), type_paths(self._envelope)
        for path in (*paths, *(path for ways in envelope.wrappers.values() for path in ways)):
            records.leaf(path, str)
        for path in envelope.merge:
            records.branch(path)
        if envelope.recovered:
            records.leaf(envelope.recovered, msgspec.Raw)
        for name, wire in self._fields.items():
            for place in places_of(envelope, wire[0]):
                records.leaf(place, self._kind_of(name))
        typed = records.decoder()
        if typed is None:
            return None
        flat, over = [], []
        for name in self._order:
            wire = self._fields.get(name, ())
            value = records.expression(wire[0]) if wire else "None"
            plain = bool(wire) and "." not in wire[0]
            flat.append(value)
            over.append(f"v if (v := holder.{records.attribute(wire[0])}) is not None else {value}" if plain else value)
        ways = {
            name: eval(f"lambda root: ({', '.join(map(records.expression, ways))},)")  # noqa: S307
            for name, ways in envelope.wrappers.items()
        }

        def unwrapped(kind: str, root: Any) -> str:
            for inner in ways[kind](root):
                if inner is not None and inner in self._types and inner != kind:
                    return str(inner)
            return kind

        # What is needed stands inline, since a call costs as much as all else here: types of like needs are one group.
        groups = list(dict.fromkeys(entry.searched for entry in self._types.values() if entry.searched))
        brief = {
            kind: (entry.event, entry.standing, groups.index(entry.searched) if entry.searched else -1, entry.content)
            for kind, entry in self._types.items()
        }
        lines = [
            "try:",
            "    if not raw.isascii():",
            "        raw.decode()",  # the typed decoder skips what it does not need, bad UTF-8 too
            "    root = typed(raw)",
            "except BROKEN:",
            "    return slowly(raw)",
            *_type_lines([records.expression(path) for path in paths]),
            f"if {records.expression(envelope.recovered)} is not None: return slowly(raw)"
            if envelope.recovered
            else "",
            "if kind in ways: kind = unwrapped(kind, root)" if ways else "",
            "index, standing, need, content = entry_of(kind, unknown)",
            *_holder_lines([records.expression(path) for path in envelope.merge]),
            "if content:",
            f"    values = ({', '.join(flat)},) if holder is None else ({', '.join(over)},)",
            "    for position in content:",
            "        if values[position] in HOLLOW: return slowly(raw)",
            "else:",
            f"    values = ({', '.join(flat[:ID_COUNT])},) if holder is None else ({', '.join(over[:ID_COUNT])},)",
            *_need_lines(groups),
            *(_VERSION_LINES if "version" in self._fields else ()),
            f"return index, standing, 0, False, kind, values[:{ID_COUNT}] if content else values",
        ]
        scope: dict[str, Any] = {
            "BROKEN": BROKEN, "HOLLOW": _HOLLOW, "entry_of": brief.get, "join": envelope.join, "slowly": self.decode_slowly,
            "standings": self._standings, "typed": typed, "unknown": (0, UNAPPROVED, -1, ()), "unwrapped": unwrapped, "ways": ways,
        }  # fmt: skip
        arguments = ", ".join(f"{name}={name}" for name in scope)  # locals are looked up faster than globals
        exec(f"def decode(raw, {arguments}):\n" + "\n".join(f"    {line}" for line in lines if line), scope)  # noqa: S102
        decode: Callable[[bytes], Seen] = scope["decode"]
        return decode

    def decode_slowly(self, raw: bytes) -> Seen:
        """The definition, over plain dictionaries."""
        try:
            frame = any_json(raw)
        except BROKEN:
            return 0, UNAPPROVED, NOT_JSON, False, "", _NOTHING
        if not isinstance(frame, dict):
            return 0, UNAPPROVED, NO_TYPE, False, "", _NOTHING
        opened = self._opener.open(frame)
        if opened.kind is None:
            return 0, UNAPPROVED, NO_TYPE, opened.recovered, "", _NOTHING
        entry = self._types.get(opened.kind, self._unknown)
        bits, wrong = 0, set()
        values: list[Any] = []
        for position, name in enumerate(self._order):
            aliases = self._fields.get(name, ())
            value = None
            for alias in aliases if position in entry.searched else aliases[:1]:
                if (value := opened.find(alias)) is not None:
                    break
            if position < ID_COUNT and value is not None:
                text = _id_of(name, value)
                if text is None:
                    bits |= WRONG_TYPE
                    wrong.add(position)
                value = text
            values.append(value)
        for position, bit in entry.required:
            if values[position] in (None, "") and position not in wrong:
                bits |= bit
        standing = entry.standing
        version: str | None = values[VERSION]
        if self._standings is not None and standing <= DEPRECATED and version is not None:
            standing = self._standings.get(version, VERSION_UNKNOWN) or standing
        return entry.event, standing, bits, opened.recovered, opened.kind, tuple(values[:ID_COUNT])


#: An absent version says nothing; a contract that wants one on an event lists it among the event's fields.
_VERSION_LINES = (
    f"version = values[{VERSION}]",
    "if version is not None:",
    "    if version.__class__ is int:",
    f"        if not -{MOST_VERSION} <= version < {MOST_VERSION}: return slowly(raw)",
    "        version = str(version)",
    f"        values = (*values[:{VERSION}], version, *values[{VERSION + 1}:])",
    f"    if standing <= {DEPRECATED} and standings is not None: standing = standings.get(version, {VERSION_UNKNOWN}) or standing",
)


def _type_lines(parts: list[str]) -> list[str]:
    """The type, of one path or of what is found at several."""
    if len(parts) == 1:
        return [f"kind = {parts[0]}", "if kind is None: return slowly(raw)"]
    return [
        f"parts = ({', '.join(parts)},)",
        "kind = join.join([part for part in parts if part is not None])",
        "if not kind: return slowly(raw)",
    ]


def _need_lines(groups: Sequence[frozenset[int]]) -> list[str]:
    """Whoever lacks what its group needs is looked at more closely."""
    tests = [" and ".join(f"values[{i}]" for i in sorted(group)) for group in groups]
    lines = ["if need < 0:", "    pass"]
    for number, test in enumerate(tests):
        lines += [f"elif need == {number}:", f"    if not ({test}): return slowly(raw)"]
    return lines


def _holder_lines(containers: list[str]) -> list[str]:
    """The one container that is there; which of two wins where is for the slow way."""
    lines = [f"holder = {containers[0]}" if containers else "holder = None"]
    for container in containers[1:]:
        lines += [
            f"more = {container}",
            "if holder is None: holder = more",
            "elif more is not None: return slowly(raw)",
        ]
    return lines


def _id_of(name: str, value: Any) -> Any:
    """The id if it is of its type, else None."""
    if isinstance(value, bool):
        return None
    if name == "version" and isinstance(value, int) and -MOST_VERSION <= value < MOST_VERSION:
        return str(value)
    return value if isinstance(value, int if name == "cursor" else str) else None
