"""Histories told row by row, and judged: what each client did, to the millisecond, without a backend or a clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loadtests.contract import Contract, load
from loadtests.history import COHORTS, DTYPE, End, Flag, RowKind, Window
from reports.assessment import Assessment, Setting, assess
from reports.judgement import Check
from reports.peers import View
from reports.replay import Replayed, replay_rows

__all__ = ["MS", "REFERENCE", "ROLES", "START_NS", "S", "Story", "window"]

MS, S = 1_000_000, 1_000_000_000
START_NS = 1_000 * S
REFERENCE = load("reference")
NUMBERED = -2  # an event is numbered, and a resume knows the last number, when the story is read
ROLES = ("started", "thinking", "tool-open", "tool-close", "done")


def window(start_ms: float, end_ms: float | None, id_: str = "w1", cohort: str = "treated", **changes: Any) -> Window:
    end_ns = None if end_ms is None else START_NS + round(end_ms * MS)
    facts = {"kind": "down", "phase": "down", "asked": {}, "disconnects": True, "swallows": True, **changes}
    return Window(id=id_, cohort=cohort, start_ns=START_NS + round(start_ms * MS), end_ns=end_ns, **facts)


class Story:
    """Rows in the order in which they are told, sorted by time when they are read. Times are ms since the start."""

    def __init__(self, contract: Contract = REFERENCE) -> None:
        self.contract = contract
        self.strings = ["", "supervisor", "search"]
        self.rows: list[np.void] = []
        self.cohorts: dict[int, str] = {}
        self.connections: dict[int, int] = {}

    def row(self, kind: RowKind, session: int, at_ms: float, **fields: int) -> None:
        one = np.zeros((), DTYPE)
        one["kind"], one["session"], one["received"] = kind, session, START_NS + round(at_ms * MS)
        one["foreign"], one["cursor"], one["connection"] = -1, -1, self.connections.get(session, 0)
        one["cohort"] = COHORTS.index(self.cohorts.get(session, "direct"))
        for name, value in fields.items():
            one[name] = value
        self.rows.append(one)

    def dial(self, session: int, at_ms: float) -> None:
        self.connections[session] = self.connections.get(session, 0) + 1
        self.row(RowKind.DIAL, session, at_ms)

    def refused(self, session: int, at_ms: float, status: int = -111, took_ms: float = 1.0) -> None:
        """A dial that fails."""
        self.dial(session, at_ms)
        self.row(RowKind.FAILED, session, at_ms + took_ms, code=status)

    def connect(self, session: int, at_ms: float, cohort: str = "", *, resumes: bool = False) -> None:
        """Dialled, upgraded and ready; ``resumes``: continuity was asked for and claimed."""
        if cohort:
            self.cohorts[session] = cohort
        self.dial(session, at_ms)
        self.row(RowKind.OPEN, session, at_ms + 1)
        if resumes:
            self.row(RowKind.ASK, session, at_ms + 1.2, cursor=NUMBERED)
            self.row(RowKind.CLAIM, session, at_ms + 1.5, cursor=NUMBERED, flags=int(Flag.RESUMED))
        self.row(RowKind.READY, session, at_ms + 2)

    def close(self, session: int, at_ms: float, code: int = 1006, flags: int = 0, *, served: bool = True) -> None:
        self.row(RowKind.CLOSE, session, at_ms, code=code, flags=flags | (int(Flag.RESUMED) if served else 0))

    def leave(self, session: int, at_ms: float) -> None:
        """A polite goodbye."""
        self.close(session, at_ms, 1000, int(Flag.OURS))
        self.row(RowKind.STOP, session, at_ms)

    def send(self, session: int, turn: int, at_ms: float, late_ms: float = 0.0) -> None:
        self.row(RowKind.SEND, session, at_ms + late_ms, turn=turn, intended=START_NS + round(at_ms * MS))

    def end(self, session: int, turn: int, at_ms: float, how: End = End.OK, took_ms: float = 0.0) -> None:
        self.row(RowKind.END, session, at_ms, turn=turn, code=how, intended=START_NS + round((at_ms - took_ms) * MS))

    def drop(self, session: int, at_ms: float) -> None:
        self.row(RowKind.DROP, session, at_ms, intended=START_NS + round(at_ms * MS))

    def event(self, session: int, turn: int, at_ms: float, role: str, **fields: int) -> None:
        rule = self.contract.by_name[self.contract.name_of(role)]  # type: ignore[arg-type]
        if self.contract.has_cursor:
            fields.setdefault("cursor", NUMBERED)
        if role.startswith("tool"):
            fields = {"tool": 2, "execution": 7, **fields}
        fields.setdefault("agent", 1)
        self.row(RowKind.EVENT, session, at_ms, turn=turn, event=rule.index, **fields)

    def turn(
        self,
        session: int,
        turn: int,
        at_ms: float,
        took_ms: float = 50.0,
        how: End = End.OK,
        roles: Sequence[str] = ROLES,
    ) -> None:
        """A whole turn, its events evenly spread."""
        self.send(session, turn, at_ms)
        for i, role in enumerate(roles, 1):
            self.event(session, turn, at_ms + took_ms * i / len(roles), role)
        self.end(session, turn, at_ms + took_ms, how, took_ms)

    def read(self) -> np.ndarray[Any, Any]:
        rows = np.array(self.rows, DTYPE) if self.rows else np.empty(0, DTYPE)
        rows = rows[np.argsort(rows["received"], kind="stable")]
        last: dict[int, int] = {}
        for i in np.flatnonzero(rows["cursor"] == NUMBERED).tolist():
            session = int(rows["session"][i])
            last[session] = last.get(session, 0) + int(rows["kind"][i] == RowKind.EVENT)
            rows["cursor"][i] = last[session]
        return rows

    def replayed(self, *windows: Window) -> Replayed:
        return replay_rows(self.contract, self.read(), self.strings, windows)

    def assess(
        self, *windows: Window, users: int = 0, views: Sequence[tuple[float, int]] = (), **about: Any
    ) -> Assessment:
        seen = tuple(View(START_NS + round(at_ms * MS), sessions) for at_ms, sessions in views)
        setting = Setting(windows=windows, users=users, start_ns=START_NS, views=seen, **about)
        return assess(self.contract, self.read(), self.strings, setting, self.replayed(*windows))

    def check(self, id_: str, *windows: Window, **about: Any) -> Check:
        return next(check for check in self.assess(*windows, **about).checks if check.id == id_)

    def back_off(
        self, session: int, at_ms: float, until_ms: float, waits: Sequence[float], *, resumes: bool = False
    ) -> float:
        """Cut at a time, and tried again after the waits named (ms) until the backend can be reached; returns when it is back."""
        self.close(session, at_ms)
        now_ms = at_ms
        for wait_ms in (0.0, *waits):
            now_ms += wait_ms
            if now_ms >= until_ms:
                self.connect(session, now_ms, resumes=resumes)
                return now_ms
            self.refused(session, now_ms)
            now_ms += 1
        return now_ms
