"""HTTP calls before the upgrade, without the HTTP: what to ask, and what the answer gives. Pure.

Answers are a server's text: what is taken from them goes into URLs and headers, so it is checked here and cannot break
out of its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from loadtests.contract.paths import at_path
from loadtests.contract.schema import Call
from loadtests.contract.template import PLACE, Template
from loadtests.errors import RigError

__all__ = ["MOST_TAKEN", "SHOWN", "CallError", "Request", "fill", "request", "taken"]

#: of what is taken, this is no secret: an id that witnesses need
SHOWN = frozenset({"thread"})
MOST_TAKEN = 4096  # characters of a value; a ticket may be a signed token, a longer one is none
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class CallError(RigError):
    """A prelude's call did not give what the contract takes from it. It never repeats the answer, which may be secret."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status


class Request(NamedTuple):
    """One HTTP request to the target's host."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def fill(text: str, values: Mapping[str, str], escape: Callable[[str], str] = str) -> str:
    """The text with its ``{names}`` replaced; what has no value (yet) leaves nothing."""
    return PLACE.sub(lambda found: escape(values.get(found[1], "")), text)


def _in_path(value: str) -> str:
    return quote(value, safe="")


def request(call: Call, values: Mapping[str, str]) -> Request:
    """What to send. A header that names ``{token}`` is left out where there is none: no credentials are offered."""
    headers = {
        name: fill(value, values) for name, value in call.headers.items() if "token" in values or "{token}" not in value
    }
    body = b""
    if call.body is not None:
        template = Template(call.body, ("token", *values))
        body = template.render({**dict.fromkeys(template.names, ""), **values})
        headers.setdefault("Content-Type", "application/json")
    return Request(call.method, fill(call.path, values, _in_path), tuple(headers.items()), body)


def taken(call: Call, status: int, body: bytes) -> dict[str, str]:
    """The values that an answer gives.

    Raises:
        CallError: another status, no JSON, or a value that is absent or of no use.
    """
    if status not in call.status:
        raise CallError(status, f"answered {status}, expected {' or '.join(map(str, call.status))}")
    if not call.take:
        return {}
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CallError(status, "the answer is no JSON") from None
    return {name: _value(status, name, path, at_path(answer, path)) for name, path in call.take.items()}


def _value(status: int, name: str, path: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        found = "nothing" if value is None else type(value).__name__
        raise CallError(status, f"{found} at {path!r} in the answer, expected text for {{{name}}}")
    text = str(value)
    if not text or len(text) > MOST_TAKEN or _UNPRINTABLE.search(text):
        what = "empty" if not text else f"longer than {MOST_TAKEN}" if len(text) > MOST_TAKEN else "not printable"
        raise CallError(status, f"the text at {path!r} in the answer is {what}, expected a value for {{{name}}}")
    return text
