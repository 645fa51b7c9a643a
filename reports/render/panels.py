"""The charts of a page: each with a title, a sentence that says what it shows, and the table behind it. A chart without
data says why it is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from reports import charts
from reports.judgement import Judgement
from reports.render import series, valuechain
from reports.render.figures import count, duration_s, finite, percent
from reports.render.wording import reached, shown

__all__ = ["Panel", "funnel", "panels"]

#: a budget further above the data than this is named in words, or it would flatten every line
FAR = 1.6


@dataclass(frozen=True, slots=True)
class Panel:
    """``svg`` is empty when there is nothing to draw; then ``caption`` says why. ``columns`` and ``rows`` are ready text."""

    id: str
    title: str
    caption: str
    svg: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    #: columns that hold words and not numbers
    left: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Axis:
    end_s: float
    width_s: int
    windows: pd.DataFrame
    phases: pd.DataFrame


def panels(judgement: Judgement) -> tuple[Panel, ...]:
    """Latency first: its top stands on the first screen."""
    total_s = series.end_s(judgement)
    axis = _Axis(
        total_s,
        series.bin_s(total_s),
        series.windows(judgement, total_s, charts.WIDTH_PX),
        series.phases(judgement, total_s, charts.WIDTH_PX),
    )
    return (
        _latency(judgement, axis),
        _outcomes(judgement, axis),
        _connections(judgement, axis),
        _recovery(judgement),
        *_health(judgement, axis),
    )


def _pivot(
    frame: pd.DataFrame, columns: str, values: str, order: Sequence[str], none: str
) -> tuple[tuple[str, ...], ...]:
    wide = frame.pivot_table(index="at_s", columns=columns, values=values, aggfunc="first").reindex(columns=list(order))
    return tuple(
        (duration_s(at), *(none if finite(value) is None else count(value) for value in row))
        for at, row in zip(wide.index, wide.to_numpy().tolist(), strict=True)
    )


def _latency(judgement: Judgement, axis: _Axis) -> Panel:
    title = "Latency of each event over time"
    points = series.events(judgement, axis.width_s)
    if points.empty:
        return Panel("latency", title, "No turn saw an event: there is no latency to draw.", "")
    order = [name for event in judgement.events if (name := shown(event.name, 60)) in set(points["event"])]
    top = float(points["ms"].max())
    near, far = [], []
    for event in judgement.events:
        budget, name = finite(event.budget_ms), shown(event.name, 60)
        if budget is None or name not in order:
            continue
        words = f"{name} p{event.budget_percent or 0:g} < {count(budget)} ms"
        near.append((budget, f"budget {words}", name)) if budget <= FAR * top else far.append(words)
    caption = (
        f"95th percentile of each event in bins of {axis.width_s} s, counted from the intended send of its turn. Grey: fault "
        "windows; dotted: phases. A turn that never saw the event is not in its line: see turns over time."
    )
    if near:
        caption += " Dashed across: budgets."
    if far:
        caption += f" Budgets above the chart: {', '.join(far)}."
    svg = charts.line_chart(
        _centred(points, axis), x="at_s", y="ms", series="event", order=order, y_title="p95, ms since intended send", end_s=axis.end_s,
        windows=axis.windows, phases=axis.phases, limits=pd.DataFrame(near, columns=["y", "label", "series"]),
        title=title, description=caption,
    )  # fmt: skip
    rows = _pivot(points, "event", "ms", order, "—")
    return Panel("latency", title, caption, svg, ("from s", *(f"{name} p95 ms" for name in order)), rows)


def funnel(judgement: Judgement) -> Panel:
    """How far the turns came: the chart of the value chain."""
    title, caption = "How far the turns came", valuechain.lead(judgement)
    steps = judgement.analytics.funnel if judgement.analytics is not None else ()
    sent = steps[0].turns if steps else 0
    if not sent:
        return Panel("funnel", title, caption, "")
    rows = tuple(
        (
            valuechain.step_name(step), count(step.turns), percent(step.turns / sent), count(step.p50_ms), count(step.p95_ms),
            count(step.skipped) + ("" if step.demanded else " (allowed)"),
            count(sum(step.stopped.values())), ", ".join(f"{shown(how, 40)} {count(n)}" for how, n in step.stopped.items()),
        )
        for step in steps
    )  # fmt: skip
    frame = pd.DataFrame(
        [(row[0], step.turns, f"{row[1]}  ({row[2]})") for row, step in zip(rows, steps, strict=True)],
        columns=["step", "turns", "label"],
    )
    svg = charts.funnel_chart(frame, title=title, description=caption)
    columns = ("step", "turns", "of all", "p50 ms", "p95 ms", "left out", "came no further", "which ended")
    return Panel("funnel", title, caption, svg, columns, rows, frozenset({7}))


def _outcomes(judgement: Judgement, axis: _Axis) -> Panel:
    title = "Turns over time, by how they ended"
    counts = series.outcomes(judgement, axis.width_s)
    if counts.empty:
        return Panel("turns", title, "No turn was sent.", "")
    order = list(dict.fromkeys(counts.sort_values("rank")["outcome"]))
    caption = f"Turns by the moment they were meant to be sent, in bins of {axis.width_s} s."
    svg = charts.bar_chart(
        counts, x="at_s", width_s=axis.width_s, y="turns", series="outcome", order=order, y_title=f"turns in {axis.width_s} s",
        end_s=axis.end_s, windows=axis.windows, phases=axis.phases, title=title, description=caption,
    )  # fmt: skip
    return Panel("turns", title, caption, svg, ("from s", *order), _pivot(counts, "outcome", "turns", order, "0"))


def _connections(judgement: Judgement, axis: _Axis) -> Panel:
    title = "Connections over time"
    counts = series.connections(judgement, axis.width_s)
    if counts.empty:
        return Panel("connections", title, "No connection became ready.", "")
    order = [what for what in ("first ready", "ready again", "lost") if what in set(counts["what"])]
    caption = (
        f"Sessions ready for the first time, ready again after a cut, and connections that ended without our closing them, "
        f"in bins of {axis.width_s} s. The most that came back in one bin: "
        f"{count(counts.loc[counts['what'] == 'ready again', 'connections'].max() if 'ready again' in order else 0)}."
    )
    svg = charts.line_chart(
        _centred(_filled(counts, order, axis), axis), x="at_s", y="connections", series="what", order=order,
        y_title=f"in {axis.width_s} s", end_s=axis.end_s, windows=axis.windows, phases=axis.phases,
        title=title, description=caption, height_px=150,
    )  # fmt: skip
    return Panel(
        "connections", title, caption, svg, ("from s", *order), _pivot(counts, "what", "connections", order, "0")
    )


def _recovery(judgement: Judgement) -> Panel:
    """How long users were without service after each fault, with those who never came back."""
    title = "Recovery: who is not yet served again"
    cut = [fault for fault in judgement.faults if fault.back is not None and fault.back.users]
    if not cut:
        return Panel("recovery", title, "No fault cut anybody: there is no recovery to show.", "")
    slowest = sorted(cut, key=lambda one: (one.back.missing if one.back else 0, one.recovery_max_s or 0), reverse=True)
    drawn = [fault for fault in cut if fault in slowest[: len(charts.SERIES)]]
    points = series.recovery(drawn)
    caption = (
        "Share of the users that each fault cut who are not yet served again, in seconds since the later of the loss and the heal, "
        "by Kaplan and Meier: whoever never came back, or whose session ended first, is counted for as long as it was seen."
    )
    if len(drawn) < len(cut):
        caption += f" Drawn are the {len(drawn)} slowest of {len(cut)}; the table has all."
    svg = charts.step_chart(
        points, x="s", y="share", series="fault", order=list(dict.fromkeys(points["fault"])), x_title="seconds since loss and heal",
        y_title="not yet served", title=title, description=caption,
    )  # fmt: skip
    columns = (
        "fault", "users cut", "back p50 s", "back p95 s", "not back", "interrupted turn went on p50 s", "p95 s", "of users",
        "new turn began p50 s", "p95 s", "of users",
    )  # fmt: skip
    rows = tuple(
        (
            shown(f"{one.id} {one.kind}", 60), count(one.back.users), reached(one.back, "p50"), reached(one.back, "p95"),
            count(one.back.missing),
            *(
                cell
                for curve in (one.went_on, one.began)
                for cell in (reached(curve, "p50"), reached(curve, "p95"), count(curve.users if curve else 0))
            ),
        )
        for one in cut
        if one.back is not None
    )  # fmt: skip
    return Panel("recovery", title, caption, svg, columns, rows)


def _centred(frame: pd.DataFrame, axis: _Axis) -> pd.DataFrame:
    """A point stands for its bin's whole width; drawn at its start, it would leap before the cause."""
    return frame.assign(at_s=(frame["at_s"] + axis.width_s / 2).clip(upper=axis.end_s))


def _filled(counts: pd.DataFrame, order: Sequence[str], axis: _Axis) -> pd.DataFrame:
    """Bins in which nothing happened are zeros, not slopes between their neighbours."""
    at = [float(start) for start in range(0, int(axis.end_s) + 1, axis.width_s)]
    index = pd.MultiIndex.from_product([at, list(order)], names=["at_s", "what"])
    return counts.set_index(["at_s", "what"]).reindex(index, fill_value=0).reset_index()


def _late(judgement: Judgement) -> str:
    """What else held up the generator, in words."""
    one = judgement.generator
    said = [
        (one.send_late_p99_ms, "turns whose user was free were sent up to {} ms late (p99)"),
        (one.gc_max_ms, "the longest pause of the collector was {} ms"),
        (one.floor_p99_ms, "an echo before the load took up to {} ms (p99)"),
    ]
    words = [text.format(f"{value:.1f}") for value, text in said if value is not None]
    return f"Besides: {'; '.join(words)}." if words else ""


def _health(judgement: Judgement, axis: _Axis) -> tuple[Panel, ...]:
    frame = series.health(judgement, axis.width_s)
    made = []
    for id_, column, title, y_title, factor, what in (
        (
            "lag",
            "loop_lag_p99_ms",
            "Generator: loop lag",
            "p99, ms",
            1.0,
            "How much later than asked our own loop woke",
        ),
        ("cpu", "cpu", "Generator: CPU", "% of one core", 100.0, "What our own process used"),
    ):
        points = frame[["at_s", column]].dropna()
        if points.empty:
            made.append(Panel(id_, title, "The generator left no measurements of itself.", ""))
            continue
        points = points.assign(value=points[column] * factor, series=title)
        caption = f"{what}, the busiest worker in bins of {axis.width_s} s; most: {points['value'].max():.1f}."
        if id_ == "lag":
            caption += f" {_late(judgement)}"
        svg = charts.line_chart(
    _centred(points, axis), x="at_s", y="value", series="series", order=[title], y_title=y_title, end_s=axis.end_s,
            windows=axis.windows, phases=axis.phases, title=title, description=caption, height_px=110,
        )  # fmt: skip
        rows = tuple(
            (duration_s(at), f"{value:.1f}") for at, value in zip(points["at_s"], points["value"], strict=True)
        )
        made.append(Panel(id_, title, caption, svg, ("from s", y_title), rows))
    return tuple(made)
