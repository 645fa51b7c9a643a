"""Charts as SVG text, made from small frames with Altair and drawn without a browser or a network. Colours are CSS
variables of the page with a fallback, so that one drawing fits a light and a dark screen. Knows nothing of a run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as ET

import altair as alt
import pandas as pd
import vl_convert

__all__ = ["SERIES", "WIDTH_PX", "bar_chart", "curve_chart", "funnel_chart", "line_chart", "step_chart"]

WIDTH_PX = 1000
FONT_PX = 11
#: wide ones, present on most machines: what is measured here is no narrower than what the reader's browser draws
FONT = "Verdana, DejaVu Sans, sans-serif"

#: Okabe and Ito's colours, the darker first; a dark page lightens --s1
SERIES = tuple(
    f"var(--s{place},{colour})"
    for place, colour in enumerate(
        ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a8f98"), start=1
    )
)
DASHES = ([1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3], [10, 3])
HEADROOM = 1.15
GROUND = "var(--bg,#fff)"
TEXT, LINE, SHADE = "var(--mut,#5b5e66)", "var(--line,#dfe2e7)", "var(--shade,#8a8f98)"
NUMBERS = {"decimal": ".", "thousands": "\u202f", "grouping": [3], "currency": ["", ""]}
#: a page may draw it so much larger
LARGEST = 1.1
#: room for a browser whose letters are wider after all
PADDING = {"left": 8, "right": 12, "top": 4, "bottom": 4}
SVG = "{http://www.w3.org/2000/svg}"
IDLE = frozenset({"class", "id", "role", "aria-label", "aria-hidden", "aria-roledescription", "pointer-events"})
#: the renderer aborts the whole process at a character that XML forbids
UNDRAWN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
EMPTY = re.compile(r"[M0,hvZ]*\Z")
LONG = re.compile(r"-?\d+\.\d{2,}")
TIME = "seconds since the run's start"

CONFIG: dict[str, Any] = {
    "background": "transparent",
    "aria": False,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": TEXT, "titleColor": TEXT, "gridColor": LINE, "domainColor": LINE, "tickColor": LINE,
        "labelFontSize": FONT_PX, "titleFontSize": FONT_PX, "titleFontWeight": "normal",
    },
    "legend": {
        "orient": "top", "title": None, "labelColor": TEXT, "labelFontSize": FONT_PX, "symbolStrokeWidth": 2.5,
        "symbolType": "stroke", "symbolSize": 300, "labelLimit": 300, "offset": 20, "columnPadding": 18,
    },
    "text": {"color": TEXT, "fontSize": FONT_PX},
}  # fmt: skip


def line_chart(
    points: pd.DataFrame, *, x: str, y: str, series: str, order: Sequence[str], y_title: str, end_s: float,
    windows: pd.DataFrame, phases: pd.DataFrame, limits: pd.DataFrame | None = None,
    title: str, description: str, height_px: int = 220,
) -> str:  # fmt: skip
    """Lines over time, fault windows shaded, phases marked. ``limits`` (y, label, series) are drawn across as dashes."""
    top = max(float(points[y].max()), *([] if limits is None else limits["y"].tolist()), 0.0)
    legend: dict[str, Any] = {} if len(order) > 1 else {"legend": None}
    lines = alt.Chart(points).mark_line(strokeWidth=2, point={"size": 14, "filled": True}).encode(
        x=alt.X(x, type="quantitative", title=TIME, scale=alt.Scale(domain=[0, end_s], nice=False)),
        y=alt.Y(y, type="quantitative", title=y_title, scale=_from_zero(top)),
        color=_colour(series, order, **legend), strokeDash=_dashes(series, order, **legend),
    )  # fmt: skip
    layers = [*_backdrop(windows, phases, end_s), lines]
    if limits is not None and len(limits):
        rule = alt.Chart(limits).encode(y=alt.Y("y", type="quantitative"))
        layers.append(
            rule.mark_rule(strokeDash=[3, 3], strokeWidth=1.5).encode(color=_colour("series", order, **legend))
        )
        layers += _words(rule.encode(x=alt.value(WIDTH_PX)), align="right", baseline="bottom", dx=-4, dy=-2)
    return _svg(alt.layer(*layers, *_names(windows)), title, description, height_px)


def curve_chart(
    points: pd.DataFrame, *, x: str, y: str, series: str, order: Sequence[str], x_title: str, y_title: str, marks: pd.DataFrame,
    title: str, description: str, height_px: int = 220,
) -> str:  # fmt: skip
    """Lines over a quantity that is no time. ``marks`` (x, label): places on it, drawn as upright dashes."""
    legend: dict[str, Any] = {} if len(order) > 1 else {"legend": None}
    lines = alt.Chart(points).mark_line(strokeWidth=2, point={"size": 30, "filled": True}).encode(
        x=alt.X(x, type="quantitative", title=x_title, scale=alt.Scale(zero=False)),
        y=alt.Y(y, type="quantitative", title=y_title, scale=_from_zero(max(float(points[y].max()), 0.0))),
        color=_colour(series, order, **legend), strokeDash=_dashes(series, order, **legend),
    )  # fmt: skip
    layers: list[alt.Chart] = [lines]
    if len(marks):
        rule = alt.Chart(marks).encode(x=alt.X("x", type="quantitative"))
        layers.append(rule.mark_rule(color=SHADE, strokeWidth=1.5, strokeDash=[3, 3]))
        layers += _words(rule.encode(y=alt.value(0)), align="left", baseline="top", dx=4, dy=4)
    return _svg(alt.layer(*layers), title, description, height_px)


def bar_chart(
    counts: pd.DataFrame, *, x: str, width_s: float, y: str, series: str, order: Sequence[str], y_title: str, end_s: float,
    windows: pd.DataFrame, phases: pd.DataFrame, title: str, description: str, height_px: int = 150,
) -> str:  # fmt: skip
    """Stacked bars over time, one stack a bin, in the order given from below."""
    drawn = counts.assign(
        until=(counts[x] + width_s * 0.9).clip(upper=end_s),
        rank=counts[series].map({s: i for i, s in enumerate(order)}),
    ).sort_values([x, "rank"])
    drawn["above"] = drawn.groupby(x)[y].cumsum()
    drawn["below"] = drawn["above"] - drawn[y]
    bars = alt.Chart(drawn).mark_rect().encode(
        x=alt.X(x, type="quantitative", title=TIME, scale=alt.Scale(domain=[0, end_s], nice=False)), x2="until",
        y=alt.Y("below", type="quantitative", title=y_title, scale=_from_zero(float(drawn["above"].max()))), y2="above",
        color=_colour(series, order, legend=alt.Legend(symbolType="square", symbolSize=120)),
    )  # fmt: skip
    return _svg(alt.layer(*_backdrop(windows, phases, end_s), bars, *_names(windows)), title, description, height_px)


def funnel_chart(steps: pd.DataFrame, *, title: str, description: str) -> str:
    """Steps (step, turns, label) as horizontal bars, in the order given."""
    y = alt.Y("step", type="nominal", sort=None, title=None, axis=alt.Axis(labelLimit=260, ticks=False, domain=False))
    base = alt.Chart(steps).encode(y=y)
    x = alt.X("turns", type="quantitative", title=None, axis=None)
    bars = base.mark_bar(color=SERIES[0], height={"band": 0.6}).encode(x=x)
    labels = base.mark_text(align="left", dx=6, limit=200).encode(x=x, text="label:N")
    return _svg(alt.layer(bars, labels), title, description, max(60, 22 * len(steps)), WIDTH_PX - 300)


def step_chart(
    points: pd.DataFrame, *, x: str, y: str, series: str, order: Sequence[str], x_title: str, y_title: str, title: str,
    description: str, height_px: int = 150,
) -> str:  # fmt: skip
    """Shares between all and none that fall in steps, one line for each of the series."""
    lines = alt.Chart(points).mark_line(strokeWidth=2, interpolate="step-after").encode(
        x=alt.X(x, type="quantitative", title=x_title, scale=alt.Scale(domainMin=0, nice=True)),
        y=alt.Y(y, type="quantitative", title=y_title, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
        color=_colour(series, order), strokeDash=_dashes(series, order),
    )  # fmt: skip
    return _svg(alt.layer(lines), title, description, height_px)


def _colour(series: str, order: Sequence[str], **more: Any) -> alt.Color:
    colours = list(SERIES[: len(order)])
    return alt.Color(series, type="nominal", scale=alt.Scale(domain=list(order), range=colours), **more)


def _dashes(series: str, order: Sequence[str], **more: Any) -> alt.StrokeDash:
    dashes = [DASHES[place % len(DASHES)] for place in range(len(order))]
    return alt.StrokeDash(series, type="nominal", scale=alt.Scale(domain=list(order), range=dashes), **more)


def _backdrop(windows: pd.DataFrame, phases: pd.DataFrame, end_s: float) -> list[alt.Chart]:
    domain = alt.Scale(domain=[0, end_s], nice=False)
    layers = []
    if len(windows):
        span = alt.Chart(windows).encode(x=alt.X("start_s", type="quantitative", scale=domain), x2="end_s")
        layers.append(span.mark_rect(color=SHADE, opacity=0.22))
    if len(phases):
        start = alt.Chart(phases).encode(x=alt.X("start_s", type="quantitative", scale=domain))
        layers.append(start.mark_rule(color=SHADE, strokeWidth=1, strokeDash=[1, 3]))
        text = start.mark_text(align="left", baseline="bottom", dx=2, dy=-3)
        layers.append(text.encode(y=alt.value(0), text="label:N"))
    return layers


def _names(windows: pd.DataFrame) -> list[alt.Chart]:
    """The faults' names, over what is drawn."""
    if not len(windows):
        return []
    place = alt.Chart(windows).encode(x=alt.X("start_s", type="quantitative"), y=alt.value(0))
    return _words(place, align="left", baseline="top", dx=4, dy=4, fontWeight="bold")


def _words(place: alt.Chart, **style: Any) -> list[alt.Chart]:
    """Text that stays readable over lines: once in the background's colour and wider, once as itself."""
    halo = {"stroke": GROUND, "strokeWidth": 3, "color": GROUND, "strokeJoin": "round"}
    return [place.mark_text(**style, **more).encode(text="label:N") for more in (halo, {})]


def _from_zero(top: float) -> alt.Scale:
    """Room above the data for the faults' names."""
    return alt.Scale(domain=[0, top * HEADROOM or 1], nice=True)


def _svg(chart: alt.LayerChart, title: str, description: str, height_px: int, width_px: int = WIDTH_PX) -> str:
    spec = _drawable(chart.properties(width=width_px, height=height_px, padding=PADDING).configure(**CONFIG).to_dict())
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    # no base addresses: whatever a spec says, nothing is fetched
    drawn = vl_convert.vegalite_to_svg(spec, vl_version=version, allowed_base_urls=[], format_locale=NUMBERS)
    ET.register_namespace("", SVG.strip("{}"))
    root = ET.fromstring(drawn)  # noqa: S314  # our own renderer's text
    _strip(root)
    box = root.attrib["viewBox"]
    root.attrib.clear()
    widest = f"max-width:{float(box.split()[2]) * LARGEST:.0f}px"
    root.attrib.update({"viewBox": box, "role": "img", "aria-label": _drawable(title), "style": widest})
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(SVG + tag)
        element.text = _drawable(text)
        root.insert(place, element)
    return ET.tostring(root, encoding="unicode")


def _drawable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _drawable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_drawable(item) for item in value]
    return UNDRAWN.sub("\ufffd", value) if isinstance(value, str) else value


def _strip(element: ET.Element) -> None:
    """A page holds several drawings: nothing in one may answer to a name in another, and the page sets their size."""
    for child in list(element):
        if child.tag == SVG + "path" and EMPTY.match(child.get("d", "")):
            element.remove(child)
            continue
        for name in IDLE & child.attrib.keys():
            del child.attrib[name]
        for name in ("transform", "d"):
            if name in child.attrib:
                child.set(name, LONG.sub(lambda number: f"{float(number[0]):.1f}", child.attrib[name]))
        _strip(child)
