"""A message template, compiled once into the pieces between its placeholders, since a turn begins with one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any

__all__ = ["PLACE", "PLACEHOLDERS", "Template", "placeholders"]

#: What any contract may ask for; it adds what its prelude and its handshake take. All else in braces is ordinary text.
PLACEHOLDERS = ("content", "thread", "turn", "message", "now", "stream", "cursor")
#: a placeholder in a text
PLACE = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def placeholders(template: Any) -> Iterable[str]:
    """Every ``{word}`` in the strings of a template, known or not."""
    return PLACE.findall(template if isinstance(template, str) else json.dumps(template, ensure_ascii=False))


class Template:
    """JSON with ``{name}`` in its strings. A string that is nothing but one placeholder takes the value's own type."""

    __slots__ = ("_pattern", "_places")

    def __init__(self, template: Mapping[str, Any], names: Iterable[str] = ()) -> None:
        text, at = json.dumps(template), 0
        words = "|".join(map(re.escape, dict.fromkeys((*PLACEHOLDERS, *names))))
        place = re.compile(rf'"\{{({words})\}}"|\{{({words})\}}')
        pattern: list[str] = []
        #: (name, whether the value stands alone), in the pattern's order
        self._places: list[tuple[str, bool]] = []
        for found in place.finditer(text):
            pattern += text[at : found.start()].replace("%", "%%"), "%s"
            self._places.append((found[1] or found[2], found[1] is not None))
            at = found.end()
        self._pattern = "".join([*pattern, text[at:].replace("%", "%%")])

    @property
    def names(self) -> frozenset[str]:
        """The placeholders that stand in it."""
        return frozenset(name for name, _ in self._places)

    def render(self, values: Mapping[str, Any]) -> bytes:
        """The message with its values, JSON-escaped."""
        texts = []
        for name, alone in self._places:
            value = values[name]
            # The escaping half of json.dumps, without its set-up: this stands in every turn.
            text = encode_basestring_ascii(value) if isinstance(value, str) else json.dumps(value)
            texts.append(text[1:-1] if not alone and text[0] == '"' else text)
        return (self._pattern % tuple(texts)).encode()
