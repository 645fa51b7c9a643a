"""A contract in words: what a backend that keeps it says, in which order, and how long it may take. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import get_args

from loadtests.contract.compile import Contract
from loadtests.contract.envelope import type_paths
from loadtests.contract.schema import Role
from loadtests.retry import Policy, declared

__all__ = ["described"]

#: (heading, its lines)
Part = tuple[str, list[str]]


def described(contract: Contract) -> Iterator[Part]:
    """Part by part, in the order in which a connection meets them; parts that the contract has nothing for are left out."""
    for heading, lines in (
        ("way in", _way_in(contract)),
        ("ready", _ready(contract)),
        ("events", _events(contract)),
        ("frames", _frames(contract)),
        ("carries", _carries(contract)),
        ("order", _order(contract)),
        ("turn", _turn(contract)),
        ("text", _text(contract)),
        ("client", _client(contract)),
        ("budgets", [f"{metric} {rule.rule}" for metric, rules in contract.gates().items() for rule in rules]),
    ):
        if lines:
            yield heading, lines


def _way_in(contract: Contract) -> list[str]:
    file = contract.file
    query = "&".join(f"{name}={value}" for name, value in file.endpoint.query.items())
    lines = [f"{call.method} {call.path}, before each {call.each}, gives {_listed(call.take)}" for call in file.prelude]
    lines.append(file.endpoint.path + (f"?{query}" if query else ""))
    if file.endpoint.subprotocols:
        lines.append(f"subprotocol {_listed(file.endpoint.subprotocols)}")
    if file.endpoint.deflate:
        lines.append("permessage-deflate is offered")
    if file.auth.mode != "none":
        name = f" {file.auth.name}" if file.auth.name else ""
        lines.append(f"with a token: {file.auth.mode}{name} {file.auth.value}")
    return lines


def _ready(contract: Contract) -> list[str]:
    handshake, lines = contract.file.handshake, []
    for step in handshake.steps:
        if step.expect:
            lines.append(f"expects {step.expect}" + (f", takes {_listed(step.take)}" if step.take else ""))
        else:
            lines.append("sends" if step.send is not None else f"pauses {step.pause_ms} ms")
            if step.send is not None:
                lines[-1] += f" {step.send.get(type_paths(contract.file.envelope)[0], 'a message')}"
    return [*lines, f"{handshake.ready or 'at once'} within {_time(handshake.timeout_ms)}"]


def _events(contract: Contract) -> list[str]:
    lines = []
    for role in get_args(Role):
        names = [f"{rule.name}*" if rule.demanded else rule.name for rule in contract.events if rule.role == role]
        if names:
            lines.append(f"{role}: {_listed(names)}")
    if contract.demanded:
        lines.append("(*: a turn that ends well must have shown it)")
    file = contract.file
    if file.aliases:
        lines.append(f"deprecated: {_listed(f'{alias} for {name}' for alias, name in file.aliases.items())}")
    if file.legacy:
        lines.append(f"forbidden: {_listed(file.legacy)}")
    if file.versions.path:
        old = f", and with a warning {_listed(file.versions.deprecated)}" if file.versions.deprecated else ""
        lines.append(f"versions at {file.versions.path}: {_listed(file.versions.accepted)}{old}")
    return lines


def _frames(contract: Contract) -> list[str]:
    envelope = contract.file.envelope
    lines = [f"type at {f' {envelope.join} '.join(type_paths(envelope))}"]
    lines += [f"or, within {outer}, at {_listed(inner)}" for outer, inner in envelope.wrappers.items()]
    if envelope.merge:
        lines.append(f"fields also in {_listed(envelope.merge)}, later ones win")
    if envelope.recovered:
        lines.append(f"delivered later: the whole frame in one of these, with {envelope.recovered}: true")
    return lines


def _carries(contract: Contract) -> list[str]:
    """Which events must carry which fields, events with the same ones together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for rule in contract.events:
        if rule.fields:
            groups.setdefault(rule.fields, []).append(rule.name)
    lines = [f"{_listed(names)}: {_listed(fields)}" for fields, names in groups.items()]
    names = [
        f"{name} as {_listed(wire, ' or ')}" for name, wire in contract.file.fields.items() if wire and wire != [name]
    ]
    return [*lines, f"({_listed(names)})"] if names else lines


def _order(contract: Contract) -> list[str]:
    file = contract.file
    lines = []
    for state, row in file.order.states.items():
        after: dict[str, list[str]] = {}
        for name, there in row.items():
            after.setdefault(there, []).append(name)
        start = " (the start)" if state == file.order.start else ""
        steps = "; ".join(f"{_listed(names)} → {there}" for there, names in after.items())
        lines.append(f"{state}{start}: {steps or 'nothing more'}")
    if file.agents.root:
        lines.append(f"the turn is over when one of these agents is: {_listed(file.agents.root)}")
    for pair in file.pairs:
        marks = (", beside its others" if pair.also else "") + (", opened in pieces" if pair.pieces else "")
        lines.append(f"{pair.open} … {pair.close}, paired by {_listed([*pair.by, 'count'], ', else ')}{marks}")
    return lines


def _turn(contract: Contract) -> list[str]:
    file, turn = contract.file, contract.file.turn
    lines = [
        f"ends within {_time(turn.deadline_ms)}",
        f"cut: {turn.interrupted}, served again within {_time(turn.recovery_ms)}",
    ]
    if contract.resumes:
        start = file.cursor.start
        lines.append(
            f"events are numbered from {start}; a client that comes back says the last one it has, and is answered by {file.resume.answer}"
        )
    if file.send.resend:
        lines.append("a message in doubt is sent again, and executed once")
    if turn.concurrent:
        lines.append(f"a message while another turn is under way: {turn.concurrent}")
    if (beat := file.control.keepalive) is not None and beat.expect:
        lines.append(f"a ping is answered by {beat.expect} within {_time(beat.every_ms)}")
    if file.cancel is not None:
        lines.append(f"can be stopped, and is over within {_time(file.cancel.within_ms)}")
    if file.outcomes.path:
        told = _listed(f"{value} is {outcome}" for value, outcome in file.outcomes.values.items())
        lines.append(f"its end says at {file.outcomes.path} how: {told}")
    lines += [f"{name}: {outcome}" for name, outcome in file.outcomes.events.items()]
    return lines


def _text(contract: Contract) -> list[str]:
    lines = []
    for one in contract.file.streams:
        number = f", numbered from {one.start} at {one.index}" if one.index else ""
        whole = f"; whole in {one.final.event} at {one.final.text}" if one.final else ""
        lines.append(f"{one.event} brings pieces at {one.text}{number}{whole}")
    answer = contract.file.answer
    return [*lines, f"the answer is in {answer.event} at {answer.text}"] if answer is not None else lines


def _client(contract: Contract) -> list[str]:
    client = contract.file.client
    if client is None:
        return []
    herd = f"; at most {client.herd_share:.0%} of those cut together in one second" if client.herd_share < 1 else ""
    policy = declared(client, Policy())
    low_ms, high_ms = policy.jitter_ms
    head = f"{client.policy}: " if client.policy else ""
    head += f"first after {policy.first_ms} ms, then waits " if policy.first_ms else "waits "
    least = "up to " if policy.jitter == "full" else ""
    more = f" and {low_ms} to {high_ms} ms more" if policy.jitter == "added" else ""
    waits = f"{head}{least}{policy.base_ms} ms, {policy.factor:g} times as long each time, up to {_time(policy.cap_ms)}{more}"
    return [f"{waits}, {policy.attempts} times in one outage{herd}"]


def _listed(names: Iterable[object], by: str = ", ") -> str:
    return by.join(map(str, names))


def _time(ms: int) -> str:
    return f"{ms / 1000:g} s"
