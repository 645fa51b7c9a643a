"""YAML files to typed records, with errors that name the file, the key path, what was expected and the nearest key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from loadtests.errors import ConfigError

__all__ = ["convert", "merge", "nearest", "read_yaml"]

T = TypeVar("T")

UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`(?: - at `\$?(?P<place>[^`]*)`)?")
PLACE = re.compile(r"^(?P<problem>.*?) - at `\$?(?P<place>[^`]*)`$", re.DOTALL)


class _UniqueKeyLoader(yaml.SafeLoader):
    """A key given twice is a mistake that YAML itself lets pass: the last one silently wins."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a plain word", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        ConfigError: the file is missing, is no YAML, gives a key twice, or is not a mapping.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506  # a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(str(path), "", f"cannot be read: {reason}", "a YAML file") from None
    except RecursionError:
        raise ConfigError(str(path), "", "is nested too deeply", "a mapping of keys") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(str(path), place, str(problem), "valid YAML") from None
    if not isinstance(data, dict):
        raise ConfigError(str(path), "", f"holds {type(data).__name__}", "a mapping of keys")
    return data


def nearest(word: str, words: list[str]) -> str:
    """A ``did you mean`` clause, or the list of what there is."""
    close = difflib.get_close_matches(word, words, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return "one of " + ", ".join(sorted(words)) if words else ""


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid on ``base``: mappings key by key, everything else replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def convert(data: Mapping[str, Any], kind: type[T], where: str) -> T:
    """A mapping as a typed record.

    Raises:
        ConfigError: names ``where``, the key path, what was expected, and the nearest valid key.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        text = str(error)
        if unknown := UNKNOWN_FIELD.search(text):
            place = (unknown["place"] or "").lstrip(".")
            field = unknown["field"]
            hint = nearest(field, _keys_at(kind, place))
            raise ConfigError(where, f"{place}.{field}".lstrip("."), "unknown key", hint) from None
        found = PLACE.match(text)
        place, problem = (found["place"].lstrip("."), found["problem"]) if found else ("", text)
        raise ConfigError(where, place or "the top", problem) from None


def _keys_at(kind: Any, place: str) -> list[str]:
    """The keys that the record at a msgspec error path may hold."""
    for step in re.findall(r"\[[^\]]*\]|[^.\[]+", place):
        kind = _strip_optional(kind)
        if step == "[...]" or step.startswith("["):
            arguments = getattr(kind, "__args__", ())
            kind = arguments[-1] if arguments else None
        elif _is_record(kind):
            kind = {field.name: field.type for field in msgspec.structs.fields(kind)}.get(step)
        else:
            return []
    kind = _strip_optional(kind)
    return [field.encode_name for field in msgspec.structs.fields(kind)] if _is_record(kind) else []


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _strip_optional(kind: Any) -> Any:
    if hasattr(kind, "__metadata__"):  # Annotated
        kind = kind.__origin__
    records = [a for a in getattr(kind, "__args__", ()) if _is_record(a)]
    return records[0] if records and type(None) in getattr(kind, "__args__", ()) else kind
