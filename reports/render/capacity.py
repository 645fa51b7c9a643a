"""``capacity.html``: how much a backend bears, the curve, and what rose before it gave in. One offline page without scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from loadtests.capacity import Found
from reports import charts
from reports.capacity import PARTS, Rise, Step
from reports.render.figures import count, rate
from reports.render.html import source, templates
from reports.render.panels import Panel
from reports.render.wording import shown

__all__ = ["Page", "render_capacity"]

#: sign, word and class of each outcome
OUTCOMES = {
    "kept": ("✓", "kept", "ok"), "broken": ("✗", "broken", "bad"), "saturated": ("?", "generator gave in", "open"),
    "unknown": ("?", "cannot say", "open"),
}  # fmt: skip
IN_WORDS = {
    "connect": "connecting (the gate's own percentile)", "queue": "from send to the first sign of life", "think": "thinking",
    "tool": "the tools", "tail": "from the last tool to the end",
}  # fmt: skip
SERVED, MEDIAN, SLOW = "served a second", "median", "95th percentile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that the page says. ``knee``: the level that ``rose`` is about."""

    scenario: str
    unit: str
    sentence: str
    found: Found
    steps: Sequence[Step]
    rose: Sequence[Rise]
    knee: int
    experiment: str
    target: str


def render_capacity(page: Page) -> str:
    """The text of ``capacity.html``."""
    verdict = "go" if page.found.is_decided else "cannot-say"
    return templates().get_template("capacity.html.j2").render(
        page=page, verdict=verdict, style=Markup(source("report.css")), outcomes=OUTCOMES, words=IN_WORDS, parts=tuple(PARTS),  # noqa: S704
        panels=[panel for panel in (_served(page), _latency(page), _where(page)) if panel is not None],
    )  # fmt: skip


def _marks(page: Page) -> pd.DataFrame:
    marks = [(page.found.low, "kept")] if page.found.low else []
    marks += [(page.found.high, "broken")] if page.found.high is not None else []
    return pd.DataFrame(marks, columns=["x", "label"])


def _served(page: Page) -> Panel | None:
    points = pd.DataFrame(
        [(step.level, step.served_per_s, SERVED) for step in page.steps], columns=["level", "y", "series"]
    )
    return _panel(page, "served", "Turns that ended well, a second", points, [SERVED], "turns a second", rate)


def _latency(page: Page) -> Panel | None:
    found = [
        (step.level, value, name)
        for step in page.steps
        for name, value in ((MEDIAN, step.p50_ms), (SLOW, step.p95_ms))
        if value is not None
    ]
    points = pd.DataFrame(found, columns=["level", "y", "series"])
    return _panel(
        page,
        "latency",
        "Whole turns, from the intended send",
        points,
        [MEDIAN, SLOW],
        "milliseconds",
        _ms,
    )


def _where(page: Page) -> Panel | None:
    found = [(step.level, value, part) for step in page.steps for part, value in step.parts_ms.items()]
    order = [part for part in PARTS if any(name == part for _, _, name in found)]
    points = pd.DataFrame(found, columns=["level", "y", "series"])
    return _panel(
        page,
        "where",
        "Where the time goes, 95th percentile of each part",
        points,
        order,
        "milliseconds",
        _ms,
    )


def _ms(value: float) -> str:
    return f"{count(value)} ms"


def _panel(
    page: Page, id_: str, title: str, points: pd.DataFrame, order: Sequence[str], y_title: str, say: Callable[[float], str]
) -> Panel | None:  # fmt: skip
    if points.empty:
        return None
    order = [name for name in order if name in set(points["series"])]
    drawn = points.groupby(["level", "series"])["y"].median().reset_index()
    low, high = drawn[drawn["level"] == drawn["level"].min()], drawn[drawn["level"] == drawn["level"].max()]
    parts = [
        f"{name} {say(_of(low, name))} at {count(low['level'].iloc[0])} and {say(_of(high, name))} at {count(high['level'].iloc[0])}"
        for name in order
    ]
    svg = charts.curve_chart(
        drawn, x="level", y="y", series="series", order=order, x_title=page.unit, y_title=y_title, marks=_marks(page), title=title,
        description="; ".join(parts),
    )  # fmt: skip
    wide = drawn.pivot_table(index="level", columns="series", values="y")
    rows = tuple((count(float(str(level))), *(say(row[name]) for name in order)) for level, row in wide.iterrows())
    return Panel(id_, title, f"{shown('; '.join(parts), 600)}. Medians of the repeats.", svg, (page.unit, *order), rows)


def _of(points: pd.DataFrame, name: str) -> float:
    values = points.loc[points["series"] == name, "y"]
    return float(values.iloc[0]) if len(values) else float("nan")
