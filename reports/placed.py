"""Findings with their place in the run: phase, fault window, reach, and the words for them. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from loadtests.contract.compile import Contract
from loadtests.findings import BY_NAME, Finding
from loadtests.history import RowKind, Window, phase_at
from reports.judgement import Witness
from reports.replay import Replayed, Rows, is_of_a_turn
from reports.sieve import Placed

__all__ = ["Phases", "PlacedFindings"]

Phases = Sequence[tuple[str, int, int]]


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
        self.by_checker: dict[str, list[Placed]] = defaultdict(list)
        for one in replayed.sieve.placed:
            self.by_checker[one.finding.kind.checker].append(one)
        #: of all, kept or not: by checker and kind; and how many a fault explains, by checker
        self.kinds: dict[str, Counter[str]] = defaultdict(Counter)
        for name, count in replayed.sieve.counts.items():
            self.kinds[BY_NAME[name].checker][name] = count
        self.excused: Counter[str] = Counter()
        for name, count in replayed.sieve.excuses.items():
            self.excused[BY_NAME[name].checker] += count

    def scope(self, found: Sequence[Placed], kinds: Mapping[str, int]) -> str:
        """How many, where: what a reader wants to know before a single witness. ``found``: those kept; ``kinds``: how many there
        are of each kind.
        """
        if not found:
            return ""
        touched = {(finding.session, finding.turn) for finding, _ in found if is_of_a_turn(finding)}
        users = {finding.session for finding, _ in found}
        times = sum(kinds.values())
        places = {place for kind in kinds for place in self._replayed.sieve.places[kind]}
        cohorts = sorted({cohort for cohort, _ in places} - {"direct", ""})
        least = "at least " if times > len(found) else ""
        parts = [
            f"{times} times" if times > 1 else "once",
            *([f"in {least}{len(touched)} of {self._sent} turns"] if touched else []),
            f"{least}{len(users)} user{'s' if len(users) > 1 else ''} hit",
            *([" and ".join(cohorts)] if cohorts else []),
        ]
        faults = sorted({fault for _, fault in places if fault})
        clear = any(not fault for _, fault in places)
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
                return f"{finding.kind.text}: {', '.join(lacking) or 'the number of the chunk'} in {event}"
        return f"{finding.kind.text}: {event}" if event else finding.kind.text
