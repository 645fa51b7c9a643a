"""Why a mapping is not what its type says: the exact key path, what stands there, what was expected. Knows no contract.

The decoder itself says ``events[...]`` where a mapping holds the mistake, and no more of a word than that it is invalid.
"""

from __future__ import annotations

import types
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from loadtests.configfile import convert, nearest
from loadtests.errors import ConfigError

__all__ = ["shaped", "shaped_in_part"]

T = TypeVar("T")
WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    tuple: "a list",
}
NOTHING = type(None)


def shaped(data: dict[str, Any], kind: type[T], where: str) -> T:
    """The mapping as a typed record.

    Raises:
        ConfigError: names ``where``, the exact key path, what was expected, and the nearest valid key or word.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError:
        place, problem, expected = _explain(data, kind, "")
    if problem:
        raise ConfigError(where, place, problem, expected) from None
    return convert(data, kind, where)


def shaped_in_part(data: dict[str, Any], kind: Any, where: str) -> None:
    """Nothing, if all that a mapping says is right; what is missing, or null, is for the one that it is laid upon.

    Raises:
        ConfigError: as ``shaped`` does.
    """
    place, problem, expected = _explain_part(data, kind, "")
    if problem:
        raise ConfigError(where, place, problem, expected)


def _explain_part(value: Any, kind: Any, place: str) -> tuple[str, str, str]:
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(filter(_is_record, get_args(kind)), kind)
    if not isinstance(value, dict) or _container(kind) is not dict:
        return _explain(value, kind, place)
    hints = get_type_hints(kind, include_extras=True) if _is_record(kind) else None
    for key, item in value.items():
        if not isinstance(key, str):
            return _key(key, place)
        at = f"{place}.{key}".lstrip(".")
        if hints is not None and key not in hints:
            return at, "unknown key", nearest(key, list(hints))
        if item is not None:
            found = _explain_part(item, get_args(kind)[1] if hints is None else hints[key], at)
            if found[1]:
                return found
    return "", "", ""


def _explain(value: Any, kind: Any, place: str) -> tuple[str, str, str]:
    """(place, problem, expected) of the first mistake below; three empty words if there is none."""
    if _fits(value, kind):
        return "", "", ""
    origin, parts = get_origin(kind), [part for part in get_args(kind) if part is not NOTHING]
    if hasattr(kind, "__metadata__"):
        return (
            _explain(value, kind.__origin__, place)
            if not _fits(value, kind.__origin__)
            else _bounded(value, kind, place)
        )
    if origin in (Union, types.UnionType):
        inner = [part for part in parts if _container(part) and isinstance(value, _container(part))]
        return _explain(value, inner[0], place) if len(inner) == 1 else _told(value, kind, place)
    if _is_record(kind) and isinstance(value, dict):
        return _in_record(value, kind, place)
    if origin is dict and isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not _fits(item, parts[1]):
                return (
                    _explain(item, parts[1], f"{place}.{key}".lstrip(".")) if isinstance(key, str) else _key(key, place)
                )
    if origin in (list, tuple) and isinstance(value, list):
        for i, item in enumerate(value):
            if not _fits(item, parts[0]):
                return _explain(item, parts[0], f"{place}[{i}]")
    return _told(value, kind, place)


def _in_record(value: dict[str, Any], kind: Any, place: str) -> tuple[str, str, str]:
    hints = get_type_hints(kind, include_extras=True)
    keys = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key, item in value.items():
        at = f"{place}.{key}".lstrip(".")
        if key not in keys:
            return at, "unknown key", nearest(str(key), keys)
        if not _fits(item, hints[key]):
            return _explain(item, hints[key], at)
    for field in msgspec.structs.fields(kind):
        if field.required and field.encode_name not in value:
            return f"{place}.{field.encode_name}".lstrip("."), "is missing", _in_words(hints[field.name])
    return place or "the top", "does not fit", _in_words(kind)


def _key(key: Any, place: str) -> tuple[str, str, str]:
    word = str(key).lower() if isinstance(key, bool) else key
    return place, f"the key {word} is {_word_of(key)}", f"text: '{word}' in quotes"


def _bounded(value: Any, kind: Any, place: str) -> tuple[str, str, str]:
    meta = next(one for one in kind.__metadata__ if isinstance(one, msgspec.Meta))
    bounds = {"more than": meta.gt, "at least": meta.ge, "less than": meta.lt, "at most": meta.le}
    told = [f"{words} {bound}" for words, bound in bounds.items() if bound is not None]
    return place, f"is {value!r}", ", ".join([_in_words(kind.__origin__), *told])


def _told(value: Any, kind: Any, place: str) -> tuple[str, str, str]:
    if get_origin(kind) is Literal:
        words = [str(word) for word in get_args(kind)]
        return place, f"is {value!r}", nearest(str(value), words) if len(words) > 1 else words[0]
    return place, f"is {_word_of(value)}", _in_words(kind)


def _in_words(kind: Any) -> str:
    if hasattr(kind, "__metadata__"):
        return _in_words(kind.__origin__)
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_in_words(part) for part in get_args(kind) if part is not NOTHING))
    if get_origin(kind) is Literal:
        return " or ".join(str(word) for word in get_args(kind))
    if _is_record(kind):
        return f"a mapping of {', '.join(field.encode_name for field in msgspec.structs.fields(kind))}"
    return WORDS.get(get_origin(kind) or kind, str(kind))


def _word_of(value: Any) -> str:
    return "nothing" if value is None else WORDS.get(type(value), type(value).__name__)


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _container(kind: Any) -> Any:
    """What a value must be for a look inside it."""
    return dict if _is_record(kind) else origin if (origin := get_origin(kind)) in (dict, list) else None


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
