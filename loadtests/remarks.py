"""What stands above a key in the source as ``#:`` remark becomes its description in a published JSON Schema."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

__all__ = ["describe"]


def describe(records: Mapping[str, dict[str, Any]], modules: Iterable[ModuleType]) -> None:
    """Add descriptions to the records of a schema, in place; each is the class of its name in one of the modules."""
    found = list(modules)
    for name, record in records.items():
        described = _described(next(getattr(module, name) for module in found if hasattr(module, name)))
        for key, place in record["properties"].items():
            if key in described:
                place["description"] = described[key]


def _described(record: type) -> dict[str, str]:
    """Key -> the ``#:`` remark above it in the source."""
    found: dict[str, str] = {}
    remark: list[str] = []
    for line in map(str.strip, inspect.getsource(record).splitlines()):
        if line.startswith("#:"):
            remark.append(line[2:].strip())
        else:
            key = line.partition(":")[0]
            if remark and key.isidentifier():
                found[key] = " ".join(remark).replace("``", "`")
            remark = []
    return found
