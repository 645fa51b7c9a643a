"""A turn that a contract would find nothing wrong with, made from its own tables: for people, and for tests. Pure."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from itertools import chain
from typing import Any, Literal, NamedTuple

from loadtests.contract.compile import Contract
from loadtests.contract.envelope import told_by, typed_as
from loadtests.contract.template import Template

__all__ = ["Said", "example", "example_frame", "legal_turn"]

ROLES = ("started", "thinking", "tool-open", "tool-close", "content", "done")
TEXT = "It costs nothing."
#: what stands in an example where a real conversation has something of its own
VALUES: Mapping[str, Any] = {
    "content": "What does it cost?", "thread": "thread_1", "turn": "run_1", "message": "msg_1", "now": "2026-01-31T12:00:00.000Z",
    "stream": "stream_1", "cursor": 0, "token": "TOKEN",
}  # fmt: skip
#: fields by which a turn's events are told apart, shown where the contract has them
SHOWN: Mapping[str, tuple[str, ...]] = {
    "started": ("turn", "agent", "cursor", "event_id"),
    "thinking": ("turn", "agent", "cursor", "event_id"),
    "tool-open": ("turn", "agent", "execution", "tool", "cursor", "event_id"),
    "tool-close": ("turn", "agent", "execution", "tool", "cursor", "event_id"),
    "content": ("turn", "agent", "cursor", "event_id"),
    "done": ("turn", "agent", "cursor", "event_id"),
    "failed": ("turn", "agent", "cursor", "event_id"),
    "other": (),
}


class Said(NamedTuple):
    """One frame of an example."""

    by: Literal["client", "server"]
    frame: Any


def legal_turn(contract: Contract, *, whole: bool = True) -> tuple[int, ...]:
    """Events, by index, of a shortest turn that ends well and shows all that is demanded; empty if the order allows none.

    ``whole``: with a thought, a tool, a text in chunks and all that an answer is read from, as far as that is possible.
    """
    demanded = {rule.index for rule in contract.demanded}
    #: opening -> the closings of each of its pairs, one of which it needs
    pairs: dict[int, dict[int, list[int]]] = {}
    for closing, opening in sorted(contract.closes.items()):
        pairs.setdefault(opening, {}).setdefault(contract.pair_of[closing], []).append(closing)
    for opening, ways in pairs.items():
        if demanded & {opening, *chain(*ways.values())}:
            demanded |= {opening, *chain(*(demanded & {*way} or way[:1] for way in ways.values()))}
    for role in ("started", "done"):
        if not any(contract.roles[index] == role for index in demanded):
            demanded.add(contract.by_name[contract.name_of(role)].index)
    more = {*list(contract.stream_of)[:1], *contract.final_of, contract.answer_event} - {0}
    thought = {rule.index for rule in contract.events if rule.role == "thinking"}
    tool = {
        index for opening, ways in list(pairs.items())[:1] for index in (opening, *(way[0] for way in ways.values()))
    }
    tries = [demanded | more | {min(thought, default=0)} - {0} | tool, demanded | more] if whole else []
    return next(filter(None, (_search(contract, wanted) for wanted in [*tries, demanded])), ())


def _search(contract: Contract, wanted: set[int]) -> tuple[int, ...]:
    """Breadth first over (state of the order, what was shown)."""
    rank = {role: i for i, role in enumerate(ROLES)}
    moves = [i for i in range(1, len(contract.roles)) if i in wanted or contract.ordered[i]]
    roles = ["tool-close" if i in contract.closes else role for i, role in enumerate(contract.roles)]
    moves.sort(key=lambda index: (rank.get(roles[index], len(ROLES)), index))
    first = (contract.file.order.start, frozenset[int]())
    came: dict[Any, tuple[Any, int]] = {first: (None, 0)}
    ahead = deque([first])
    while ahead:
        here = ahead.popleft()
        state, shown = here
        for index in moves:
            after = contract.automaton[state].get(index) if contract.ordered[index] else state
            if after is None or not _helps(contract, wanted, index, shown, moved=after != state):
                continue
            there = after, shown | {index} if index in wanted else shown
            if there in came:
                continue
            came[there] = here, index
            if contract.roles[index] == "done":
                return _way(came, there)
            ahead.append(there)
    return ()


def _helps(contract: Contract, wanted: set[int], index: int, shown: frozenset[int], *, moved: bool) -> bool:
    role = contract.roles[index]
    if role in ("done", "failed"):
        return index in wanted and shown == wanted - {index}
    if role == "started" or not shown:
        return role == "started" and not shown
    opening = contract.closes.get(index, 0)
    return (index not in shown if index in wanted else moved) and (not opening or opening in shown)


def _way(came: Mapping[Any, tuple[Any, int]], there: Any) -> tuple[int, ...]:
    way = []
    while came[there][0] is not None:
        there, index = came[there]
        way.append(index)
    return tuple(reversed(way))


def example(contract: Contract) -> list[Said]:
    """From the upgrade to a turn's end."""
    values = {**VALUES, **{name: f"{name}_1" for name in contract.taken}}
    said: list[Said] = []
    for step, compiled in zip(contract.file.handshake.steps, contract.steps, strict=True):
        if step.expect:
            taken = {path: values[name] for name, path in step.take.items()}
            said.append(Said("server", example_frame(contract, step.expect, {}, taken)))
        elif compiled.send is not None:
            said.append(Said("client", _rendered(compiled.send, values)))
    ready, resume = contract.file.handshake.ready, contract.file.resume
    if ready:
        stream = {resume.stream: values["stream"]} if contract.resumes else {}
        said.append(Said("server", example_frame(contract, ready, {}, stream)))
    said.append(Said("client", _rendered(contract.message, values)))
    for cursor, index in enumerate(legal_turn(contract), start=contract.file.cursor.start):
        given = {**values, "cursor": cursor, "event_id": f"event_{cursor}"}
        said.append(Said("server", example_frame(contract, contract.label(index), given, _told(contract, index))))
    return said


def _rendered(template: Template, values: Mapping[str, Any]) -> Any:
    return json.loads(template.render(values))


def _told(contract: Contract, index: int) -> dict[str, Any]:
    """What stands at paths of their own: a chunk, a whole text, an outcome."""
    file, name = contract.file, contract.label(index)
    told: dict[str, Any] = {}
    for one in file.streams:
        if one.event == name:
            told |= {one.text: TEXT} | ({one.index: one.start} if one.index else {})
        if one.final is not None and one.final.event == name:
            told[one.final.text] = TEXT
    if file.answer is not None and file.answer.event == name:
        told[file.answer.text] = TEXT
    well = [value for value, outcome in file.outcomes.values.items() if outcome == "ok"]
    if file.outcomes.path and well and contract.roles[index] == "done":
        told[file.outcomes.path] = well[0]
    return told


def example_frame(
    contract: Contract, event: str, values: Mapping[str, Any], told: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A frame of one event with all that it must carry; ``told``: more of it, by path."""
    file, rule = contract.file, contract.by_name[event]
    frame: dict[str, Any] = {}
    for path, part in typed_as(file.envelope, event):
        _put(frame, path, part)
    # Where the type already opened a container, the event's own fields stand there too.
    container = next((f"{path}." for path in reversed(file.envelope.merge) if _has(frame, path)), "")
    wire = told_by(file)
    given = {"agent": next(iter(file.agents.root), "agent_1"), "execution": "call_1", "tool": "tool_1", **values}
    if file.versions.path:
        given["version"] = file.versions.accepted[0]
    shown = (*(name for name in ("version",) if rule.role != "other"), *SHOWN[rule.role], *rule.fields)
    for name in dict.fromkeys(shown):
        if name in wire:
            path = wire[name][0]
            _put(frame, path if "." in path or name == "turn" else container + path, given.get(name, f"some {name}"))
    for path, value in (told or {}).items():
        _put(frame, path if "." in path else container + path, value)
    return frame


def _has(frame: Any, path: str) -> bool:
    for step in path.split("."):
        if not isinstance(frame, dict) or step not in frame:
            return False
        frame = frame[step]
    return isinstance(frame, dict)


def _put(into: Any, path: str, value: Any) -> None:
    """The value at a dotted path; a step of digits makes a list."""
    steps = path.split(".")
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        fresh: Any = value if following is None else [] if following.isdecimal() else {}
        if isinstance(into, list):
            into += [{} for _ in range(int(step) + 1 - len(into))]
            into[int(step)] = fresh if following is None or not into[int(step)] else into[int(step)]
            into = into[int(step)]
        else:
            if following is None or not isinstance(into.get(step), dict | list):
                into[step] = fresh
            into = into[step]
