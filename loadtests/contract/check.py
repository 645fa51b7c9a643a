"""What the shape of a contract file cannot say: that its tables refer to each other rightly. Each problem has its place.

A problem names the key path, what is wrong, and what was expected or the nearest valid word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from loadtests.configfile import nearest
from loadtests.contract.decoder import IDS
from loadtests.contract.envelope import on_wire, told_by, type_paths
from loadtests.contract.placing import Problem, places
from loadtests.contract.schema import Client, ContractFile
from loadtests.contract.template import PLACE
from loadtests.errors import ConfigError
from loadtests.retry import names

__all__ = ["MAX_REQUIRED_FIELDS", "Problem", "check", "problems"]

MAX_REQUIRED_FIELDS = 11  # the schema bits of a row have room for no more
TERMINALS = ("done", "failed")
#: canonical fields that may stand in a contract though no event must carry them: ids, and contents that others inherit
KNOWN_FIELDS = (*IDS, "reasoning", "results")
#: what a subprotocol may be made of (RFC 7230, token)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
EITHER = "one or the other"


def check(file: ContractFile, source: str) -> None:
    """Nothing, if the tables agree.

    Raises:
        ConfigError: the first problem.
    """
    for one in problems(file):
        raise ConfigError(source, *one)


def problems(file: ContractFile) -> Iterator[Problem]:
    """All of them, in the order of the file's keys as far as one does not hide another."""
    yield from _events(file)
    yield from _fields(file)
    yield from _references(file)
    yield from _paths(file)
    yield from _order(file)
    yield from _resume(file)
    yield from _ways_in(file)
    yield from places(file)
    yield from _contents(file)


def _events(file: ContractFile) -> Iterator[Problem]:
    for alias in file.aliases:
        if alias in file.events:
            yield Problem(f"aliases.{alias}", "is an approved event too", EITHER)
    for name in file.legacy:
        if name in file.events or name in file.aliases:
            yield Problem(f"legacy.{name}", "is approved or an alias too", EITHER)
    for role, why in (("done", "a turn that can end well"), ("started", "a turn that can begin")):
        if not any(event.role == role for event in file.events.values()):
            yield Problem("events", f"no event has the role {role!r}", why)
    for code in file.closes.fatal:
        if code in file.closes.normal:
            yield Problem("closes.fatal", f"{code} is in closes.normal too", EITHER)
    if file.client is not None:
        yield from _client(file.client)


def _client(client: Client) -> Iterator[Problem]:
    low_ms, high_ms = client.jitter_ms
    if client.cap_ms < client.base_ms:
        yield Problem("client.cap_ms", f"is less than base_ms, {client.base_ms}", "the longest wait")
    if low_ms > high_ms:
        yield Problem("client.jitter_ms", f"{low_ms} is more than {high_ms}", "[least, most]")
    if high_ms and client.jitter != "added":
        yield Problem("client.jitter_ms", f"has no meaning for jitter {client.jitter}", "jitter: added")
    if client.policy and client.policy not in names():
        yield Problem("client.policy", f"no policy {client.policy!r}", nearest(client.policy, names()))
    if client.policy and client != Client(policy=client.policy, herd_share=client.herd_share):
        yield Problem("client.policy", "stands beside keys that it says itself", "a policy's name, or its keys")


def _fields(file: ContractFile) -> Iterator[Problem]:
    known = list(told_by(file))
    required = {field for event in file.events.values() for field in event.fields}
    for name in file.fields:
        if name not in {*KNOWN_FIELDS, *required}:
            yield Problem(
                f"fields.{name}", "is read by nobody and required by no event", nearest(name, [*KNOWN_FIELDS])
            )
    asked = [(f"events.{name}.fields", event.fields) for name, event in file.events.items()]
    for place, fields in asked:
        if len(fields) > MAX_REQUIRED_FIELDS:
            yield Problem(place, "too many", f"at most {MAX_REQUIRED_FIELDS} fields")
    for place, fields in (*asked, *((f"pairs[{i}].by", pair.by) for i, pair in enumerate(file.pairs))):
        for field in fields:
            if field not in known:
                yield Problem(place, f"{field!r} is not in fields", nearest(field, known))
    if file.agents.paired and "agent" not in on_wire(file):
        yield Problem("agents.paired", "fields has no agent", "one, by which nested agents are told apart")


def _named(file: ContractFile) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(place, event that is named there, roles that it may have; none: any)."""
    for alias, name in file.aliases.items():
        yield f"aliases.{alias}", name, ()
    for i, pair in enumerate(file.pairs):
        yield f"pairs[{i}].open", pair.open, ("tool-open",)
        yield f"pairs[{i}].close", pair.close, ("tool-close", *(("tool-open",) if pair.also else ()))
    if file.handshake.ready:
        yield "handshake.ready", file.handshake.ready, ()
    for i, step in enumerate(file.handshake.steps):
        if step.expect:
            yield f"handshake.steps[{i}].expect", step.expect, ()
    if file.resume.mode == "cursor":
        yield "resume.answer", file.resume.answer, ()
    yield from _named_contents(file)
    control = file.control
    for key, name in msgspec.structs.asdict(control).items():
        if name and isinstance(name, str):
            yield f"control.{key}", name, ()
    for name in control.replies:
        yield f"control.replies.{name}", name, ()
    if control.keepalive is not None and control.keepalive.expect:
        yield "control.keepalive.expect", control.keepalive.expect, ()


def _named_contents(file: ContractFile) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for i, stream in enumerate(file.streams):
        yield f"streams[{i}].event", stream.event, ("content",)
        if stream.final is not None:
            yield f"streams[{i}].final.event", stream.final.event, ("content", *TERMINALS)
    for name in file.outcomes.events:
        yield f"outcomes.events.{name}", name, (*TERMINALS, "other")
    if file.answer is not None:
        yield "answer.event", file.answer.event, ("content", "done")


def _references(file: ContractFile) -> Iterator[Problem]:
    for place, name, roles in _named(file):
        if name not in file.events:
            yield Problem(place, f"{name!r} is not in events", nearest(name, list(file.events)))
        elif roles and file.events[name].role not in roles:
            yield Problem(place, f"{name!r} has the role {file.events[name].role!r}", " or ".join(map(repr, roles)))


def _all_paths(file: ContractFile) -> Iterator[tuple[str, str]]:
    yield from (("envelope.type", path) for path in type_paths(file.envelope))
    yield from ((f"envelope.wrappers.{name}", path) for name, ways in file.envelope.wrappers.items() for path in ways)
    yield from (("envelope.merge", path) for path in file.envelope.merge)
    yield from ((f"fields.{name}", path) for name, wire in file.fields.items() for path in wire)
    for i, stream in enumerate(file.streams):
        yield f"streams[{i}].text", stream.text
        if stream.index:
            yield f"streams[{i}].index", stream.index
        if stream.final is not None:
            yield f"streams[{i}].final.text", stream.final.text
    if file.answer is not None:
        yield "answer.text", file.answer.text
    single = {
        "versions.path": file.versions.path, "outcomes.path": file.outcomes.path, "handshake.node": file.handshake.node,
    }  # fmt: skip
    for place, path in single.items():
        if path:
            yield place, path
    calls = ((f"prelude[{i}].take", call.take) for i, call in enumerate(file.prelude))
    steps = ((f"handshake.steps[{i}].take", step.take) for i, step in enumerate(file.handshake.steps))
    for place, take in chain(calls, steps):
        yield from ((f"{place}.{name}", path) for name, path in take.items())


def _paths(file: ContractFile) -> Iterator[Problem]:
    if not type_paths(file.envelope):
        yield Problem("envelope.type", "is empty", "the path, or several, to a frame's type")
    for place, path in _all_paths(file):
        if not all(path.split(".")):
            yield Problem(place, f"{path!r} is no path", "names joined by dots, such as 'data.text'")


def _order(file: ContractFile) -> Iterator[Problem]:
    order, events = file.order, list(file.events)
    states = list(order.states)
    if order.start not in states and (states or order.start):
        yield Problem("order.start", f"no state {order.start!r}", nearest(order.start, states) or "states")
    for state, row in order.states.items():
        for name, after in row.items():
            if name not in file.events:
                yield Problem(f"order.states.{state}", f"{name!r} is not in events", nearest(name, events))
            if after not in order.states:
                yield Problem(f"order.states.{state}.{name}", f"no state {after!r}", nearest(after, states))
    reached, ahead = {order.start}, [order.start]
    while ahead:
        fresh = set(order.states.get(ahead.pop(), {}).values()) - reached
        reached |= fresh
        ahead += fresh
    for state in states if order.start in states else ():
        if state not in reached:
            yield Problem(f"order.states.{state}", "no step leads to it", f"a step to it, from {order.start!r} on")


def _resume(file: ContractFile) -> Iterator[Problem]:
    if file.resume.mode == "cursor":
        for key in ("stream", "resumed"):
            if not getattr(file.resume, key):
                yield Problem(f"resume.{key}", "is empty", "a path, because resume.mode is cursor")
        if "cursor" not in on_wire(file):
            yield Problem("fields", "has no cursor", "one, because resume.mode is cursor")
        if not file.resume.ask:
            yield Problem(
                "resume.ask", "is empty", "a message with {stream} and {cursor}, because resume.mode is cursor"
            )


def _ways_in(file: ContractFile) -> Iterator[Problem]:
    for i, step in enumerate(file.handshake.steps):
        place = f"handshake.steps[{i}]"
        if sum((bool(step.expect), step.send is not None, step.pause_ms > 0)) != 1:
            yield Problem(place, "does not say one thing", "exactly one of expect, send and pause_ms")
        if step.take and not step.expect:
            yield Problem(f"{place}.take", "takes from nothing", "an expect beside it")
    for i, call in enumerate(file.prelude):
        if not call.path.startswith("/"):
            yield Problem(f"prelude[{i}].path", f"{call.path!r}", "a path on the target's host, from / on")
        if not call.status:
            yield Problem(f"prelude[{i}].status", "is empty", "the status codes of a good answer")
    path = file.endpoint.path
    if not path.startswith("/") and not PLACE.fullmatch(path):
        yield Problem("endpoint.path", f"{path!r}", "a path from / on, or one {name} that stands for a whole URL")
    for name in file.endpoint.subprotocols:
        if not _TOKEN.match(name):
            yield Problem("endpoint.subprotocols", f"{name!r} is no subprotocol", "letters, digits and -._ only")


def _contents(file: ContractFile) -> Iterator[Problem]:
    versions, outcomes = file.versions, file.outcomes
    if versions.path and not versions.accepted:
        yield Problem("versions.accepted", "is empty", "at least one version, because versions.path is set")
    if not versions.path and (versions.accepted or versions.deprecated):
        yield Problem("versions.path", "is empty", "where an event says its version")
    if versions.path and "version" in on_wire(file):
        yield Problem("fields.version", "is said in versions.path too", EITHER)
    for version in versions.deprecated:
        if version in versions.accepted:
            yield Problem("versions.deprecated", f"{version!r} is in versions.accepted too", EITHER)
    if outcomes.path and not outcomes.values:
        yield Problem("outcomes.values", "is empty", "value -> outcome, because outcomes.path is set")
    if outcomes.values and not outcomes.path:
        yield Problem("outcomes.path", "is empty", "where a terminal event says its outcome")
    yield from _twice("streams", "event", (one.event for one in file.streams))
    yield from _twice("streams", "final.event", (one.final.event for one in file.streams if one.final))


def _twice(place: str, key: str, names: Iterable[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name in seen:
            yield Problem(f"{place}[{i}].{key}", f"{name!r} stands in another stream too", "an event of its own")
        seen.add(name)
