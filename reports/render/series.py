"""A Judgement's frames, aggregated for charts and the tables behind them: never more than MOST_BINS points a line, at
any size of run. Pure pandas; knows neither charts nor pages.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from reports.endings import FAILED, GOOD, LEFT_OUT
from reports.judgement import FaultResult, Judgement
from reports.render.figures import finite
from reports.render.wording import shown

__all__ = [
    "EVENT",
    "MOST_BINS",
    "OUTCOMES",
    "bin_s",
    "connections",
    "end_s",
    "events",
    "health",
    "outcomes",
    "phases",
    "recovery",
    "windows",
]

MOST_BINS = 120
WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
EVENT = "event:"
#: from below: good ones, failures, what is neither
OUTCOMES = (*GOOD, *FAILED, *LEFT_OUT)
#: a label's pixels a character, for what has to fit into a phase
LABEL_PX = 6.0


def end_s(judgement: Judgement) -> float:
    """Where the time axis ends: the last thing known."""
    ends = [end for _, _, end in judgement.phases] + [fault.end_s or fault.start_s for fault in judgement.faults]
    for frame, columns in ((judgement.turns, ("end_s", "intended_s")), (judgement.connections, ("ready_s", "close_s"))):
        ends += [frame[column].max() for column in columns if column in frame and len(frame)]
    return max((float(end) for end in ends if finite(end) is not None), default=1.0) or 1.0


def bin_s(total_s: float) -> int:
    """The finest width of a bin that keeps their number small."""
    return next((width for width in WIDTHS_S if total_s / width <= MOST_BINS), int(total_s // MOST_BINS) + 1)


def events(judgement: Judgement, width_s: int, percentile: float = 0.95) -> pd.DataFrame:
    """at_s, event, ms, turns: a percentile of each event, by when its turn was meant to be sent."""
    turns = judgement.turns
    columns = [column for event in judgement.events if (column := EVENT + event.name) in turns]
    if turns.empty or not columns:
        return pd.DataFrame({"at_s": [], "event": [], "ms": [], "turns": []})
    at = _bins(turns["intended_s"], width_s)
    grouped = turns[columns].astype(float).groupby(at)
    value = (
        grouped.quantile(percentile).rename_axis("at_s").reset_index().melt("at_s", var_name="event", value_name="ms")
    )
    value["turns"] = grouped.count().rename_axis("at_s").reset_index().melt("at_s")["value"].to_numpy()
    value["event"] = value["event"].str.removeprefix(EVENT).map(lambda name: shown(name, 60))
    return value.dropna(subset=["ms"]).reset_index(drop=True)


def outcomes(judgement: Judgement, width_s: int) -> pd.DataFrame:
    """at_s, outcome, turns: how the turns ended that were meant to be sent in each bin."""
    turns = judgement.turns
    if turns.empty:
        return pd.DataFrame({"at_s": [], "outcome": [], "turns": []})
    counted = turns.groupby(
        [_bins(turns["intended_s"], width_s), turns["outcome"].map(lambda how: shown(how, 40))]
    ).size()
    frame = counted.rename_axis(["at_s", "outcome"]).reset_index(name="turns")
    order = [name for name in OUTCOMES if name in set(frame["outcome"])]
    others = sorted(set(frame["outcome"]) - set(order))
    frame["rank"] = frame["outcome"].map({name: rank for rank, name in enumerate([*order, *others])})
    return frame.sort_values(["at_s", "rank"]).reset_index(drop=True)


def connections(judgement: Judgement, width_s: int) -> pd.DataFrame:
    """at_s, what, connections: first ones ready, later ones ready again, and those lost that the client did not close."""
    frame = judgement.connections
    if frame.empty:
        return pd.DataFrame({"at_s": [], "what": [], "connections": []})
    ready = frame.dropna(subset=["ready_s"]).sort_values("ready_s")
    again = ready["session"].duplicated()
    lost = frame[frame["close_s"].notna() & ~frame["ours"].fillna(value=True).astype(bool)]
    parts = [("first ready", ready.loc[~again, "ready_s"]), ("ready again", ready.loc[again, "ready_s"])]
    parts.append(("lost", lost["close_s"]))
    counted = [
        _bins(times, width_s).value_counts().rename_axis("at_s").reset_index(name="connections").assign(what=what)
        for what, times in parts
        if len(times)
    ]
    if not counted:
        return pd.DataFrame({"at_s": [], "what": [], "connections": []})
    return pd.concat(counted).sort_values(["at_s", "what"]).reset_index(drop=True)


def health(judgement: Judgement, width_s: int) -> pd.DataFrame:
    """at_s, loop_lag_p99_ms, cpu: of the busiest worker in each bin."""
    frame = judgement.health
    wanted = [name for name in ("loop_lag_p99_ms", "cpu") if name in frame]
    if frame.empty or "at_s" not in frame or not wanted:
        return pd.DataFrame({"at_s": [], "loop_lag_p99_ms": [], "cpu": []})
    worst = frame[wanted].astype(float).groupby(_bins(frame["at_s"], width_s)).max()
    return worst.rename_axis("at_s").reset_index().reindex(columns=["at_s", "loop_lag_p99_ms", "cpu"])


def recovery(faults: Iterable[FaultResult]) -> pd.DataFrame:
    """fault, s, share: of the users that it cut, who is not yet back, from its heal to the last that was seen of them."""
    rows = []
    for place, fault in enumerate(faults):
        if (curve := fault.back) is None:
            continue
        name = shown(f"{fault.id} {fault.kind}", 40) or str(place)
        last = curve.steps[-1][1] if curve.steps else 1.0
        rows += [(name, at, left) for at, left in ((0.0, 1.0), *curve.steps, (curve.seen_s, last))]
    return pd.DataFrame(rows, columns=["fault", "s", "share"])


def windows(judgement: Judgement, total_s: float, width_px: float) -> pd.DataFrame:
    """start_s, end_s, label: the fault windows; one never healed lasts to the end."""
    return _spans(
        [(f"{fault.id} {fault.kind}", fault.start_s, fault.end_s) for fault in judgement.faults], total_s, width_px
    )


def phases(judgement: Judgement, total_s: float, width_px: float) -> pd.DataFrame:
    """start_s, end_s, label."""
    return _spans([(name, start, end) for name, start, end in judgement.phases], total_s, width_px)


def _bins(times_s: pd.Series[float], width_s: int) -> pd.Series[float]:
    return times_s.astype(float) // width_s * width_s


def _spans(spans: list[tuple[str, float, float | None]], total_s: float, width_px: float) -> pd.DataFrame:
    rows = []
    for name, start, end in spans:
        until = min(total_s if end is None or finite(end) is None else end, total_s)
        room = int((until - start) / total_s * width_px / LABEL_PX)
        label = shown(name, 60)
        rows.append((start, until, label if len(label) <= room else label[: room - 1] + "…" if room > 3 else ""))
    return pd.DataFrame(rows, columns=["start_s", "end_s", "label"])
