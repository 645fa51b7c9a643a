"""One turn's tracker: order, pairs, terminals. Pure; knows no clock, no socket, no cursor.

It is fed one event after the other and says which rule each breaks first; what only the turn's end can show, it says
when the turn is settled.
"""

from __future__ import annotations

from typing import Any

from loadtests.contract.compile import Contract
from loadtests.findings import BY_NAME, Kind
from loadtests.history import OUTCOMES
from loadtests.trail import ORDINAL_SHIFT, STRAY, Node, Trails

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
CANCEL_IGNORED = BY_NAME["cancel-ignored"]
EXECUTED_TWICE = BY_NAME["executed-twice"]
NEVER_EXECUTED = BY_NAME["never-executed"]
AGENT_UNBEGUN = BY_NAME["agent-unbegun"]
AGENT_UNFINISHED = BY_NAME["agent-unfinished"]
CHUNK_REPEATED = BY_NAME["chunk-repeated"]
CHUNK_MISSING = BY_NAME["chunk-missing"]
TEXT_DIFFERS = BY_NAME["text-differs"]

O_OK, O_DEGRADED, O_FAILED = (OUTCOMES.index(name) for name in ("ok", "degraded", "failed"))
#: these turns have done what was asked, and so must have shown all that is demanded
COMPLETED = (O_OK, O_DEGRADED)
MOST_MISSING = 64  # chunks remembered as missing; whoever loses more has a finding anyway

#: what a hole in the numbers brings with it, and what therefore counts under the hole alone
CONSEQUENCES = (MISPLACED, CLOSE_WITHOUT_OPEN, WRONG_EXECUTION, AGENT_UNBEGUN, TEXT_DIFFERS)

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
        #: what may come, and what may come after it, and so on
        allowed: dict[str, Allowed] = {state: {} for state in contract.automaton}
        for state, steps in contract.automaton.items():
            allowed[state].update({event: allowed[after] for event, after in steps.items()})
        self.states = tuple(allowed.values())
        self.start = allowed[contract.file.order.start]
        pairs = {opening: numbers[0] for opening, numbers in contract.opens.items()} | contract.pair_of
        #: what the tracker asks of every event: its bit, its role, whether it has a place in the order, its (first) pair
        self.steps = tuple(
            (1 << i, CLOSE if i in contract.pair_of else role, contract.ordered[i], pairs.get(i, -1))
            for i, role in enumerate(self.roles)
        )
        #: opening -> further pairs that it opens
        self.further = {opening: numbers[1:] for opening, numbers in contract.opens.items() if numbers[1:]}
        self.in_pieces = contract.in_pieces
        # In the place of a pair's closing its opening, since that what is open is closed is said elsewhere.
        needed = {
            i if i in contract.several else contract.closes.get(i, i) for i in (one.index for one in contract.demanded)
        }
        self.demanded = tuple(sorted(needed))
        self.demanded_bits = sum(1 << index for index in self.demanded)
        #: events that say more than that something was received: an ``ack`` is not acceptance
        self.telling = sum(1 << i for i, role in enumerate(self.roles) if role != OTHER)
        self.paired_agents = contract.file.agents.paired
        #: only one turn of a session runs at a time
        self.exclusive = contract.file.turn.concurrent in {"queue", "reject", "supersede"}
        #: content event -> number of its stream's first chunk
        self.first_chunk = {index: one.start for index, one in contract.stream_of.items() if one.numbered}
        self.supersedes = contract.file.turn.concurrent == "supersede"
        self.recovers = contract.file.turn.interrupted == "recovered-or-error"
        self.numbered = contract.has_cursor
        self.resumes = contract.resumes
        self.first_cursor = contract.file.cursor.start
        self.recovery_ns = contract.file.turn.recovery_ms * 1_000_000
        self.normal_closes = frozenset(contract.file.closes.normal)
        #: the ways that clean turns have gone
        self.trails = Trails()


#: (pair, execution, tool, row)
_Open = tuple[int, int, int, int]


class TurnTracker:
    """State of one turn. Agents, tools and executions are numbers; 0 means that the frame names none."""

    __slots__ = (
        "agents", "allowed", "begin_row", "cancel_row", "chunks", "closed", "cut", "declared", "displaced", "early",
        "elected", "end_row", "ended", "executions", "given_up", "holed",
        "learning", "left", "missing", "node", "number", "opened", "outcome",
        "overtaken", "pending", "resent", "root", "rows", "rules", "seen", "send_row", "sent_again", "settled", "twice",
    )  # fmt: skip

    def __init__(self, rules: Rules, number: int, send_row: int) -> None:
        self.rules = rules
        self.number = number
        self.send_row = send_row
        self.begin_row = self.end_row = -1
        self.allowed = rules.start
        self.seen = 0
        #: whose end is the turn's; and whose start stands for it, until an agent that the contract names has started
        self.root = self.elected = 0
        self.cancel_row = -1
        self.outcome = O_OK
        self.ended = self.cut = self.resent = self.sent_again = self.given_up = self.settled = False
        #: its user went away of its own, and may have thrown away what was on its way
        self.left = False
        #: the message was executed again, and whatever comes of that is one finding
        self.twice = False
        #: events are missing: found out by their numbers, or declared by the backend itself
        self.holed = self.declared = False
        self.opened: list[_Open] = []
        self.early: list[_Open] = []
        #: (pair, execution) of what was closed
        self.closed: set[tuple[int, int]] | None = None
        #: another turn that began while this one was under way: its first row and number
        self.overtaken: tuple[int, int] | None = None
        #: agent that the contract does not name -> how often it began and has not completed
        self.agents: dict[int, int] | None = None
        #: content event -> (number of the next chunk, numbers that are missing before it)
        self.chunks: dict[int, tuple[int, set[int]]] | None = None
        #: an event that came too early, and the event indices one of which should have come before it
        self.pending = -1
        self.missing: Allowed | None = None
        #: rows out of order that showed by a row with a finding of its own
        self.displaced: list[int] | None = None
        #: where the turn stands on a known way; its state is what ``node`` says, and the fields above lag behind
        self.node = STRAY
        #: the turn's rows on that way
        self.rows: list[int] = []
        #: where the turn stands off it, while all that has come broke nothing; None: it did, or something else touched it
        self.learning: Node | None = None
        #: execution -> its ordinal in this turn
        self.executions: dict[int, int] | None = None

    def set_out(self) -> TurnTracker:
        """To be called before the first event, by whoever feeds ``follow`` and ``learn`` as well; returns the tracker."""
        self.node = self.rules.trails.start
        return self

    def ordinal(self, execution: int) -> int:
        """Which of the turn's executions it is, counted from 1."""
        known = self.executions
        if known is None:
            known = self.executions = {}
        return known.setdefault(execution, len(known) + 1)

    def key(self, event: int, agent: int, tool: int, execution: int, code: int) -> int:
        """Of an event among the steps that lead on from ``node``; -1: there is none."""
        number = self.rules.trails.number(event, agent, tool, code)
        return number | self.ordinal(execution) << ORDINAL_SHIFT if execution else number

    def follow(self, after: Node, row: int) -> None:
        """An event that is a step from ``node`` to one it knows."""
        rows = self.rows
        rows.append(row)
        self.node, self.seen = after, after.seen
        if after.ended:
            self.ended = self.settled = True
            self.outcome = after.outcome
            self.begin_row, self.end_row = rows[after.begin] if after.begin >= 0 else -1, row
            self.rows = []  # of a turn that is over no other is asked for

    def learn(self, key: int, *, begins: bool) -> None:
        """The event just worked in broke nothing; ``key`` is -1 if it did, or need not do the same again.

        Of a turn that is over only its first and last row are kept, so none may end that still has something to say of another.
        """
        node, self.learning = self.learning, None
        if node is not None and key >= 0 and not (self.ended and self.missing is not None):
            after = self.learning = self.rules.trails.after(node, key, self.seen, begins=begins)
            if after is not None and self.ended:
                after.ended, after.outcome = True, self.outcome

    def catch_up(self) -> None:
        """Off the known way: work in the events that were only followed."""
        node, rows = self.node, self.rows
        if node is STRAY:
            return
        self.node, self.rows, self.learning = STRAY, [], node
        way = self.rules.trails.way_to(node)
        if self.ended:
            rows = [self.begin_row] * (len(way) - 1) + [self.end_row]
            self.ended, self.begin_row = False, -1
        executions = (0, *(self.executions or ()))
        for ((event, agent, tool, code), ordinal), row in zip(way, rows, strict=True):
            self.event(row, event, 0, agent, tool, executions[ordinal], code)

    def leave(self) -> None:
        """To be called before anything but an event touches the turn: from now on it goes its own way."""
        self.catch_up()
        self.learning = None

    @property
    def over(self) -> bool:
        """Nobody waits for it any more."""
        return self.ended or self.given_up

    @property
    def under_way(self) -> bool:
        """Begun, and not over."""
        return not self.over and bool(self.seen & self.rules.telling)

    @property
    def lacks_text(self) -> bool:
        """A part is known to be missing, so that the whole cannot be the same."""
        return self.holed or self.declared or any(lost for _, lost in (self.chunks or {}).values())

    @property
    def completed(self) -> bool:
        """Ended, and with what was asked for."""
        return self.ended and self.outcome in COMPLETED

    def event(
        self, row: int, event: int, recovered: int, agent: int, tool: int, execution: int, code: int = 0
    ) -> tuple[Kind, int] | None:
        """Feed one approved event of this turn; returns the first rule it breaks, with the witness row."""
        rules = self.rules
        bit, role, ordered, pair = rules.steps[event]
        if role == STARTED:
            if self.begin_row < 0:
                self.begin_row = row
            elif self.sent_again and self.seen & bit and not recovered and self._restarts(agent):
                self.twice = True
                return EXECUTED_TWICE, row
        if self.twice:
            self.ended = self.ended or (role in (DONE, FAILED) and self._is_root(agent))
            return None
        if agent != self.root and (agent in rules.roots or (role == STARTED and not self.root and self._elects)):
            self.root = agent
        nested = role == STARTED and not self._is_root(agent)
        if not nested:  # a nested agent's beginning is not the turn's
            self.seen |= bit
        if self.ended and role != OTHER and not (recovered and rules.recovers):
            return (SECOND_END if role in (DONE, FAILED) and self._is_root(agent) else AFTER_END), row
        found = None
        if role >= OPEN:
            if role == OPEN:
                if event not in rules.in_pieces or not self._goes_on(pair, execution):
                    for one in (pair, *rules.further.get(event, ())):
                        found = self._open((one, execution, tool, row), recovered) or found
            elif role == CLOSE:
                found = self._close((pair, execution, tool, row))
            elif role == CONTENT:
                found = self._chunk(row, event, code - 1) if code else None
            elif self._is_root(agent):
                self.ended, self.end_row = True, row
                self.outcome = code - 1 if code else O_OK if role == DONE else O_FAILED
            elif rules.paired_agents:
                found = self._nested(row, agent, -1)
        elif role == STARTED and agent:
            self._starts(row, agent, nested=nested)
        if ordered:
            after = self.allowed.get(event)
            if after is not None and self.missing is None:
                self.allowed = after
            else:
                misplaced = self._step(row, event, recovered, nested=nested)
                if found is None:
                    found = misplaced
                elif misplaced is not None and misplaced[1] != found[1]:  # each row is told what it breaks first
                    self.displaced = [*(self.displaced or ()), misplaced[1]]
        return found

    def _restarts(self, agent: int) -> bool:
        """Whom the contract names, and who comes after one that was taken for the root, starts for the first time."""
        return self._is_root(agent) and not (self.elected and agent in self.rules.roots)

    def _starts(self, row: int, agent: int, *, nested: bool) -> None:
        if agent in self.rules.roots:
            self.elected = 0
            return
        if not nested:
            self.elected = agent
        if self.rules.paired_agents:  # the elected one too: it turns out to be nested when a named one appears
            self._nested(row, agent, 1)

    def _nested(self, row: int, agent: int, step: int) -> tuple[Kind, int] | None:
        agents = self.agents = {} if self.agents is None else self.agents
        agents[agent] = agents.get(agent, 0) + step
        if agents[agent] >= 0:
            return None
        agents[agent] = 0
        return AGENT_UNBEGUN, row

    def _chunk(self, row: int, event: int, number: int) -> tuple[Kind, int] | None:
        first = self.rules.first_chunk.get(event)
        if first is None:
            return None
        chunks = self.chunks = {} if self.chunks is None else self.chunks
        following, missing = chunks.get(event, (first, set()))
        if number == following:
            chunks[event] = following + 1, missing
        elif number > following:
            missing.update(range(following, min(number, following + MOST_MISSING)))
            chunks[event] = number + 1, missing
        elif number in missing:
            missing.remove(number)
            return MISPLACED, row
        else:
            return CHUNK_REPEATED, row
        return None

    @property
    def _elects(self) -> bool:
        """The first agent to start is the root, unless it has a name and its start may be what is missing."""
        return not (self.holed and self.rules.roots)

    def _is_root(self, agent: int) -> bool:
        return agent == 0 or agent == self.root or agent in self.rules.roots or (self.root == 0 and self._elects)

    def _step(self, row: int, event: int, recovered: int, *, nested: bool) -> tuple[Kind, int] | None:
        found = None
        if self.missing is not None and event in self.missing and self.pending >= 0 and not nested:
            # What should have come before has come after: that is an inversion, not a loss.
            if not (recovered and self.rules.recovers):
                found = MISPLACED, self.pending
            self.pending, self.missing = -1, None
            if event not in self.allowed:
                return found  # the order has gone on without it
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

    def _goes_on(self, pair: int, execution: int) -> bool:
        """A piece of an opening is not the first."""
        key = pair, execution
        return not execution or key in (self.closed or ()) or any(one[:2] == key for one in self.opened)

    def _open(self, one: _Open, recovered: int) -> tuple[Kind, int] | None:
        if self.early:
            for i, early in enumerate(self.early):
                if _match(early, one):
                    del self.early[i]
                    return None if recovered and self.rules.recovers else (CLOSE_WITHOUT_OPEN, early[3])
        self.opened.append(one)
        return None

    def _close(self, one: _Open) -> tuple[Kind, int] | None:
        opened = self.opened
        pair, execution, tool, row = one
        if execution:
            key = pair, execution
            if self.closed is None:
                self.closed = {key}
            elif key not in self.closed:
                self.closed.add(key)
            elif not any(candidate[:2] == key for candidate in opened):
                return CLOSE_WITHOUT_OPEN, row  # this one is over: the openings left are others'
        if len(opened) == 1 and opened[0][0] == pair and opened[0][1] == execution:
            opened.clear()
            return None
        for i, candidate in enumerate(opened):
            if _match(candidate, one):
                del opened[i]
                return None
        # By id nothing fits: the id is wrong if a tool of that name is open, else there was no opening (yet). Where events
        # are missing, or out of order, the opening is among them.
        for i, candidate in enumerate(() if self.holed else opened):
            if candidate[0] == pair and (candidate[2] == tool or not tool):
                del opened[i]
                return WRONG_EXECUTION, row
        self.early.append(one)
        return None

    def settle(self) -> Verdicts:
        """What only the end shows; call once, when nothing of the turn can legally come any more."""
        self.catch_up()
        self.settled = True
        if self.holed or self.twice:
            return []  # whatever is missing is a consequence of the hole, which is a finding of its own
        found: Verdicts = []
        if self.displaced:
            found += [(MISPLACED, row, 0) for row in self.displaced]
        if self.early and not self.declared:
            found += [(CLOSE_WITHOUT_OPEN, row, 0) for _, _, _, row in self.early]
        if self.completed and not self.declared:
            found += self._lacking()
        return found + self._unfinished() if self.given_up else found

    def _lacking(self) -> Verdicts:
        """What must have been there by the end."""
        found: Verdicts = []
        missing: list[int] = []
        if self.seen & self.rules.demanded_bits != self.rules.demanded_bits:
            missing = [event for event in self.rules.demanded if not self.seen >> event & 1]
            found += [(ROLE_MISSING, self.end_row, event) for event in missing]
        if self.opened:
            found += [(OPEN_WITHOUT_CLOSE, row, 0) for row in dict.fromkeys(one[3] for one in self.opened)]
        if self.agents:
            left = (agent for agent, times in self.agents.items() if times and agent != self.elected)
            found += [(AGENT_UNFINISHED, self.end_row, agent) for agent in left]
        if self.chunks:
            found += [(CHUNK_MISSING, self.end_row, min(lost)) for _, lost in self.chunks.values() if lost]
        if self.pending >= 0 and not (self.missing and set(missing) & set(self.missing)):
            found.append((MISPLACED, self.pending, 0))
        return found

    def _unfinished(self) -> Verdicts:
        """What is said of a turn that the client gave up."""
        if self.cancel_row >= 0 and not self.cut and self.seen & self.rules.telling:
            return [(CANCEL_IGNORED, self.cancel_row, 0)]  # also where it ended at last
        if self.ended:
            return []
        if self.seen & self.rules.telling:
            return [(NEVER_ENDED, self.send_row, 0)]
        if self.sent_again and self.seen:
            return [(NEVER_EXECUTED, self.send_row, 0)]
        if self.left and not self.resent:
            return []
        # Sent again on a new connection, nothing is in doubt any more.
        return [(SILENT_CUT if self.cut and not self.resent else SILENT, self.send_row, 0)]


def _match(a: _Open, b: _Open) -> bool:
    """Of one pair; and by execution id if both carry one, else by tool name if both carry one, else by count."""
    if a[0] != b[0]:
        return False
    if a[1] and b[1]:
        return a[1] == b[1]
    return a[2] == b[2] if a[2] and b[2] else True
