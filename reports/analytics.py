"""The value chain of a run: how far turns came, what users perceived, what came after what. Pure over rows and turns; it
judges nothing, and an event has a meaning here only by its role.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from loadtests.contract.compile import Contract
from loadtests.contract.schema import Role
from loadtests.rundir import RunData
from reports.endings import LEFT_OUT
from reports.gates import percentile
from reports.patterns import Followed, Sequence, followed, sequences
from reports.streams import gaps_frame, samples
from reports.wire import Type, Version, types, versions

__all__ = ["Analytics", "Layer", "Step", "StreamLine", "analyse", "funnel", "layers", "stream_line"]

EVENT = "event:"
#: what users wait for, and how soon a screen should show it (the audited system's own three layers)
FAST_MS, MEDIUM_MS = 100.0, 1000.0
USEFUL: tuple[Role, ...] = ("thinking", "content")
LAST: Role = "done"
#: no steps on the way: one ends it badly, the other says nothing
NO_STEPS: tuple[Role, ...] = ("failed", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step on the way of a turn: all events of a role. Latencies since the intended send, of the turns that reached it."""

    role: str
    #: the role's events that came or must come; if there are none, its declared stream's
    names: tuple[str, ...]
    demanded: bool
    turns: int
    #: turns that came further without this step
    skipped: int
    #: turns that came no further, by how they ended
    stopped: dict[str, int]
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What a user perceives: ``fast``, the first sign; ``medium``, the first thing to read; ``slow``, the whole answer.

    Latencies since the intended send over turns clear of faults; None: in too many turns it never came.
    """

    name: str
    turns: int
    never: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    #: how soon it should show, and the share of turns in which it did; None: as long as it takes
    expected_ms: float | None
    within: float | None
    #: turns under a fault or in its grace, and their 95th percentile
    hit_turns: int
    hit_p95_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLine:
    """How answers were streamed: over all turns that had chunks, whatever the faults."""

    turns: int
    chunks: int
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    gap_p50_ms: float | None
    gap_p95_ms: float | None
    stall_p95_ms: float | None
    stall_max_ms: float | None
    rate_p50_per_s: float | None
    rate_p5_per_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analytics:
    """``of_*``: how many there are in all, where only the most frequent are listed."""

    funnel: tuple[Step, ...]
    layers: tuple[Layer, ...]
    #: None: no turn had chunks
    stream: StreamLine | None
    followed: tuple[Followed, ...]
    of_followed: int
    sequences: tuple[Sequence, ...]
    of_sequences: int
    types: tuple[Type, ...]
    of_types: int
    versions: tuple[Version, ...]


def analyse(data: RunData, turns: pd.DataFrame) -> Analytics:
    """Everything at once; ``turns`` is ``frames.turns_frame`` of the same data."""
    pairs, of_pairs = followed(data, turns)
    found, of_found = sequences(data, turns)
    seen, of_seen = types(data)
    return Analytics(
        funnel=funnel(turns, data.contract), layers=layers(turns, data.contract), stream=stream_line(data, turns),
        followed=pairs, of_followed=of_pairs, sequences=found, of_sequences=of_found, types=seen, of_types=of_seen,
        versions=versions(data),
    )  # fmt: skip


def funnel(turns: pd.DataFrame, contract: Contract) -> tuple[Step, ...]:
    """Sent, then each role in the contract's order, then done; one that only may come has its step too, and be it with none."""
    demanded = {rule.role for rule in contract.demanded}
    roles = [role for role in dict.fromkeys(rule.role for rule in contract.events) if role not in (*NO_STEPS, LAST)]
    columns = {role: [f"{EVENT}{name}" for name in contract.names(role)] for role in (*roles, LAST)}
    first = {role: _first(turns, names) for role, names in columns.items()}
    first[LAST] = turns["total_ms"].where(first[LAST].notna() & _first(turns, _failures(contract)).isna())
    steps = [*roles, LAST]
    reached = np.column_stack([np.ones(len(turns), dtype=bool), *(first[role].notna() for role in steps)])
    furthest = len(steps) - reached[:, ::-1].argmax(axis=1)
    out = [Step(
        role="sent", names=(), demanded=True, turns=len(turns), skipped=0, stopped=_stopped(turns, furthest == 0),
        p50_ms=None, p95_ms=None,
    )]  # fmt: skip
    for place, role in enumerate(steps, start=1):
        values = first[role].dropna().to_numpy(dtype=float)
        out.append(Step(
            role=role, names=_names(turns, contract, role), demanded=role in demanded, turns=len(values),
            skipped=int((~reached[:, place] & (furthest > place)).sum()),
            stopped=_stopped(turns, (furthest == place) & (place < len(steps))),
            p50_ms=_at(values, 0.5), p95_ms=_at(values, 0.95),
        ))  # fmt: skip
    return tuple(out)


def layers(turns: pd.DataFrame, contract: Contract) -> tuple[Layer, ...]:
    """The three layers of perceived latency; a turn that shows nothing to read before its end shows it then."""
    judged = turns[~turns["outcome"].isin(LEFT_OUT)]
    whole = judged["total_ms"].where(judged["outcome"] != "failed")
    anything = _first(judged, [f"{EVENT}{rule.name}" for rule in contract.events if rule.role != "other"])
    useful = _first(judged, [f"{EVENT}{name}" for name in contract.names(*USEFUL)]).fillna(whole)
    hit = judged["place"].isin(["during", "grace"])
    wanted = (("fast", anything, FAST_MS), ("medium", useful, MEDIUM_MS), ("slow", whole, None))
    return tuple(_layer(name, values[~hit], values[hit], expected) for name, values, expected in wanted)


def stream_line(data: RunData, turns: pd.DataFrame) -> StreamLine | None:
    """How answers were streamed; None: no turn had chunks."""
    if not int(turns["chunks"].sum()):
        return None
    streamed = turns[turns["chunks"] > 0]
    gaps = samples("stream.gap", gaps_frame(data, turns), demanded=False).to_numpy()
    first, stall, rate = (
        samples(f"stream.{name}", streamed, demanded=False).to_numpy() for name in ("ttft", "stall", "rate")
    )
    return StreamLine(
        turns=len(streamed), chunks=int(streamed["chunks"].sum()), ttft_p50_ms=_at(first, 0.5), ttft_p95_ms=_at(first, 0.95),
        gap_p50_ms=_at(gaps, 0.5), gap_p95_ms=_at(gaps, 0.95), stall_p95_ms=_at(stall, 0.95), stall_max_ms=_at(stall, 1.0),
        rate_p50_per_s=_at(rate, 0.5), rate_p5_per_s=_at(rate, 0.05),
    )  # fmt: skip


def _first(turns: pd.DataFrame, columns: list[str]) -> pd.Series[float]:
    """The earliest of several events, in each turn."""
    there = [column for column in columns if column in turns]
    return turns[there].min(axis=1) if there else pd.Series(np.nan, index=turns.index)


def _failures(contract: Contract) -> list[str]:
    return [f"{EVENT}{name}" for name in contract.names("failed")]


def _names(turns: pd.DataFrame, contract: Contract, role: str) -> tuple[str, ...]:
    rules = [rule for rule in contract.events if rule.role == role]
    came = [rule.name for rule in rules if rule.demanded or turns.get(f"{EVENT}{rule.name}", pd.Series()).notna().any()]
    return tuple(came or [rule.name for rule in rules if rule.index in contract.stream_of])


def _stopped(turns: pd.DataFrame, here: np.ndarray[Any, Any]) -> dict[str, int]:
    counts = turns.loc[here, "outcome"].value_counts()
    return {str(how): int(number) for how, number in sorted(counts.items(), key=lambda one: (-one[1], str(one[0])))}


def _layer(name: str, clear: pd.Series[float], hit: pd.Series[float], expected_ms: float | None) -> Layer:
    values, under = clear.fillna(np.inf).to_numpy(dtype=float), hit.fillna(np.inf).to_numpy(dtype=float)
    within = float((values <= expected_ms).mean()) if expected_ms is not None and len(values) else None
    return Layer(
        name=name, turns=len(values), never=int(np.isinf(values).sum()), p50_ms=_at(values, 0.5), p95_ms=_at(values, 0.95),
        p99_ms=_at(values, 0.99), expected_ms=expected_ms, within=within, hit_turns=len(under), hit_p95_ms=_at(under, 0.95),
    )  # fmt: skip


def _at(values: np.ndarray[Any, Any], share: float) -> float | None:
    """An observed value, never one between two; None: there is none, or it is infinite."""
    found = percentile(values, share)
    return round(found, 3) if found is not None and math.isfinite(found) else None
