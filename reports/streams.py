"""Answers that come in chunks: when the first came, how long the gaps were, how fast they came. Pure over rows and turns;
whether chunks are missing or differ from the whole is the trackers' matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from loadtests.contract.compile import Contract
from loadtests.rundir import RunData
from reports.endings import FAILED, LEFT_OUT, UNENDED
from reports.replay import of_own_turns

__all__ = ["chunk_events", "gaps_frame", "samples", "with_chunks"]

NS_PER_MS = 1e6
NS_PER_S = 1e9
TURN = ["session", "turn"]
COLUMNS = {"stream.ttft": "ttft_ms", "stream.gap": "gap_ms", "stream.stall": "stall_ms", "stream.rate": "chunks_per_s"}


def chunk_events(contract: Contract) -> tuple[int, ...]:
    """Indices of the events that are chunks: those of the declared streams, else all with the role content."""
    declared = {stream.event for stream in contract.file.streams} or set(contract.names("content"))
    return tuple(rule.index for rule in contract.events if rule.name in declared)


def with_chunks(turns: pd.DataFrame, data: RunData) -> pd.DataFrame:
    """``turns`` (with ``intended`` in ns) and how each was streamed: chunks, ttft_ms, stall_ms, chunks_per_s."""
    chunks = _chunks(data)
    grouped = chunks.groupby(TURN, sort=False)
    found = grouped["received"].agg(["first", "last", "size"]).rename(columns={"size": "chunks"})
    found["stall_ms"] = grouped["gap_ms"].max()
    merged = turns.merge(found.reset_index(), on=TURN, how="left")
    merged["chunks"] = merged["chunks"].fillna(0).astype(np.int64)
    merged["ttft_ms"] = (merged.pop("first") - merged["intended"]) / NS_PER_MS
    spans_s = (merged.pop("last") - merged["intended"]) / NS_PER_S - merged["ttft_ms"] / 1000
    # Two chunks at one moment come as fast as can be.
    merged["chunks_per_s"] = ((merged["chunks"] - 1) / spans_s.where(spans_s > 1e-9, 0.0)).where(merged["chunks"] > 1)
    return merged


def gaps_frame(data: RunData, turns: pd.DataFrame) -> pd.DataFrame:
    """One row a gap between two chunks: session, turn, gap_ms, and where its turn stands. A turn that had chunks and never
    ended has a last gap without end.
    """
    about = turns[[*TURN, "cohort", "kind", "phase", "place", "fault", "outcome"]]
    chunks = _chunks(data).dropna(subset="gap_ms")[[*TURN, "gap_ms"]]
    stuck = turns[turns["outcome"].isin(UNENDED) & (turns["chunks"] > 0)][TURN].assign(gap_ms=np.inf)
    return pd.concat([chunks, stuck], ignore_index=True).merge(about, on=TURN, how="inner")


def samples(metric: str, frame: pd.DataFrame, *, demanded: bool) -> pd.Series[float]:
    """The samples of a ``stream.`` metric in turns, or in gaps for ``stream.gap``; infinity is a chunk that never came.

    A turn that ended well without a chunk is a sample only where the contract demands one; one that failed before the
    first chunk always is.
    """
    decided = frame[~frame["outcome"].isin(LEFT_OUT)]
    values = decided[COLUMNS[metric]].astype(float)
    if metric == "stream.ttft":
        waited = decided["outcome"].isin(FAILED) | demanded
        values = values.mask(values.isna() & waited, np.inf)
    elif metric != "stream.gap":
        stuck = decided["outcome"].isin(UNENDED) & (decided["chunks"] > 0)
        values = values.mask(stuck, np.inf if metric == "stream.stall" else 0.0)
    return values.dropna()


def _chunks(data: RunData) -> pd.DataFrame:
    """session, turn, received, gap_ms of every chunk, once each however often it was delivered, in the order of arrival."""
    rows = data.rows
    wanted = np.zeros(len(data.contract.events) + 1, dtype=bool)
    wanted[list(chunk_events(data.contract))] = True
    own = of_own_turns(rows) & wanted[rows["event"]]
    # Column by column: a row is 96 bytes, and most of them are not asked for.
    frame = pd.DataFrame(
        {
            "session": rows["session"][own],
            "turn": rows["turn"][own],
            "received": rows["received"][own],
            "event": rows["event"][own],
            "agent": rows["agent"][own],
            "one": _identity(rows["code"][own].astype(np.int64), rows["cursor"][own]),
        }
    ).drop_duplicates([*TURN, "event", "agent", "one"])
    frame = frame.sort_values([*TURN, "received"], kind="stable").reset_index(drop=True)
    frame["gap_ms"] = frame.groupby(TURN, sort=False)["received"].diff() / NS_PER_MS
    return frame[[*TURN, "received", "gap_ms"]]


def _identity(numbers: np.ndarray[Any, Any], cursors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What tells a chunk from another of its turn: its number in the stream, else its cursor, else its row."""
    place = -1 - np.arange(len(numbers), dtype=np.int64)
    return np.where(numbers > 0, numbers, np.where(cursors >= 0, cursors, place))
