"""Findings that one cause made, together: the cause, and its consequences beneath. Pure.

Findings of one turn, or of one session in one fault window and its grace, belong together; the first of them by ``FIRST`` is
what the others come from. What leads to the same is told once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtests.findings import BY_NAME, KINDS
from reports.replay import is_of_a_turn
from reports.sieve import Placed

__all__ = ["FIRST", "Group", "grouped"]

#: what can be the cause of what stands behind it. First what breaks the stream as a whole, then what an event is, then when it
#: came, then what is missing at the end.
FIRST: tuple[str, ...] = (
    "foreign", "unknown-turn",
    "claimed-behind", "claimed-over-hole", "partial-replay", "hole-at-cut", "hole",
    "executed-twice", "overlapped", "redelivered",
    "not-json", "no-type", "unapproved", "legacy", "version-unknown", "wrong-type", "field-missing", "undeclared-outcome",
    "never-ready", "unanswered", "closed-early", "abnormal-close",
    "second-end", "after-end", "went-back", "misplaced",
    "wrong-execution", "close-without-open", "agent-unbegun", "chunk-repeated", "chunk-missing",
    "never-executed", "silent-cut", "silent", "cancel-ignored", "never-ended",
    "open-without-close", "agent-unfinished", "text-differs", "role-missing", "poor-answer",
)  # fmt: skip
_RANK = {name: place for place, name in enumerate(FIRST)}
_RANK.update({kind.name: len(FIRST) for kind in KINDS if kind.name not in _RANK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Everything that one kind of finding caused. ``consequences``: (checker id, kind, how many), the most frequent first;
    the cause's own kind is not among them.
    """

    id: str
    kind: str
    count: int
    #: turns and users that the cause or a consequence touched
    turns: int
    users: int
    #: the fault window in which, or in whose grace, all of the cause stands; empty: not all in one
    window: str
    consequences: tuple[tuple[str, str, int], ...]


def grouped(found: Iterable[Placed]) -> tuple[Group, ...]:
    """Groups by the kind of their first finding, the one that touches the most turns first. Warnings cause nothing."""
    counted = [one for one in found if not one.finding.kind.warning]
    together: dict[str, list[list[Placed]]] = defaultdict(list)
    for members in _joined(counted):
        first = min(members, key=lambda one: (_RANK[one.finding.kind.name], one.finding.row))
        together[first.finding.kind.name].append(members)
    groups = [_group(kind, some) for kind, some in together.items()]
    return tuple(sorted(groups, key=lambda one: (-one.turns, -one.count, _RANK[one.kind])))


def _joined(found: Sequence[Placed]) -> list[list[Placed]]:
    """What shares a turn, or a session and a fault window, is one."""
    parents = list(range(len(found)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    seen: dict[tuple[int, int, str], int] = {}
    for i, one in enumerate(found):
        session = one.finding.session
        keys = [(session, -1, one.fault)] if one.fault else []
        if is_of_a_turn(one.finding):
            keys.append((session, one.finding.turn, ""))
        for key in keys:
            parents[root(i)] = root(seen.setdefault(key, i))
    members: dict[int, list[Placed]] = defaultdict(list)
    for i, one in enumerate(found):
        members[root(i)].append(one)
    return list(members.values())


def _group(kind: str, some: Sequence[Sequence[Placed]]) -> Group:
    everything = [one for members in some for one in members]
    kinds = Counter(one.finding.kind.name for one in everything)
    windows = {one.fault for one in everything if one.finding.kind.name == kind}
    turns = {(one.finding.session, one.finding.turn) for one in everything if is_of_a_turn(one.finding)}
    others = [(BY_NAME[name].checker, name, count) for name, count in kinds.most_common() if name != kind]
    return Group(
        id=BY_NAME[kind].checker, kind=kind, count=kinds[kind], turns=len(turns),
        users=len({one.finding.session for one in everything}), window=windows.pop() if len(windows) == 1 else "",
        consequences=tuple(others),
    )  # fmt: skip
