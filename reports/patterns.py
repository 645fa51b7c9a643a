"""What came after what within turns: pairs of neighbours with their gaps, and whole sequences. Pure over rows and turns."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from loadtests.history import Flag
from loadtests.rundir import RunData
from reports.replay import of_own_turns

__all__ = ["AGAIN", "MOST", "SENT", "Followed", "Sequence", "followed", "sequences"]

#: how many are listed; the rest is counted
MOST = 12
MOST_LONG = 40
SENT = "sent"
#: after an event's name: it came several times in a row
AGAIN = "+"
NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """``after`` came next after ``before``; ``share`` is its part of all time that turns spent waiting for an event."""

    before: str
    after: str
    times: int
    p50_ms: float
    p95_ms: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """Events of a turn in the order of arrival, repeats in a row taken together; ``example`` is session.turn."""

    events: tuple[str, ...]
    turns: int
    share: float
    p50_ms: float | None
    outcomes: dict[str, int]
    example: str


def followed(data: RunData, turns: pd.DataFrame) -> tuple[tuple[Followed, ...], int]:
    """The pairs of neighbours that took the most time, and how many pairs there are; the send comes before all events."""
    events = _events(data)
    keys = ["session", "turn"]
    sent = turns[keys].assign(at=data.start_ns + turns["intended_s"] * 1e9).drop_duplicates(keys)
    first = np.flatnonzero(_begins(events))
    # The send of each turn, looked up once a turn and not once an event.
    begun = events.iloc[first][keys].merge(sent, on=keys, how="left")["at"].to_numpy(dtype=float)
    label, received = events["label"].to_numpy(), events["received"].to_numpy()
    before, previous = np.empty_like(label), np.empty(len(label))
    before[1:], previous[1:] = label[:-1], received[:-1]
    before[first], previous[first] = 0, begun
    known = np.repeat(np.isfinite(begun), np.diff(np.append(first, len(label))))
    if not known.any():
        return (), 0
    events = pd.DataFrame(
        {"before": before[known], "label": label[known], "gap_ms": ((received - previous) / NS_PER_MS)[known]}
    )
    pairs = events.groupby(["before", "label"])["gap_ms"]
    table = pairs.agg(times="size", total="sum", p50_ms="median", p95_ms=_p95).reset_index()
    whole = float(table["total"].sum()) or 1.0
    table = table.sort_values(["total", "times", "before", "label"], ascending=[False, False, True, True])
    labels = _labels(data)
    found = tuple(
        Followed(
            before=labels[one["before"]] if one["before"] else SENT, after=labels[one["label"]], times=one["times"],
            p50_ms=round(one["p50_ms"], 3), p95_ms=round(one["p95_ms"], 3), share=round(one["total"] / whole, 6),
        )
        for one in table.head(MOST).to_dict("records")
    )  # fmt: skip
    return found, len(table)


def sequences(data: RunData, turns: pd.DataFrame) -> tuple[tuple[Sequence, ...], int]:
    """The most frequent sequences, and how many different ones there are; turns without any event are one of them."""
    events = _events(data)
    session, turn, label = (events[name].to_numpy() for name in ("session", "turn", "label"))
    new_turn = _begins(events)
    first = new_turn.copy()
    first[1:] |= label[1:] != label[:-1]
    starts = np.flatnonzero(first)
    lengths = np.diff(np.append(starts, len(events)))
    # A label and one bit, whether it was repeated, make one symbol; a turn's symbols as bytes are its key.
    symbols = (label[starts].astype(np.int64) * 2 + (lengths > 1)).astype("<i8")
    bounds = np.append(np.flatnonzero(new_turn[starts]), len(starts)) * symbols.itemsize
    text = symbols.tobytes()
    kinds: dict[bytes, int] = {b"": 0}
    keys = pd.DataFrame(
        {
            "session": session[new_turn],
            "turn": turn[new_turn],
            "kind": [kinds.setdefault(text[a:b], len(kinds)) for a, b in pairwise(bounds)],
        }
    )
    seen = turns[["session", "turn", "outcome", "total_ms"]].merge(keys, on=["session", "turn"], how="left")
    seen["kind"] = seen["kind"].fillna(0).astype(np.int64)
    counts = Counter(seen["kind"].tolist())
    labels, found = _labels(data), list(kinds)
    top = sorted(counts, key=lambda kind: (-counts[kind], kind))[:MOST]
    return tuple(_sequence(seen[seen["kind"] == kind], found[kind], labels, len(seen)) for kind in top), len(counts)


def _sequence(part: pd.DataFrame, key: bytes, labels: list[str], of: int) -> Sequence:
    symbols = np.frombuffer(key, "<i8").tolist()
    names = [labels[symbol // 2] + AGAIN * (symbol % 2) for symbol in symbols[:MOST_LONG]]
    if len(symbols) > MOST_LONG:
        names.append("…")
    outcomes = part["outcome"].value_counts()
    times = part["total_ms"].dropna()
    return Sequence(
        events=tuple(names), turns=len(part), share=round(len(part) / of, 6),
        p50_ms=round(float(times.median()), 3) if len(times) else None,
        outcomes={str(how): int(outcomes[how]) for how in sorted(outcomes.index, key=lambda h: (-outcomes[h], str(h)))},
        example=f"{part['session'].iloc[0]}.{part['turn'].iloc[0]}",
    )  # fmt: skip


def _labels(data: RunData) -> list[str]:
    """Number of a label -> its name: approved events first, then raw types."""
    return ["", *(rule.name for rule in data.contract.events), *(text or "(no type)" for text in data.strings)]


def _events(data: RunData) -> pd.DataFrame:
    """session, turn, received, label of every event of a session's own turns, turn by turn in the order of arrival.

    What names no turn and means nothing to one, such as a heartbeat, is no part of it.
    """
    rows = data.rows
    own = of_own_turns(rows)
    silent = np.array([role == "other" for role in data.contract.roles])[rows["event"]]
    own &= ~(silent & (rows["event"] > 0) & ((rows["flags"] & Flag.ASSUMED_TURN) > 0))
    event, raw = rows["event"][own].astype(np.int32), rows["raw"][own].astype(np.int32)
    frame = pd.DataFrame(
        {
            "session": rows["session"][own],
            "turn": rows["turn"][own],
            "received": rows["received"][own],
            "label": np.where(event > 0, event, len(data.contract.events) + 1 + raw),
        }
    )
    return frame.sort_values(["session", "turn", "received"], kind="stable").reset_index(drop=True)


def _begins(events: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which events are the first of their turn, where turns stand one after the other."""
    session, turn = events["session"].to_numpy(), events["turn"].to_numpy()
    new_turn = np.ones(len(events), dtype=bool)
    new_turn[1:] = (session[1:] != session[:-1]) | (turn[1:] != turn[:-1])
    return new_turn


def _p95(values: pd.Series[float]) -> float:
    return float(np.quantile(values.to_numpy(), 0.95, method="inverted_cdf"))
