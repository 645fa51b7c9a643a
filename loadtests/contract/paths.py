"""Dotted paths into JSON, and typed records made for a set of them, so that the rest of a frame is skipped unread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["Records", "at_path"]


def at_path(data: Any, path: str) -> Any:
    """The value at a dotted path in decoded JSON, or None. A step of digits is an index where the value is a list."""
    for step in path.split("."):
        if isinstance(data, dict):
            data = data.get(step)
        elif isinstance(data, list) and step.isdecimal() and int(step) < len(data):
            data = data[int(step)]
        else:
            return None
    return data


class _Node:
    """What is known of one place: a leaf has a kind, a branch has children."""

    __slots__ = ("branch", "children", "kind")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.kind: Any = None
        self.branch = False

    @property
    def is_list(self) -> bool:
        return bool(self.children) and all(step.isdecimal() for step in self.children)


class Records:
    """Paths are added, then one decoder comes out, and an expression in Python for the value at each path.

    The expressions hold our own names only (``f0``, ``v1``), never the contract's. One wire name has one attribute
    name at every depth. ``possible`` turns false where the paths contradict each other: then no typed way exists, and
    the plain one must be gone.
    """

    def __init__(self) -> None:
        self._root = _Node()
        self._root.branch = True
        self._attributes: dict[str, str] = {}
        self.possible = True

    def leaf(self, path: str, kind: Any) -> None:
        """A value of this kind, or nothing, stands at ``path``. ``msgspec.Raw`` gives way to any other kind."""
        node = self._at(path)
        if node.kind is None or node.kind is msgspec.Raw:
            node.kind = kind
        elif kind not in (node.kind, msgspec.Raw):
            self.possible = False

    def branch(self, path: str) -> None:
        """A container stands at ``path``, even if nothing of it is wanted."""
        self._at(path).branch = True

    def _at(self, path: str) -> _Node:
        node = self._root
        for step in path.split("."):
            node.branch = True
            node = node.children.setdefault(step, _Node())
        return node

    def attribute(self, step: str) -> str:
        """Our name for a wire name."""
        return self._attributes.setdefault(step, f"f{len(self._attributes)}")

    def decoder(self) -> Callable[[bytes], Any] | None:
        """JSON -> the root record; None where no typed way exists. It raises on everything that does not fit."""
        try:
            root = self._record(self._root)
        except ValueError:  # a wire name that msgspec cannot hold, with a quote or a backslash in it
            return None
        return msgspec.json.Decoder(root).decode if self.possible else None

    def _record(self, node: _Node) -> Any:
        fields: list[tuple[str, Any, Any]] = []
        rename: dict[str, str] = {}
        for step, child in node.children.items():
            name = self.attribute(step)
            rename[name] = step
            # A default is not held to its type, so that None means absent for raw content as well.
            fields.append((name, self._kind(child), None))
        return msgspec.defstruct("Part", fields, rename=rename, gc=False)

    def _kind(self, node: _Node) -> Any:
        if not node.branch:
            return node.kind if node.kind is msgspec.Raw else node.kind | None
        if node.kind is not None:
            self.possible = False
            return msgspec.Raw
        if not node.is_list:
            return self._record(node) | None
        # Elements have one type; what only some of them hold is absent in the others.
        element = _Node()
        for child in node.children.values():
            self._fuse(element, child)
        return list[self._kind(element)] | None  # type: ignore[misc]  # made at run time

    def _fuse(self, into: _Node, node: _Node) -> None:
        into.branch = into.branch or node.branch
        if node.kind is not None and into.kind not in (None, node.kind):
            self.possible = False
        into.kind = into.kind or node.kind
        for step, child in node.children.items():
            self._fuse(into.children.setdefault(step, _Node()), child)

    def expression(self, path: str, root: str = "root") -> str:
        """Python for the value at ``path``, None where something on the way is absent."""
        text, value, node = "", root, self._root
        steps = path.split(".")
        for depth, step in enumerate(steps):
            if node.is_list:
                text += f"None if len({value}) <= {int(step)} else "
                value = f"{value}[{int(step)}]"
            else:
                value = f"{value}.{self.attribute(step)}"
            node = node.children[step]
            if depth < len(steps) - 1:
                text += f"None if (v{depth} := {value}) is None else "
                value = f"v{depth}"
        return f"({text}{value})" if text else value
