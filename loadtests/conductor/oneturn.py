"""One turn, from a run directory, for ``gauntlet show``: rows, kept frames, fault windows, findings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests.errors import ConfigError
from loadtests.findings import Finding
from loadtests.history import COHORTS, OUTCOMES, End, Fate, Flag, RowKind, attribute
from loadtests.plaintext import printable
from loadtests.rundir import RunData, frames, read_run, windows_of

__all__ = ["list_turns", "show_turn"]

MOST_LISTED = 30
SOME = 12
SHOWN_CHARACTERS = 600
#: what a row says of a frame, beside its name
MARKED = (
    Flag.RECOVERED, Flag.STALE, Flag.OTHER_STREAM, Flag.TEXT_DIFFERS, Flag.BAD_VERSION, Flag.OLD_VERSION, Flag.POOR_ANSWER,
)  # fmt: skip
CONNECTION_KINDS = [
    RowKind.DIAL,
    RowKind.FAILED,
    RowKind.OPEN,
    RowKind.READY,
    RowKind.CLOSE,
    RowKind.ASK,
    RowKind.CLAIM,
    RowKind.GAVE_UP,
]


def list_turns(run: Path, console: Console) -> None:
    """The turns that have findings, then the slowest: what is worth a look."""
    from reports.replay import replay

    data = read_run(run)
    findings = replay(data, windows_of(data)).findings  # without what a fault explains
    table = Table("turn", "why", title=f"{run.name}: turns worth a look")
    seen: set[tuple[int, int]] = set()
    for finding in findings:
        if finding.turn and (finding.session, finding.turn) not in seen and len(seen) < MOST_LISTED:
            seen.add((finding.session, finding.turn))
            table.add_row(f"{finding.session}.{finding.turn}", _said(finding))
    ends = data.rows[(data.rows["kind"] == RowKind.END) & (data.rows["intended"] > 0)]
    took = (ends["received"] - ends["intended"]) / 1e6
    for i in np.argsort(took)[::-1][:5]:
        table.add_row(f"{ends['session'][i]}.{ends['turn'][i]}", f"slow: {took[i]:,.0f} ms")
    console.print(table)


def show_turn(run: Path, name: str, console: Console) -> None:
    """Everything that the run knows of one turn.

    Raises:
        ConfigError: no such turn.
    """
    data = read_run(run)
    session, _, number = name.partition(".")
    if not session.isdecimal() or not (number.isdecimal() or not number):
        raise ConfigError("TURN", "", f"{name!r}", "SESSION.TURN, such as 17.4")
    rows = data.rows
    mine = np.flatnonzero(rows["session"] == int(session))
    if not len(mine):
        there = np.unique(rows["session"]).tolist()
        some = ", ".join(map(str, there[:SOME])) + (" …" if len(there) > SOME else "")
        raise ConfigError("TURN", "", f"{run.name} has no session {session}", f"one of its users: {some or 'none'}")
    if number:
        sends = [i for i in mine if rows["kind"][i] == RowKind.SEND and rows["turn"][i] == int(number)]
        if not sends:
            turns = sorted(set(rows["turn"][mine][rows["kind"][mine] == RowKind.SEND].tolist()))
            raise ConfigError(
                "TURN", "", f"{run.name} has no turn {name}", f"a turn of session {session}: {turns[:SOME]}"
            )
        begin = int(rows["received"][sends[0]])
        ends = [i for i in mine if rows["kind"][i] == RowKind.END and rows["turn"][i] == int(number)]
        end = int(rows["received"][ends[0]]) if ends else int(rows["received"][mine[-1]])
        mine = np.array([i for i in mine if rows["turn"][i] == int(number) or _between(data, int(i), begin, end)])
    else:
        begin, end = int(rows["received"][mine[0]]), int(rows["received"][mine[-1]])
    _print(data, run, name, mine, (begin, end), console)


def _between(data: RunData, row: int, begin: int, end: int) -> bool:
    """What the connection did meanwhile belongs to the turn's story."""
    return data.rows["kind"][row] in CONNECTION_KINDS and begin <= data.rows["received"][row] <= end


def _print(data: RunData, run: Path, name: str, mine: np.ndarray, span: tuple[int, int], console: Console) -> None:
    from reports.replay import replay

    rows, (begin, end) = data.rows, span
    texts = {(f["worker"], f["row"]): f for f in frames(run)}
    worker_of = [data.workers[max(0, int(np.searchsorted(data.first_row, i, side="right")) - 1)] for i in mine]
    windows = windows_of(data)
    sieve = replay(data, windows).sieve
    found: dict[int, list[Text]] = {}
    for finding, _ in sieve.placed:
        found.setdefault(finding.row, []).append(Text(f"✗ {_said(finding)}", style="bold red"))
    for finding in sieve.excused:
        found.setdefault(finding.row, []).append(Text(f"○ {_said(finding)}; a fault explains it", style="dim"))
    cohort = COHORTS[rows["cohort"][mine[0]]]
    grace_ns = data.contract.file.turn.recovery_ms * 1_000_000
    when = attribute(begin, end, cohort, windows, grace_ns)
    console.print(
        f"turn {name} of {run.name}, cohort {cohort}, contract {data.contract.name}", markup=False, highlight=False
    )
    console.print(
        f"began {data.seconds(begin):.3f} s, took {(end - begin) / 1e6:,.0f} ms; faults: {when.place} {when.id}".rstrip(),
        markup=False,
    )
    for window in windows:
        healed = f"{data.seconds(window.end_ns):.3f}" if window.end_ns is not None else "never healed"
        console.print(
            f"  {window.id} {window.kind} on {window.cohort}: {data.seconds(window.start_ns):.3f} to {healed} s",
            markup=False,
        )
    for i, worker in zip(mine, worker_of, strict=True):
        row = rows[i]
        at_ms = (int(row["received"]) - begin) / 1e6
        console.print(Text(f"{at_ms:>10,.1f} ms  row {i:<7} {printable(_what(data, row))}"))
        for one in found.get(int(i), []):
            console.print(Text(f"{'':>15}") + one)
        if frame := texts.get((worker, int(i) - data.first_row[data.workers.index(worker)])):
            # A frame has a line of its own: beside the rest it would leave no room for either on a narrow terminal.
            console.print(Text(f"{'':>15}{printable(frame['text'])[:SHOWN_CHARACTERS]}", style="dim"))
    if not any(
        (w, int(i) - data.first_row[data.workers.index(w)]) in texts for i, w in zip(mine, worker_of, strict=True)
    ):
        console.print("frames were not kept: only turns with findings, the slowest, and a sample are", markup=False)


def _said(finding: Finding) -> str:
    return f"{finding.kind.checker}: {finding.kind.text}"


def _what(data: RunData, row: np.void) -> str:
    kind = RowKind(int(row["kind"]))
    flags = Flag(int(row["flags"]))
    if kind is RowKind.EVENT:
        return _event(data, row, flags)
    if kind is RowKind.END:
        return f"end: {End(int(row['code'])).name.lower()}"
    if kind in {RowKind.CLOSE, RowKind.FAILED}:
        by = "by us" if flags & Flag.OURS else "by the other side"
        return f"{kind.name.lower()} {row['code']} {data.strings[row['text']]}" + (
            f" {by}" if kind is RowKind.CLOSE else ""
        )
    if kind is RowKind.CLAIM:
        return f"claim: {'resumed' if flags & Flag.RESUMED else 'lost'}, head {row['cursor']}"
    if kind is RowKind.ASK:
        return f"resume asked after #{row['cursor']}"
    if kind is RowKind.JOURNEY:
        return f"journey: {Fate(int(row['code'])).name.lower().replace('_', ' ')} {data.strings[row['text']]}".rstrip()
    return kind.name.lower()


def _event(data: RunData, row: np.void, flags: Flag) -> str:
    name = data.strings[row["raw"]] or "(no type)"
    number = f" #{row['cursor']}" if row["cursor"] >= 0 else ""
    marks = [flag.name.lower().replace("_", " ") for flag in MARKED if flag & flags and flag.name]
    told = int(row["code"]) - 1
    if told >= 0:
        ends = data.contract.roles[row["event"]] in {"done", "failed"}
        marks.insert(0, OUTCOMES[told] if ends and told < len(OUTCOMES) else f"chunk {told}")
    return f"{name}{number}" + (f" ({', '.join(marks)})" if marks else "")
