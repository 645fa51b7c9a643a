"""Run directory -> pandas: turns, connections, outages, health. Times in seconds since the run's start, latencies in ms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from loadtests.history import COHORTS, Fate, Flag, RowKind, Window, attribute, phase_at
from loadtests.rundir import RunData
from loadtests.workload import kinds_of
from reports.endings import ENDINGS, LEFT
from reports.recovery import Recovery
from reports.replay import of_own_turns
from reports.streams import with_chunks

__all__ = [
    "ENDED", "OUTCOMES", "connections_frame", "events_frame", "health_frame", "journeys_frame",
    "kinds_in", "outages_frame", "phases_of", "turns_frame",
]  # fmt: skip

OUTCOMES = {end: one.name for end, one in ENDINGS.items()}
#: outcomes that the backend itself gave: their turns have an end, and so a length
ENDED = tuple(one.name for one in ENDINGS.values() if one.said)
NS_PER_MS = 1e6
NS_PER_S = 1_000_000_000


def phases_of(data: RunData) -> list[tuple[str, int, int]]:
    """Phases on the run's clock (ns), from the scenario that ran; a plain run has one, as long as its rows."""
    at = data.start_ns
    last = int(data.rows["received"].max(initial=at))
    phases = []
    for phase in data.scenario.phases:
        end = at + int(phase.s * NS_PER_S)
        if data.manifest.get("kind") == "plain-locust":
            end = last + 1
        phases.append((phase.name, at, end))
        at = end
    return phases


def kinds_in(data: RunData, sessions: Iterable[int]) -> list[str]:
    """The kind of user of each session, as the scenario deals them out; empty where it has no mix, or knows no such session."""
    scenario = data.scenario
    if not scenario.mix:
        return ["" for _ in sessions]
    dealt = kinds_of(int(data.manifest.get("seed", 0)), scenario.users, scenario.mix)
    return [scenario.mix[dealt[one]].name if 0 <= one < len(dealt) else "" for one in sessions]


def events_frame(data: RunData) -> pd.DataFrame:
    """All rows with their strings, as they go into events.parquet; the index is the row number of witnesses."""
    frame = pd.DataFrame({name: data.rows[name] for name in data.rows.dtype.names or ()})
    strings = np.array(data.strings, dtype=object)
    workers = np.array(data.workers, dtype=object)
    frame["worker"] = pd.Categorical(workers[_worker_codes(data)] if len(frame) else [])
    for column in ("raw", "agent", "tool", "labels", "text"):
        frame[column] = pd.Categorical(strings[frame[column]] if len(frame) else [])
    kinds = {int(kind): kind.name.lower() for kind in RowKind}
    frame["kind"] = pd.Categorical(frame["kind"].map(kinds))
    frame["cohort"] = pd.Categorical(frame["cohort"].map(dict(enumerate(COHORTS))))
    names = ["", *(rule.name for rule in data.contract.events)]
    frame["event"] = pd.Categorical(frame["event"].map(dict(enumerate(names))))
    return frame


def _worker_codes(data: RunData) -> np.ndarray[Any, Any]:
    codes = np.zeros(len(data.rows), dtype=np.int16)
    for i, first in enumerate(data.first_row):
        codes[first:] = i
    return codes


def turns_frame(data: RunData, windows: list[Window], phases: list[tuple[str, int, int]]) -> pd.DataFrame:
    """One row a turn; columns as ``reports.judgement.Judgement`` says."""
    rows = data.rows
    sends, ends = rows[rows["kind"] == RowKind.SEND], rows[rows["kind"] == RowKind.END]
    frame = pd.DataFrame(
        {
            "session": sends["session"].astype(np.int64),
            "turn": sends["turn"].astype(np.int64),
            "cohort": [COHORTS[c] for c in sends["cohort"]],
            "kind": kinds_in(data, sends["session"].tolist()),
            "step": sends["code"].astype(np.int64),
            "intended": sends["intended"],
            "sent": sends["received"],
        }
    )
    over = pd.DataFrame(
        {
            "session": ends["session"].astype(np.int64),
            "turn": ends["turn"].astype(np.int64),
            "end": ends["received"],
            "code": ends["code"],
            "left": (ends["flags"] & Flag.OURS) > 0,
        }
    ).drop_duplicates(["session", "turn"])
    frame = frame.merge(over, on=["session", "turn"], how="left")
    last_ns = int(rows["received"].max(initial=data.start_ns))
    frame["outcome"] = frame["code"].map({int(k): v for k, v in OUTCOMES.items()}).fillna("cut")
    frame.loc[frame.pop("left").eq(other=True), "outcome"] = LEFT
    frame["end"] = frame["end"].fillna(last_ns).astype(np.int64)
    frame = with_chunks(_with_events(frame, data), data)
    grace_ns = data.contract.file.turn.recovery_ms * 1_000_000
    phase_of_window = {window.id: window.phase for window in windows}
    place, fault, phase = [], [], []
    for intended, end, cohort in zip(frame["intended"], frame["end"], frame["cohort"], strict=True):
        when = attribute(intended, end, cohort, windows, grace_ns)
        place.append(when.place)
        fault.append(when.id)
        phase.append(phase_of_window[when.id] if when.place == "during" else phase_at(intended, phases))
    frame["place"], frame["fault"], frame["phase"] = place, fault, phase
    ended = frame["outcome"].isin(ENDED)
    frame["total_ms"] = np.where(ended, (frame["end"] - frame["intended"]) / NS_PER_MS, np.nan)
    frame["service_ms"] = np.where(ended, (frame["end"] - frame["sent"]) / NS_PER_MS, np.nan)
    for column in ("intended", "sent", "end"):
        frame[f"{column}_s"] = (frame.pop(column) - data.start_ns) / NS_PER_S
    return frame.drop(columns="code")


def journeys_frame(data: RunData, windows: list[Window], phases: list[tuple[str, int, int]]) -> pd.DataFrame:
    """One row a journey: how it went (``fate``), the step that failed and why, and how long it took from when it was meant, in ms."""
    rows = data.rows[data.rows["kind"] == RowKind.JOURNEY]
    fates = {int(fate): fate.name.lower().replace("_", "-") for fate in Fate}
    cohorts = [COHORTS[c] for c in rows["cohort"]]
    grace_ns = data.contract.file.turn.recovery_ms * 1_000_000
    whens = [
        attribute(a, b, c, windows, grace_ns)
        for a, b, c in zip(rows["intended"], rows["received"], cohorts, strict=True)
    ]
    phase_of_window = {window.id: window.phase for window in windows}
    return pd.DataFrame(
        {
            "session": rows["session"].astype(np.int64),
            "cohort": cohorts,
            "kind": kinds_in(data, rows["session"].tolist()),
            "fate": [fates.get(int(code), "") for code in rows["code"]],
            "step": rows["cursor"].astype(np.int64),
            "why": [data.strings[text] for text in rows["text"]],
            "place": [when.place for when in whens],
            "fault": [when.id for when in whens],
            "phase": [
                phase_of_window[when.id] if when.place == "during" else phase_at(int(at), phases)
                for when, at in zip(whens, rows["intended"], strict=True)
            ],
            "intended_s": (rows["intended"] - data.start_ns) / NS_PER_S,
            "total_ms": (rows["received"] - rows["intended"]) / NS_PER_MS,
        }
    )


def _with_events(frame: pd.DataFrame, data: RunData) -> pd.DataFrame:
    """First occurrence of each event of a role in each turn, in ms since the intended send."""
    rows = data.rows
    own = of_own_turns(rows)
    events = pd.DataFrame(
        {
            "session": rows["session"][own],
            "turn": rows["turn"][own],
            "event": rows["event"][own],
            "received": rows["received"][own],
        }
    ).drop_duplicates(["session", "turn", "event"])
    merged = events.merge(frame[["session", "turn", "intended"]], on=["session", "turn"], how="inner")
    merged["ms"] = (merged["received"] - merged["intended"]) / NS_PER_MS
    wide = merged.pivot_table(index=["session", "turn"], columns="event", values="ms", aggfunc="first")
    columns = {}
    for rule in data.contract.events:
        if rule.role != "other":
            columns[f"event:{rule.name}"] = (
                wide[rule.index] if rule.index in wide else pd.Series(np.nan, index=wide.index)
            )
    if not columns:
        return frame
    return frame.merge(pd.DataFrame(columns, index=wide.index).reset_index(), on=["session", "turn"], how="left")


def connections_frame(data: RunData, windows: list[Window], phases: list[tuple[str, int, int]]) -> pd.DataFrame:
    """One row a connection attempt."""
    rows = data.rows
    key = ["session", "connection"]
    dials = rows[rows["kind"] == RowKind.DIAL]
    frame = pd.DataFrame(
        {
            "session": dials["session"].astype(np.int64),
            "connection": dials["connection"].astype(np.int64),
            "cohort": [COHORTS[c] for c in dials["cohort"]],
            "kind": kinds_in(data, dials["session"].tolist()),
            "dial": dials["received"],
        }
    )
    for kind, name in (
        (RowKind.OPEN, "open"),
        (RowKind.READY, "ready"),
        (RowKind.CLOSE, "close"),
        (RowKind.FAILED, "failed"),
    ):
        mine = rows[rows["kind"] == kind]
        part = pd.DataFrame(
            {
                "session": mine["session"].astype(np.int64),
                "connection": mine["connection"].astype(np.int64),
                name: mine["received"],
            }
        )
        if kind in {RowKind.CLOSE, RowKind.FAILED}:
            part[f"{name}_code"], part[f"{name}_text"] = mine["code"], [data.strings[t] for t in mine["text"]]
        if kind is RowKind.CLOSE:
            part["close_row"] = np.flatnonzero(rows["kind"] == kind)
            part["ours"] = (mine["flags"] & Flag.OURS) > 0
            part["never_ready"] = (mine["flags"] & Flag.NEVER_READY) > 0
        frame = frame.merge(part.drop_duplicates(key), on=key, how="left")
    grace_ns = data.contract.file.turn.recovery_ms * 1_000_000
    last_ns = int(rows["received"].max(initial=data.start_ns))
    until = frame["ready"].fillna(frame["close"]).fillna(frame["failed"]).fillna(last_ns).astype(np.int64)
    whens = [
        attribute(a, b, c, windows, grace_ns) for a, b, c in zip(frame["dial"], until, frame["cohort"], strict=True)
    ]
    frame["place"], frame["fault"] = [w.place for w in whens], [w.id for w in whens]
    frame["phase"] = [phase_at(at, phases) for at in frame["dial"]]
    frame["ready_ms"] = (frame["ready"] - frame["dial"]) / NS_PER_MS
    frame["ours"] = frame["ours"].fillna(value=False).astype(bool)
    frame["never_ready"] = frame["never_ready"].fillna(value=False).astype(bool)
    frame["code"] = frame["close_code"].fillna(frame["failed_code"])
    # as objects: a column without a single text would be one of numbers
    texts = [frame[column].astype(object) for column in ("close_text", "failed_text")]
    frame["text"] = texts[0].fillna(texts[1]).fillna("")
    for column in ("dial", "open", "ready", "close", "failed"):
        frame[f"{column}_s"] = (frame.pop(column) - data.start_ns) / NS_PER_S
    return frame.drop(columns=["close_code", "failed_code", "close_text", "failed_text"])


def outages_frame(recovered: Iterable[Recovery], connections: pd.DataFrame, data: RunData) -> pd.DataFrame:
    """One row for each time that a served session lost its connection, as ``reports.recovery`` says: from the later of its close
    and the fault's heal until it was ready again. ``phase`` is that in which the lost connection was made.
    """
    phases = dict(zip(connections["close_row"], connections["phase"], strict=True))
    found = list(recovered)
    out = [
        {
            "session": one.outage.session, "cohort": one.outage.cohort, "kind": kind,
            "close_s": data.seconds(one.outage.close_ns), "fault": one.window, "code": one.outage.code,
            "ready_s": np.nan if one.outage.ready_ns is None else data.seconds(one.outage.ready_ns),
            "recovery_s": np.nan if one.took_ns is None else one.took_ns / NS_PER_S, "censored": one.censored,
            "phase": phases.get(one.outage.close_row, ""), "close_row": one.outage.close_row,
        }
        for one, kind in zip(found, kinds_in(data, [one.outage.session for one in found]), strict=True)
    ]  # fmt: skip
    columns = ["session", "cohort", "kind", "close_s", "fault", "code", "ready_s", "recovery_s", "censored", "phase"]
    frame = pd.DataFrame(out, columns=[*columns, "close_row"])
    kinds = {"censored": bool, "recovery_s": float, "close_s": float, "ready_s": float, "close_row": int}
    return frame.astype(kinds)


def health_frame(data: RunData) -> pd.DataFrame:
    """Once a second and worker: loop lag, CPU, memory, pauses of the collector, time stolen."""
    columns = [
        "at_ns",
        "worker",
        "loop_lag_p99_ms",
        "loop_lag_max_ms",
        "cpu",
        "rss_mb",
        "descriptors",
        "gc_ms",
        "gc_max_ms",
        "steal",
    ]
    frame = pd.DataFrame([{c: r.get(c) for c in columns} for r in data.health], columns=columns)
    frame["at_s"] = (frame.pop("at_ns").astype("float64") - data.start_ns) / NS_PER_S
    return frame
