"""The foreign server's own truth against a run: nothing it never did is a finding, and nothing that got lost is not one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.history import End, RowKind
from loadtests.rundir import RunData, read_run, windows_of
from loadtests.session import tag_of
from reports.replay import replay
from tests.live.foreign_server import Emitted

__all__ = ["Compared", "compare"]

Turn = tuple[int, int]
#: what a turn can show when events of it were lost on the way; the server itself commits none of the others
OF_A_LOSS = {"role-missing", "open-without-close", "close-without-open", "never-ended", "silent", "silent-cut"}
#: that a cut happened is no claim about an event
OF_A_CUT = {"abnormal-close"}
CENSORED = {int(End.CUT_BY_STOP)}


@dataclass(slots=True)
class Compared:
    """``untrue``: findings that the truth denies; ``unfound``: written, in no row, and no finding in its turn."""

    untrue: list[str] = field(default_factory=list)
    unfound: list[str] = field(default_factory=list)
    #: turns that lost an event which the server says it wrote
    losers: int = 0
    #: that no fault explains
    findings: int = 0


def compare(path: Path, emitted: Iterable[Emitted]) -> Compared:
    """One run of one foreign server; call it when the server has ended its last turn."""
    data = read_run(path)
    turn_of = _turns(data)
    ends = {_turn(row): int(row["code"]) for row in data.rows[data.rows["kind"] == RowKind.END]}
    written: dict[Turn, Counter[str]] = defaultdict(Counter)
    made: dict[Turn, Counter[str]] = defaultdict(Counter)
    for one in emitted:
        if one.run in turn_of:
            made[turn_of[one.run]][one.event] += 1
            written[turn_of[one.run]][one.event] += one.written
    seen: dict[Turn, Counter[str]] = defaultdict(Counter)
    for row in data.rows[data.rows["kind"] == RowKind.EVENT]:
        if row["turn"] and row["event"]:
            seen[_turn(row)][data.contract.label(int(row["event"]))] += 1
    result = Compared()
    found: dict[Turn, set[str]] = defaultdict(set)
    sieve = replay(data, windows_of(data)).sieve
    # What a fault explains must be true as well, but the verdict does not rest on it.
    for finding, counts in [*((one, True) for one, _ in sieve.placed), *((one, False) for one in sieve.excused)]:
        if finding.kind.name in OF_A_CUT:
            continue
        result.findings += counts
        turn = (finding.session, finding.turn)
        found[turn].add(finding.kind.name)
        if finding.kind.name not in OF_A_LOSS:
            result.untrue.append(f"{turn}: {finding.kind.name}, which this server never does")
        elif made[turn] and not made[turn] - seen[turn]:
            result.untrue.append(f"{turn}: {finding.kind.name}, and every event that was made is in a row")
    for turn, events in written.items():
        lost = events - seen[turn]
        # A turn without an END row is one that the run's end cut.
        if lost and ends.get(turn, int(End.CUT_BY_STOP)) not in CENSORED:
            result.losers += 1
            if not found[turn]:
                result.unfound.append(f"{turn}: {dict(lost)} written, in no row, and no finding")
    return result


def _turn(row: object) -> Turn:
    return int(row["session"]), int(row["turn"])  # type: ignore[index]  # a numpy record


def _turns(data: RunData) -> dict[str, Turn]:
    """The backend's name of each turn that was sent."""
    sends = data.rows[data.rows["kind"] == RowKind.SEND]
    nonce = str(data.manifest["nonce"])
    return {f"run_{tag_of(nonce, session)}t{turn}": (session, turn) for session, turn in map(_turn, sends)}
