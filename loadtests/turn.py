"""One turn's tracker: order, pairs, terminals. Pure; knows no clock, no socket, no cursor.

It is fed one event after the other and says which rule each breaks first; what only the turn's end can show, it says
when the turn is settled.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from loadtests.contract.compile import Contract
from loadtests.findings import BY_NAME, Kind

__all__ = ["CONSEQUENCES", "ROLE_CODES", "Rules", "TurnTracker", "Verdicts"]

ROLE_CODES = {
    "other": 0,
    "started": 1,
    "thinking": 2,
    "tool-open": 3,
    "tool-close": 4,
    "done": 5,
    "failed": 6,
    "content": 7,
}
OTHER, STARTED, THINKING, OPEN, CLOSE, DONE, FAILED, CONTENT = range(8)

MISPLACED = BY_NAME["misplaced"]
CLOSE_WITHOUT_OPEN = BY_NAME["close-without-open"]
OPEN_WITHOUT_CLOSE = BY_NAME["open-without-close"]
WRONG_EXECUTION = BY_NAME["wrong-execution"]
SECOND_END = BY_NAME["second-end"]
AFTER_END = BY_NAME["after-end"]
ROLE_MISSING = BY_NAME["role-missing"]
NEVER_ENDED = BY_NAME["never-ended"]
SILENT = BY_NAME["silent"]
SILENT_CUT = BY_NAME["silent-cut"]

#: what a hole in the numbers brings with it, and what therefore counts under the hole alone
CONSEQUENCES = (MISPLACED, CLOSE_WITHOUT_OPEN, WRONG_EXECUTION)

#: a state of the order: event -> the state after it
Allowed = dict[int, Any]

#: (kind, row of the witness, detail)
Verdicts = list[tuple[Kind, int, int]]


class Rules:
    """A contract's tables in the form the trackers index by event number; made once a process."""

    def __init__(self, contract: Contract, roots: frozenset[int]) -> None:
        self.contract = contract
        self.roots = roots
        self.roles = tuple(ROLE_CODES[role] for role in contract.roles)
        self.ordered = contract.ordered
        #: what may come, and what may come after it, and so on
        allowed: dict[str, Allowed] = {state: {} for state in contract.automaton}
        for state, steps in contract.automaton.items():
            allowed[state].update({event: allowed[after] for event, after in steps.items()})
        self.states = tuple(allowed.values())
        self.start = allowed[contract.file.order.start]
        #: what the tracker asks of every event: its bit, its role, whether it has a place in the order
        self.steps = tuple((1 << i, role, self.ordered[i]) for i, role in enumerate(self.roles))
        closers = set(contract.closes)
        self.demanded = tuple(rule.index for rule in contract.demanded if rule.index not in closers)
        self.pair_of = {**contract.opens, **contract.closes}
        self.recovers = contract.file.turn.interrupted == "recovered-or-error"
        self.numbered = contract.has_cursor
        self.resumes = contract.resumes
        self.first_cursor = contract.file.cursor.start
        self.recovery_ns = contract.file.turn.recovery_ms * 1_000_000
        self.normal_closes = frozenset(contract.file.closes.normal)


class _Open(NamedTuple):
    pair: int
    execution: int
    tool: int
    row: int


class TurnTracker:
    """State of one turn. Agents, tools and executions are numbers; 0 means that the frame names none."""

    __slots__ = (
        "allowed", "cut", "declared", "early", "end_row", "ended", "failed", "given_up", "holed", "missing", "number", "opened",
        "pending", "resent", "root", "rules", "seen", "send_row", "settled",
    )  # fmt: skip

    def __init__(self, rules: Rules, number: int, send_row: int) -> None:
        self.rules = rules
        self.number = number
        self.send_row = send_row
        self.end_row = -1
        self.allowed = rules.start
        self.seen = 0
        self.root = 0
        self.ended = self.failed = self.cut = self.resent = self.given_up = self.settled = False
        #: events are missing: found out by their numbers, or declared by the backend itself
        self.holed = self.declared = False
        self.opened: list[_Open] = []
        self.early: list[_Open] = []
        #: an event that came too early, and the event indices one of which should have come before it
        self.pending = -1
        self.missing: Allowed | None = None

    def event(
        self, row: int, event: int, recovered: int, agent: int, tool: int, execution: int
    ) -> tuple[Kind, int] | None:
        """Feed one approved event of this turn; returns the first rule it breaks, with the witness row."""
        rules = self.rules
        bit, role, ordered = rules.steps[event]
        self.seen |= bit
        if agent != self.root and (agent in rules.roots or (role == STARTED and not self.root)):
            self.root = agent
        if self.ended and role != OTHER and not (recovered and rules.recovers):
            return (SECOND_END if role in (DONE, FAILED) and self._is_root(agent) else AFTER_END), row
        found = None
        if role >= OPEN:
            if role == OPEN:
                found = self._open(_Open(rules.pair_of.get(event, -1), execution, tool, row), recovered)
            elif role == CLOSE:
                found = self._close(_Open(rules.pair_of.get(event, -1), execution, tool, row))
            elif role <= FAILED and self._is_root(agent):
                self.ended, self.failed, self.end_row = True, role == FAILED, row
        if ordered:
            after = self.allowed.get(event)
            if after is not None and self.missing is None:
                self.allowed = after
            else:
                misplaced = self._step(row, event, recovered)
                found = found or misplaced
        return found

    def _is_root(self, agent: int) -> bool:
        return agent == 0 or self.root == 0 or agent == self.root or agent in self.rules.roots

    def _step(self, row: int, event: int, recovered: int) -> tuple[Kind, int] | None:
        found = None
        if self.missing is not None and event in self.missing and self.pending >= 0:
            # What should have come before has come after: that is an inversion, not a loss.
            if not (recovered and self.rules.recovers):
                found = MISPLACED, self.pending
            self.pending, self.missing = -1, None
        after = self.allowed.get(event)
        if after is not None:
            self.allowed = after
            return found
        if recovered and self.rules.recovers:
            return found
        if self.pending < 0:
            self.pending, self.missing = row, self.allowed
        for state in self.rules.states:
            if event in state and state is not self.allowed:
                self.allowed = state[event]
                break
        return found

    def _open(self, one: _Open, recovered: int) -> tuple[Kind, int] | None:
        for i, early in enumerate(self.early):
            if early.pair == one.pair and _match(early, one):
                del self.early[i]
                return None if recovered and self.rules.recovers else (CLOSE_WITHOUT_OPEN, early.row)
        self.opened.append(one)
        return None

    def _close(self, one: _Open) -> tuple[Kind, int] | None:
        opened = self.opened
        if len(opened) == 1 and opened[0].execution == one.execution and opened[0].pair == one.pair:
            opened.clear()
            return None
        for i, candidate in enumerate(opened):
            if candidate.pair == one.pair and _match(candidate, one):
                del opened[i]
                return None
        # By id nothing fits: the id is wrong if a tool of that name is open, else there was no opening (yet).
        for i, candidate in enumerate(opened):
            if candidate.pair == one.pair and (candidate.tool == one.tool or not one.tool):
                del opened[i]
                return WRONG_EXECUTION, one.row
        self.early.append(one)
        return None

    def settle(self) -> Verdicts:
        """What only the end shows; call once, when nothing of the turn can legally come any more."""
        self.settled = True
        if self.holed:
            return []  # whatever is missing is a consequence of the hole, which is a finding of its own
        if self.declared:
            return self._unfinished()
        found: Verdicts = [(CLOSE_WITHOUT_OPEN, early.row, 0) for early in self.early]
        if self.ended and not self.failed:
            missing = [event for event in self.rules.demanded if not self.seen >> event & 1]
            found += [(ROLE_MISSING, self.end_row, event) for event in missing]
            found += [(OPEN_WITHOUT_CLOSE, one.row, 0) for one in self.opened]
            if self.pending >= 0 and not (self.missing and missing and set(missing) & set(self.missing)):
                found.append((MISPLACED, self.pending, 0))
        return found + self._unfinished()

    def _unfinished(self) -> Verdicts:
        if self.ended or not self.given_up:
            return []
        if self.seen:
            return [(NEVER_ENDED, self.send_row, 0)]
        # Sent again on a new connection, nothing is in doubt any more.
        return [(SILENT_CUT if self.cut and not self.resent else SILENT, self.send_row, 0)]


def _match(a: _Open, b: _Open) -> bool:
    """By execution id if both carry one, else by tool name if both carry one, else by count."""
    if a.execution and b.execution:
        return a.execution == b.execution
    return a.tool == b.tool if a.tool and b.tool else True
