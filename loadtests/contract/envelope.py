"""What a frame says of itself, read from plain dictionaries: the definition that every faster way is held to."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

import msgspec

from loadtests.contract.paths import at_path
from loadtests.contract.schema import ContractFile, Envelope

__all__ = ["BROKEN", "Opened", "Opener", "any_json", "on_wire", "places_of", "told_by", "type_paths", "typed_as"]

#: numbers as Python reads them: JSON sets no bound to them, and 1e999 is no reason to call a frame broken
any_json: Callable[[bytes], Any] = msgspec.json.Decoder(float_hook=float).decode
#: what any decoder raises on bytes that are no JSON, or none that a Python program can hold
BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def type_paths(envelope: Envelope) -> tuple[str, ...]:
    """The paths that a frame's type is made of."""
    return (envelope.type,) if isinstance(envelope.type, str) else tuple(envelope.type)


def on_wire(file: ContractFile) -> dict[str, tuple[str, ...]]:
    """The canonical fields that frames carry, each with its names; what has none is not on this wire."""
    return {name: tuple(wire) for name, wire in file.fields.items() if wire}


def told_by(file: ContractFile) -> dict[str, tuple[str, ...]]:
    """All that an event may be asked to carry: the fields on the wire, and its version where events say one."""
    return on_wire(file) | ({"version": (file.versions.path,)} if file.versions.path else {})


def places_of(envelope: Envelope, path: str) -> tuple[str, ...]:
    """Where a field may stand: under a plain name in any container, those that win last; a dotted path from the root."""
    return (path,) if "." in path else (path, *(f"{container}.{path}" for container in envelope.merge))


def typed_as(envelope: Envelope, kind: str) -> list[tuple[str, str]]:
    """(path, what stands there) of a frame of this type."""
    paths = type_paths(envelope)
    parts = kind.split(envelope.join, len(paths) - 1) if len(paths) > 1 else [kind]
    return list(zip(paths, parts, strict=False))


class Opened(NamedTuple):
    """A frame without its envelope. ``holders``: the places where its fields may stand, the last one first."""

    kind: str | None
    recovered: bool
    frame: dict[str, Any]
    holders: Sequence[dict[str, Any]]

    def find(self, path: str) -> Any:
        """The value of a field: by a plain name in any holder, by a dotted path from the root."""
        if "." in path:
            return at_path(self.frame, path)
        for holder in self.holders:
            if (value := holder.get(path)) is not None:
                return value
        return None


class Opener:
    """Opens frames as a contract's envelope says; ``known`` are the types that a wrapper may hold."""

    def __init__(self, envelope: Envelope, known: Container[str] = frozenset()) -> None:
        self._envelope = envelope
        self._paths = type_paths(envelope)
        self._known = known

    def _kind(self, frame: dict[str, Any]) -> str | None:
        found = [value for path in self._paths if isinstance(value := at_path(frame, path), str)]
        return self._envelope.join.join(found) if found else None

    def open(self, frame: dict[str, Any]) -> Opened:
        """A stored message that is delivered later is the whole live frame, within a container of the one that came."""
        envelope = self._envelope
        recovered = bool(envelope.recovered and frame.get(envelope.recovered) is True)
        if recovered:
            for path in reversed(envelope.merge):
                stored = at_path(frame, path)
                if isinstance(stored, dict) and self._kind(stored) is not None:
                    frame = stored
                    break
        kind = self._kind(frame)
        for path in envelope.wrappers.get(kind or "", ()):
            inner = at_path(frame, path)
            if isinstance(inner, str) and inner != kind and inner in self._known:
                kind = inner
                break
        containers = [c for path in reversed(envelope.merge) if isinstance(c := at_path(frame, path), dict)]
        return Opened(kind, recovered, frame, (*containers, frame))
