"""Findings with their place in the run: phase, fault window, reach; and which of them a fault explains. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from loadtests.contract.compile import Contract
from loadtests.findings import Finding
from loadtests.history import RowKind, Window, attribute, phase_at
from reports.judgement import Witness
from reports.replay import Replayed, Rows, is_of_a_turn

__all__ = ["Phases", "Placed", "PlacedFindings", "explains"]

Phases = Sequence[tuple[str, int, int]]


class Placed(NamedTuple):
    """A finding and the fault window in which, or in whose grace, it happened; empty: clear of all."""

    finding: Finding
    fault: str


#: a sent message has arrived within this time, or never will
ON_ITS_WAY_NS = 1_000_000_000


def explains(window: Window, place: str, kind: str) -> bool:
    """Does a fault on the session's own cohort explain this? Nothing that began after the heal is, but a broken connection:
    what a fault did to the network may show only when it is undone.
    """
    if kind == "abnormal-close":
        return window.disconnects and place in {"during", "grace"}
    if kind == "silent-cut":
        return window.disconnects and place == "during"
    if kind == "cancel-ignored":  # in time is what it had to be, and any fault costs time
        return place == "during"
    return kind in {"silent", "never-ready"} and window.swallows and place == "during"


class PlacedFindings:
    """Findings with their place in the run; what a fault explains is set aside. ``start_ns``: what seconds count from."""

    def __init__(
        self, contract: Contract, rows: Rows, strings: Sequence[str], windows: Sequence[Window], phases: Phases, start_ns: int,
        replayed: Replayed,
    ) -> None:  # fmt: skip
        self._contract, self._rows, self._strings = contract, rows, strings
        self._windows, self._phases, self._start_ns = windows, phases, start_ns
        self._replayed = replayed
        self._sent = int(replayed.tally.kinds[RowKind.SEND])
        self._grace_ns = contract.file.turn.recovery_ms * 1_000_000
        self.by_checker: dict[str, list[Placed]] = defaultdict(list)
        self.excused: dict[str, int] = defaultdict(int)
        for i, finding in enumerate(replayed.findings):
            start_ns, end_ns = replayed.spans.get(i) or self._moment(finding)
            cohort, kind = self.cohort(finding.session), finding.kind
            # Several may overlap, and any of them may explain it.
            places = [(one, attribute(start_ns, end_ns, cohort, (one,), self._grace_ns).place) for one in windows]
            if any(explains(window, place, kind.name) for window, place in places):
                self.excused[kind.checker] += 1
            else:
                when = attribute(start_ns, end_ns, cohort, windows, self._grace_ns)
                self.by_checker[kind.checker].append(Placed(finding, when.id))

    def cohort(self, session: int) -> str:
        account = self._replayed.clients.get(session)
        return account.cohort if account else ""

    def _moment(self, finding: Finding) -> tuple[int, int]:
        end_ns = int(self._rows["received"][finding.row])
        if finding.kind.name == "never-ready":
            return end_ns - self._contract.file.handshake.timeout_ms * 1_000_000, end_ns
        if finding.kind.name == "silent":  # a fault that comes while the message is on its way may swallow it
            return end_ns, end_ns + ON_ITS_WAY_NS
        return end_ns, end_ns

    def scope(self, found: Sequence[Placed]) -> str:
        """How many, where: what a reader wants to know before a single witness."""
        if not found:
            return ""
        touched = {(finding.session, finding.turn) for finding, _ in found if is_of_a_turn(finding)}
        users = {finding.session for finding, _ in found}
        cohorts = sorted({self.cohort(user) for user in users} - {"direct", ""})
        parts = [
            f"{len(found)} times" if len(found) > 1 else "once",
            *([f"in {len(touched)} of {self._sent} turns"] if touched else []),
            f"{len(users)} user{'s' if len(users) > 1 else ''} hit",
            *([" and ".join(cohorts)] if cohorts else []),
        ]
        faults = sorted({fault for _, fault in found if fault})
        clear = any(not fault for _, fault in found)
        if faults:
            parts.append(("clear of faults and " if clear else "only ") + f"in or after {', '.join(faults)}")
        elif self._windows:
            parts.append("clear of any fault")
        return ", ".join(parts)

    def witness(self, finding: Finding, fault: str) -> Witness:
        turn = str(finding.turn) if is_of_a_turn(finding) else ""
        return self.witness_at(finding.row, finding.kind.name, self._text(finding), turn=turn, fault=fault)

    def witness_at(self, row: int, kind: str, text: str, *, turn: str | None = None, fault: str = "") -> Witness:
        """A row as a witness; ``turn`` None: the row's own."""
        one = self._rows[row]
        at_ns = int(one["received"])
        return Witness(
            kind=kind, session=str(one["session"]), turn=str(one["turn"] or "") if turn is None else turn, row=row, text=text,
            at_s=round((at_ns - self._start_ns) / 1e9, 3), phase=phase_at(at_ns, self._phases), fault=fault,
        )  # fmt: skip

    def _text(self, finding: Finding) -> str:
        contract, row = self._contract, self._rows[finding.row]
        name, detail = finding.kind.name, finding.detail
        event = contract.label(int(row["event"])) if row["event"] else self._strings[row["raw"]]
        match name:
            case "role-missing":
                return f"{finding.kind.text}: {contract.label(detail)}"
            case "hole" | "hole-at-cut" | "claimed-over-hole" | "claimed-behind" | "partial-replay" if detail:
                return f"{finding.kind.text}: from number {detail}, seen at {event or 'the resume'}"
            case "chunk-missing":
                return f"{finding.kind.text}: number {detail}"
            case "agent-unfinished" if detail < len(self._strings):
                return f"{finding.kind.text}: {self._strings[detail]}"
            case "foreign":
                return f"{finding.kind.text}: session {detail}'s, in {event}"
            case "closed-early" | "abnormal-close":
                return f"{finding.kind.text}: {int(row['code'])} {self._strings[row['text']]}".rstrip()
            case "field-missing":
                fields = contract.events[int(row["event"]) - 1].fields if row["event"] else ()
                lacking = [field for bit, field in enumerate(fields) if int(row["schema"]) >> (3 + bit) & 1]
                return f"{finding.kind.text}: {', '.join(lacking)} in {event}"
        return f"{finding.kind.text}: {event}" if event else finding.kind.text
