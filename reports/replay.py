"""One pass over the rows: the trackers that users ran live find the same again, and accounts of what each client did fill up.

Memory grows with sessions and outages, not with events; of turns only a few numbers stay, and only where faults are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loadtests.contract.compile import Contract
from loadtests.findings import Finding
from loadtests.history import COHORTS, DTYPE, UNKNOWN_TURN, Flag, RowKind, Window
from loadtests.retry import declared
from loadtests.rundir import RunData
from loadtests.tracker import SessionTracker
from loadtests.turn import Rules
from reports.clients import ClientAccount, MisstepLog
from reports.endings import BY_CLIENT, CENSORED
from reports.evidence import Tally
from reports.peers import Moments
from reports.sieve import Sieve
from reports.steadiness import DROPPED, Steadiness

__all__ = ["Replayed", "Rows", "as_rows", "is_of_a_turn", "of_own_turns", "replay", "replay_rows"]

Rows = np.ndarray[Any, np.dtype[Any]]
BLOCK_ROWS = 4096
#: what happened between a turn's send and its end, and not at one moment of it
OF_A_WHOLE_TURN = frozenset(
    {
        "never-ended", "role-missing", "open-without-close", "agent-unfinished", "chunk-missing", "cancel-ignored",
        "never-executed",
    }
)  # fmt: skip


@dataclass(slots=True)
class Replayed:
    """``counts``: findings by kind name and worker, explained by a fault or not; ``unfinished``: sessions whose end is not in the
    history; ``out_of_order``: findings of that checker by event.
    """

    tally: Tally
    steadiness: Steadiness
    sieve: Sieve
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    out_of_order: Counter[int] = field(default_factory=Counter)
    unfinished: int = 0
    clients: dict[int, ClientAccount] = field(default_factory=dict)
    missteps: MisstepLog = field(default_factory=MisstepLog)
    #: turns by how they ended for the client; of those, decided ones with an event, and any with two or more
    ends: Counter[int] = field(default_factory=Counter)
    begun: int = 0
    ordered: int = 0
    doubtful: int = 0
    #: turns that ended by an event which the rows do not hold
    unheard: int = 0
    opened: Moments = field(default_factory=Moments)
    closed: Moments = field(default_factory=Moments)
    last_ns: int = 0

    @property
    def findings(self) -> list[Finding]:
        """Those that no fault explains, the first of each kind, in the order of their rows' workers."""
        return [one.finding for one in self.sieve.placed]


def replay(data: RunData, windows: Sequence[Window] = ()) -> Replayed:
    """One pass over all rows of a run directory."""
    fatal = declared(data.contract.file.client, data.scenario.retry).fatal
    return replay_rows(data.contract, data.rows, data.strings, windows, data.first_row, data.workers, fatal)


def replay_rows(
    contract: Contract, rows: Rows, strings: Sequence[str], windows: Sequence[Window] = (), first_row: Sequence[int] = (0,),
    workers: Sequence[str] = ("rows",), fatal: Iterable[int] = (),
) -> Replayed:  # fmt: skip
    """One pass over rows, in the order of their workers. ``strings``: what their numbers mean; ``fatal``: codes after which the
    client's own policy does not come back.
    """
    grace_ns = contract.file.turn.recovery_ms * 1_000_000
    result = Replayed(Tally(contract), Steadiness(windows, grace_ns), Sieve(contract, windows))
    roots = frozenset(i for i, text in enumerate(strings) if text in contract.file.agents.root)
    rules = Rules(contract, roots)
    for worker, first, last in zip(workers, first_row, [*first_row[1:], len(rows)], strict=False):
        _Worker(contract, rules, result, result.counts.setdefault(worker, Counter()), fatal).read(rows, first, last)
    for account in result.clients.values():
        account.finish(result.last_ns)
    return result


class _Worker:
    """One process's rows: its sessions are no other's."""

    def __init__(
        self, contract: Contract, rules: Rules, result: Replayed, counts: Counter[str], fatal: Iterable[int]
    ) -> None:  # fmt: skip
        self._contract, self._rules, self._result, self._counts = contract, rules, result, counts
        self._fatal = tuple(fatal)
        self._rows: Rows
        self._trackers: dict[int, SessionTracker] = {}
        self._stopped: set[int] = set()
        self._asked: dict[int, int] = {}
        #: since when a connection that the client gave up was silent
        self._asked_ns = 0
        self._telling = rules.telling
        self._rare: dict[int, Callable[..., None]] = {
            RowKind.SEND: self._send,
            RowKind.DIAL: self._dial,
            RowKind.FAILED: self._failed,
            RowKind.OPEN: self._open,
            RowKind.READY: self._ready,
            RowKind.CLOSE: self._close,
            RowKind.ASK: self._ask,
            RowKind.CLAIM: self._claim,
            RowKind.END: self._end,
            RowKind.DROP: self._drop,
            RowKind.RESEND: self._resend,
            RowKind.CANCEL: self._cancel,
            RowKind.STOP: self._stop,
        }

    def read(self, rows: Rows, first: int, last: int) -> None:
        result, trackers, rare = self._result, self._trackers, self._rare
        self._rows = rows
        event = int(RowKind.EVENT)
        for start in range(first, last, BLOCK_ROWS):
            block = rows[start : min(start + BLOCK_ROWS, last)]
            result.tally.add(block)
            result.last_ns = max(result.last_ns, int(block["received"].max()))
            for number, row in enumerate(block.tolist(), start):
                (
                    kind, cohort, flags, index, schema, session, connection, turn, _, agent, tool, execution, foreign, code, _, _, _,
                    intended, _, at_ns, cursor, key,
                ) = row  # fmt: skip
                tracker = trackers.get(session)
                if tracker is None:
                    tracker = self._begin(session, cohort)
                if kind == event:
                    tracker.event(
                        number, at_ns, index, flags, schema, turn, foreign, agent, tool, execution, cursor, key, code
                    )
                elif (handler := rare.get(kind)) is not None:
                    account = result.clients[session]
                    handler(tracker, account, number, at_ns, turn, flags, code, connection, cursor, intended)
        result.unfinished += len(trackers) - len(self._stopped)

    def _begin(self, session: int, cohort: int) -> SessionTracker:
        result = self._result
        # Two workers never play the same session; in a damaged history they may seem to.
        if session not in result.clients:
            name = COHORTS[cohort] if cohort < len(COHORTS) else ""
            result.clients[session] = ClientAccount(self._contract, session, name, result.missteps.add, self._fatal)
        tracker = self._trackers[session] = SessionTracker(self._rules, session, self._emit)
        return tracker

    def _emit(self, finding: Finding) -> None:
        kind, result = finding.kind.name, self._result
        self._counts[kind] += 1
        account, row, span = result.clients[finding.session], self._rows[finding.row], None
        if kind in OF_A_WHOLE_TURN:
            span = account.span(finding.turn, finding.at_ns)
        elif kind == "silent-cut":  # from the send to the cut
            start_ns, _ = account.span(finding.turn, finding.at_ns)
            span = start_ns, account.until_cut(finding.turn, start_ns)
        elif kind == "unanswered":  # from the ping to the hang-up
            span = self._asked_ns, finding.at_ns
        if finding.kind.checker == "order":
            result.out_of_order[int(row["event"])] += 1
        result.sieve.add(finding, account.cohort, int(row["received"]), span)

    # One row each; what a row does not need is not named.

    def _send(self, tracker: SessionTracker, account: ClientAccount, row: int, _at: int, turn: int, *rest: int) -> None:
        account.sent(turn, rest[-1])
        tracker.sent(row, turn)

    def _dial(self, _tracker: SessionTracker, account: ClientAccount, row: int, at_ns: int, *_: int) -> None:
        account.dial(row, at_ns)

    def _failed(
        self, _tracker: SessionTracker, account: ClientAccount, _row: int, at_ns: int, _turn: int, _flags: int, code: int, *_: int
    ) -> None:  # fmt: skip
        account.failed(at_ns, code)

    def _open(
        self, tracker: SessionTracker, account: ClientAccount, row: int, at_ns: int, _turn: int, _flags: int, _code: int,
        connection: int, *_: int,
    ) -> None:  # fmt: skip
        self._result.opened.add(at_ns)
        account.opened(row, at_ns)
        tracker.opened(connection)

    def _ready(self, tracker: SessionTracker, account: ClientAccount, _row: int, at_ns: int, *_: int) -> None:
        if account.outage is not None and self._contract.file.send.resend:
            for turn, span in account.turns.items():
                heard = tracker.turns.get(turn)
                if not span.end_ns and span.cut_ns and heard is not None and not heard.seen:
                    self._result.doubtful += 1
        account.ready(at_ns)

    def _close(
        self, tracker: SessionTracker, account: ClientAccount, row: int, at_ns: int, _turn: int, flags: int, code: int, *rest: int
    ) -> None:  # fmt: skip
        self._result.closed.add(at_ns)
        self._asked_ns = rest[-1] or at_ns
        account.closed(row, at_ns, code, flags)
        tracker.closed(
            row, at_ns, code, ours=bool(flags & Flag.OURS), ready=bool(flags & Flag.RESUMED),
            never_ready=bool(flags & Flag.NEVER_READY), mid_turn=bool(flags & Flag.MID_TURN),
        )  # fmt: skip

    def _ask(self, tracker: SessionTracker, _account: ClientAccount, *rest: int) -> None:
        self._asked[tracker.session] = rest[-2]

    def _claim(
        self, tracker: SessionTracker, _account: ClientAccount, row: int, at_ns: int, _turn: int, flags: int, *rest: int
    ) -> None:  # fmt: skip
        if self._contract.resumes:
            tracker.claim(row, at_ns, bool(flags & Flag.RESUMED), rest[-2], self._asked.get(tracker.session, -1))

    def _end(
        self, tracker: SessionTracker, account: ClientAccount, row: int, at_ns: int, turn: int, flags: int, code: int, *rest: int
    ) -> None:  # fmt: skip
        result = self._result
        result.ends[code] += 1
        heard = tracker.turns.get(turn)
        if heard is not None:
            seen = (heard.seen & self._telling).bit_count()
            result.ordered += seen >= 2
            result.begun += seen > 0 and code not in CENSORED
            result.unheard += code not in BY_CLIENT and not heard.ended
        account.ended(turn, at_ns)
        if not flags & Flag.OURS:  # whose user was away of its own will says nothing of how turns go
            result.steadiness.add(row, account.cohort, rest[-1], at_ns, code)
        tracker.ended(turn, code)

    def _drop(
        self, _tracker: SessionTracker, account: ClientAccount, row: int, at_ns: int, _turn: int, flags: int, *rest: int
    ) -> None:  # fmt: skip
        if flags & Flag.OURS:
            return  # the journey was over before it, and why is counted there
        account.dropped(rest[-1])
        self._result.steadiness.add(row, account.cohort, rest[-1], at_ns, DROPPED)

    def _resend(
        self, tracker: SessionTracker, _account: ClientAccount, _row: int, _at: int, turn: int, *_: int
    ) -> None:
        tracker.resent(turn)

    def _cancel(self, tracker: SessionTracker, _account: ClientAccount, row: int, _at: int, turn: int, *_: int) -> None:
        tracker.cancelled(row, turn)

    def _stop(self, tracker: SessionTracker, account: ClientAccount, _row: int, at_ns: int, *_: int) -> None:
        account.finish(at_ns)
        tracker.finish(at_ns)
        self._stopped.add(tracker.session)


def as_rows(rows: Rows | Sequence[tuple[int, ...]]) -> Rows:
    """Rows as one structured array, from whatever a recorder in memory has."""
    return rows if isinstance(rows, np.ndarray) else np.array(list(rows), DTYPE)


def is_of_a_turn(finding: Finding) -> bool:
    """Whether a finding names a turn of its own session."""
    return finding.turn not in {0, UNKNOWN_TURN}


def of_own_turns(rows: Rows) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows are events of a turn of their own session."""
    mask: np.ndarray[Any, np.dtype[np.bool_]] = (
        (rows["kind"] == RowKind.EVENT) & (rows["turn"] > 0) & (rows["turn"] != UNKNOWN_TURN) & (rows["foreign"] < 0)
    )
    return mask
