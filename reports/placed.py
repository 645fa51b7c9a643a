"""Findings with their place in the run: phase, fault window, reach; and which of them a fault explains. Pure."""

from __future__ import annotations

from collections import defaultdict

import pandas as pd

from loadtests.findings import Finding
from loadtests.history import UNKNOWN_TURN, RowKind, Window, attribute, phase_at
from loadtests.rundir import RunData
from reports.judgement import Witness

__all__ = ["Phases", "PlacedFindings", "explains"]

Phases = list[tuple[str, int, int]]
#: what happened between a turn's send and its end, and not at one moment of it
_OF_A_WHOLE_TURN = {"never-ended", "role-missing", "open-without-close"}


def explains(window: Window, place: str, kind: str) -> bool:
    """Does a fault on the session's own cohort explain this? Nothing that began after the heal is, but a broken connection:
    what a fault did to the network may show only when it is undone.
    """
    if kind == "abnormal-close":
        return window.disconnects
    if kind == "silent-cut":
        return window.disconnects and place == "during"
    return kind in {"silent", "never-ready"} and window.swallows and place == "during"


class PlacedFindings:
    """Findings with their place in the run; what a fault explains is set aside."""

    def __init__(
        self, data: RunData, windows: list[Window], phases: Phases, turns: pd.DataFrame, findings: list[Finding]
    ) -> None:
        self._data, self._windows, self._phases = data, windows, phases
        self._grace_ns = data.contract.file.turn.recovery_ms * 1_000_000
        cohort_of = {int(s): c for s, c in zip(turns["session"], turns["cohort"], strict=True)}
        rows = data.rows
        for session, cohort in zip(rows["session"].tolist(), rows["cohort"].tolist(), strict=True):
            cohort_of.setdefault(session, ("direct", "control", "treated")[cohort])
        self._cohort_of = cohort_of
        spans = zip(turns["session"], turns["turn"], turns["intended_s"], turns["end_s"], strict=True)
        self._span = {(int(s), int(t)): (a, b) for s, t, a, b in spans}
        self.by_checker: dict[str, list[tuple[Finding, str]]] = defaultdict(list)
        self.excused: dict[str, int] = defaultdict(int)
        closes = rows[rows["kind"] == RowKind.CLOSE]
        self._closes: dict[int, list[int]] = defaultdict(list)
        for session, at_ns in zip(closes["session"].tolist(), closes["received"].tolist(), strict=True):
            self._closes[session].append(at_ns)
        for finding in findings:
            window, place = self._window(finding)
            if window is not None and explains(window, place, finding.kind.name):
                self.excused[finding.kind.checker] += 1
            else:
                self.by_checker[finding.kind.checker].append((finding, window.id if window else ""))

    def _window(self, finding: Finding) -> tuple[Window | None, str]:
        """The window in which, or in whose grace, it happened: from when the deed could begin to when it was done."""
        data, name = self._data, finding.kind.name
        start = end = int(data.rows["received"][finding.row])
        if name == "never-ready":
            start -= data.contract.file.handshake.timeout_ms * 1_000_000
        elif name == "silent-cut":  # from the send to the cut
            end = next((at_ns for at_ns in self._closes[finding.session] if at_ns >= start), start)
        elif name in _OF_A_WHOLE_TURN and (span := self._span.get((finding.session, finding.turn))):
            start, end = (data.start_ns + int(at * 1e9) for at in span)
        when = attribute(start, end, self._cohort_of.get(finding.session, ""), self._windows, self._grace_ns)
        return next((window for window in self._windows if window.id == when.id), None), when.place

    def scope(self, found: list[tuple[Finding, str]]) -> str:
        """How many, where: what a reader wants to know before a single witness."""
        if not found:
            return ""
        turns = {(finding.session, finding.turn) for finding, _ in found if finding.turn not in {0, UNKNOWN_TURN}}
        users = {finding.session for finding, _ in found}
        cohorts = sorted({self._cohort_of.get(user, "") for user in users} - {"direct", ""})
        times = f"{len(found)} times" if len(found) > 1 else "once"
        parts = [
            times,
            *([f"in {len(turns)} of {len(self._span)} turns"] if turns else []),
            f"{len(users)} user{'s' if len(users) > 1 else ''} hit",
        ]
        parts += [" and ".join(cohorts)] if cohorts else []
        faults = sorted({fault for _, fault in found if fault})
        clear = any(not fault for _, fault in found)
        if faults and self._windows:
            parts.append(("clear of faults and " if clear else "only ") + f"in or after {', '.join(faults)}")
        elif self._windows:
            parts.append("clear of any fault")
        return ", ".join(parts)

    def witness(self, finding: Finding, fault: str) -> Witness:
        data = self._data
        at_ns = int(data.rows["received"][finding.row])
        turn = "" if finding.turn in {0, UNKNOWN_TURN} else str(finding.turn)
        return Witness(
            kind=finding.kind.name, session=str(finding.session), turn=turn, row=finding.row, text=self._text(finding),
            at_s=round(data.seconds(at_ns), 3), phase=phase_at(at_ns, self._phases), fault=fault,
        )  # fmt: skip

    def _text(self, finding: Finding) -> str:
        data, row = self._data, self._data.rows[finding.row]
        name, detail = finding.kind.name, finding.detail
        event = data.contract.label(int(row["event"])) if row["event"] else data.strings[row["raw"]]
        if name == "role-missing":
            return f"{finding.kind.text}: {data.contract.label(detail)}"
        if finding.kind.checker in {"loss", "honesty"} and detail:
            return f"{finding.kind.text}: from number {detail}, seen at {event or 'the resume'}"
        if name == "foreign":
            return f"{finding.kind.text}: session {detail}'s, in {event}"
        if finding.kind.checker == "close":
            return f"{finding.kind.text}: {int(row['code'])} {data.strings[row['text']]}".rstrip()
        if name == "field-missing":
            fields = data.contract.events[int(row["event"]) - 1].fields if row["event"] else ()
            lacking = [field for bit, field in enumerate(fields) if int(row["schema"]) >> (3 + bit) & 1]
            return f"{finding.kind.text}: {', '.join(lacking)} in {event}"
        return f"{finding.kind.text}: {event}" if event else finding.kind.text
