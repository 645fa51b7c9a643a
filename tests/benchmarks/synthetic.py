"""Histories of any size in no time: rows as a recorder would have written them, of a backend that keeps its contract."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from loadtests.contract import Contract
from loadtests.contract.schema import Role
from loadtests.history import COHORTS, DTYPE, End, Flag, RowKind, Window

__all__ = ["START_NS", "STRINGS", "USERS", "blocks", "window"]

MS, S = 1_000_000, 1_000_000_000
START_NS = 1_000 * S
PACE_NS = 2 * S
STRINGS = ["", "supervisor", "search", "reset"]
USERS = 200
ROLES: tuple[Role, ...] = ("started", "thinking", "tool-open", *(("content",) * 5), "tool-close", "done")
#: rows of one turn beside its events, and rows of one cut
OF_TURN, OF_CUT = 2, 6


def window(contract: Contract, events: int, users: int = USERS) -> Window:
    """The fault in the middle: half of the users are cut, and all of them are served again."""
    cut_ns = _cut_ns(_turns_of(contract, events, users))
    return Window("w1", "down", "treated", "down", cut_ns - MS, cut_ns + 400 * MS, {}, disconnects=True, swallows=True)


def blocks(contract: Contract, events: int, users: int = USERS) -> Iterator[np.ndarray[Any, Any]]:
    """Rows in the order of time with about so many events, ten a turn of which five are chunks of a stream."""
    indices = [contract.by_name[contract.name_of(role)].index for role in ROLES]
    turns = _turns_of(contract, events, users)
    middle, last_ns = turns // 2, START_NS + (turns + 1) * PACE_NS
    yield _ordered(np.concatenate([_connecting(user, START_NS - S + user * MS) for user in range(users)]))
    for turn in range(1, turns + 1):
        yield _ordered(_turns(turn, users, indices))
        if turn == middle:
            yield _ordered(_cuts(users, _cut_ns(turns), middle * len(indices)))
    stops = _blank(users)
    stops["kind"], stops["session"], stops["received"] = RowKind.STOP, range(users), last_ns
    yield _ordered(stops)


def _turns_of(contract: Contract, events: int, users: int) -> int:
    return max(4, round(events / (users * len(ROLES))))


def _cut_ns(turns: int) -> int:
    return START_NS + turns // 2 * PACE_NS - 200 * MS


def _ordered(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    rows["cohort"] = np.where(rows["session"] % 2, COHORTS.index("treated"), COHORTS.index("control"))
    return rows[np.argsort(rows["received"], kind="stable")]


def _blank(count: int) -> np.ndarray[Any, Any]:
    rows = np.zeros(count, DTYPE)
    rows["foreign"] = rows["cursor"] = -1
    return rows


def _connecting(user: int, at_ns: int, connection: int = 1) -> np.ndarray[Any, Any]:
    rows = _blank(3)
    rows["kind"] = RowKind.DIAL, RowKind.OPEN, RowKind.READY
    rows["session"], rows["connection"] = user, connection
    rows["received"] = at_ns, at_ns + MS, at_ns + 2 * MS
    return rows


def _turns(turn: int, users: int, indices: list[int]) -> np.ndarray[Any, Any]:
    """One turn of every user."""
    of_one = len(indices) + OF_TURN
    rows = _blank(users * of_one).reshape(users, of_one)
    user = np.arange(users)[:, None]
    rows["session"], rows["turn"], rows["connection"] = user, turn, 1
    rows["intended"] = rows["sent"] = START_NS + (turn - 1) * PACE_NS + user * (PACE_NS // users // 4)
    rows["received"] = rows["intended"] + np.arange(of_one)[None, :] * 40 * MS
    rows["received"][:, -1] = rows["received"][:, -2]
    rows["kind"][:, 0], rows["kind"][:, -1] = RowKind.SEND, RowKind.END
    rows["code"][:, -1] = End.OK
    body = rows[:, 1:-1]
    body["kind"], body["event"], body["agent"], body["size"] = RowKind.EVENT, indices, 1, 220
    body["cursor"] = (turn - 1) * len(indices) + 1 + np.arange(len(indices))[None, :]
    tools = np.isin(np.arange(len(indices)), [2, len(indices) - 2])
    body["tool"][:, tools], body["execution"][:, tools] = 2, turn
    body["code"][:, 3:8] = 1 + np.arange(5)[None, :]
    return rows.reshape(-1)


def _cuts(users: int, at_ns: int, head: int) -> np.ndarray[Any, Any]:
    """Every second user's connection breaks and is made again, and the backend claims continuity."""
    out = []
    for user in range(1, users, 2):
        rows = _blank(OF_CUT)
        back_ns = at_ns + 120 * MS + user * MS // 10
        rows["kind"] = RowKind.CLOSE, RowKind.DIAL, RowKind.OPEN, RowKind.ASK, RowKind.CLAIM, RowKind.READY
        rows["session"], rows["connection"] = user, 2
        rows["code"][0], rows["flags"][0], rows["text"][0], rows["connection"][0] = 1006, Flag.RESUMED, 3, 1
        rows["flags"][4], rows["cursor"][3:5] = Flag.RESUMED, head
        rows["received"] = at_ns, back_ns, back_ns + MS, back_ns + 2 * MS, back_ns + 3 * MS, back_ns + 4 * MS
        out.append(rows)
    return np.concatenate(out)
