"""Which ``{names}`` may stand where in a contract, and who takes them: nobody sends a placeholder that stays empty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from loadtests.configfile import nearest
from loadtests.contract.schema import ContractFile
from loadtests.contract.template import PLACEHOLDERS, placeholders

__all__ = ["Problem", "places"]

#: names that the harness gives itself; a server's may take the place of ``thread`` alone
RESERVED = {*PLACEHOLDERS, "token"} - {"thread"}
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


class Problem(NamedTuple):
    """One mistake in a file: the key path, what is wrong, what was expected."""

    place: str
    problem: str
    expected: str = ""


def _templates(file: ContractFile) -> Iterator[tuple[str, Any, set[str]]]:
    """(place, what is sent, names that have a value by then)."""
    taken: set[str] = set()
    for i, call in enumerate(file.prelude):
        for key in ("path", "headers", "body"):
            yield f"prelude[{i}].{key}", getattr(call, key), {"token", *taken}
        taken |= set(call.take)
    endpoint = file.endpoint
    yield "endpoint.path", endpoint.path, taken
    yield "endpoint.query", endpoint.query, taken
    yield "auth.value", file.auth.value, {"token", *taken}
    for i, step in enumerate(file.handshake.steps):
        if step.send is not None:
            yield f"handshake.steps[{i}].send", step.send, {"token", "now", *taken}
        taken = taken | set(step.take)
    yield "send.template", file.send.template, {"content", "thread", "turn", "message", "now", *taken}
    if file.cancel is not None:
        yield "cancel.template", file.cancel.template, {"thread", "turn", "message", "now", *taken}
    yield "resume.ask", file.resume.ask, {"stream", "cursor", "now", *taken}
    for kind, answer in file.control.replies.items():
        yield f"control.replies.{kind}", answer, {"now", *taken}
    if file.control.keepalive is not None:
        yield "control.keepalive.send", file.control.keepalive.send, {"now", *taken}


def places(file: ContractFile) -> Iterator[Problem]:
    """Names that cannot be taken, and placeholders that nobody fills."""
    calls = ((f"prelude[{i}].take.{name}", name) for i, call in enumerate(file.prelude) for name in call.take)
    steps = ((f"handshake.steps[{i}].take.{n}", n) for i, step in enumerate(file.handshake.steps) for n in step.take)
    for place, name in (*calls, *steps):
        if not _NAME.match(name):
            yield Problem(place, f"{name!r} is no placeholder", "small letters, digits and _, a letter first")
        elif name in RESERVED:
            yield Problem(place, f"{{{name}}} is the harness's own", "another name")
    for place, template, known in _templates(file):
        for name in placeholders(template):
            if name not in known:
                hint = nearest(name, sorted(known)) or "no placeholder here"
                if place == "send.template" and not hint.startswith("did"):
                    hint += ", or a space within braces that are plain text"
                yield Problem(place, f"nobody fills {{{name}}}", hint)
