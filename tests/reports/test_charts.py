"""Charts are SVG that says what it shows, fits both themes and hands no foreign text to the page as markup."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from reports import charts
from tests.reports.judgements import IN_FRAME

SVG = "{http://www.w3.org/2000/svg}"
SPANS = pd.DataFrame([(2.0, 4.0, "w1 latency")], columns=["start_s", "end_s", "label"])
NONE = SPANS.iloc[:0]


def line(
    name: str = "a", windows: pd.DataFrame = SPANS, phases: pd.DataFrame = SPANS, title: str = "T", rows: int = 6
) -> str:
    points = pd.DataFrame(
        {"at_s": range(rows), "ms": [100.0 * n for n in range(rows)], "event": [name] * (rows - 1) + ["b"]}
    )
    limits = pd.DataFrame([(300.0, f"budget {name}", name)], columns=["y", "label", "series"])
    return charts.line_chart(
        points, x="at_s", y="ms", series="event", order=[name, "b"], y_title="ms", end_s=6.0, windows=windows, phases=phases,
        limits=limits, title=title, description=f"D {name}",
    )  # fmt: skip


def bars(name: str = "ok") -> str:
    counts = pd.DataFrame({"at_s": [0.0, 0.0, 1.0], "outcome": [name, "failed", name], "turns": [3, 1, 4]})
    return charts.bar_chart(
        counts, x="at_s", width_s=1.0, y="turns", series="outcome", order=[name, "failed"], y_title="turns", end_s=2.0,
        windows=SPANS, phases=NONE, title="T", description="D",
    )  # fmt: skip


def funnel(name: str = "sent") -> str:
    steps = pd.DataFrame([(name, 10, "10"), ("done", 5, f"5 {name}")], columns=["step", "turns", "label"])
    return charts.funnel_chart(steps, title="T", description="D")


def steps(name: str = "w1 down") -> str:
    points = pd.DataFrame([(name, 0.0, 1.0), (name, 0.6, 0.5), ("b", 0.0, 1.0)], columns=["fault", "s", "share"])
    return charts.step_chart(
        points, x="s", y="share", series="fault", order=[name, "b"], x_title="seconds", y_title="not yet back", title="T", description="D"
    )  # fmt: skip


DRAWERS = {"line": line, "bars": bars, "funnel": funnel, "steps": steps}


def words(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(SVG + "text")]


@pytest.mark.parametrize("draw", DRAWERS.values(), ids=DRAWERS)
def test_a_chart_has_a_title_a_description_and_scales_to_its_place(draw: object) -> None:
    root = ET.fromstring(draw())  # type: ignore[operator]
    assert [child.tag for child in root][:2] == [SVG + "title", SVG + "desc"]
    assert root.get("role") == "img"
    assert root.get("aria-label") == "T"
    assert "width" not in root.attrib
    assert len(root.attrib["viewBox"].split()) == 4


@pytest.mark.parametrize("draw", DRAWERS.values(), ids=DRAWERS)
def test_several_on_one_page_share_no_name(draw: object) -> None:
    assert not [
        a for element in ET.fromstring(draw()).iter() for a in element.attrib if a in {"id", "class", "clip-path"}
    ]  # type: ignore[operator]


@pytest.mark.parametrize("draw", DRAWERS.values(), ids=DRAWERS)
def test_colours_follow_the_theme_and_have_a_fallback(draw: object) -> None:
    colours = {e.attrib[a] for e in ET.fromstring(draw()).iter() for a in ("fill", "stroke") if a in e.attrib}  # type: ignore[operator]
    assert {colour for colour in colours if not colour.startswith("var(--")} <= {"none", "transparent"}
    assert all(",#" in colour for colour in colours if colour.startswith("var("))


@pytest.mark.parametrize("draw", DRAWERS.values(), ids=DRAWERS)
def test_foreign_text_is_text(draw: object) -> None:
    svg = draw(IN_FRAME)  # type: ignore[operator]
    assert "<script" not in svg
    assert "<img" not in svg
    assert {element.tag.removeprefix(SVG) for element in ET.fromstring(svg).iter()} <= {
        "svg",
        "title",
        "desc",
        "g",
        "path",
        "line",
        "text",
        "rect",
    }


def test_faults_phases_budgets_and_names_are_written_on_it() -> None:
    assert {"w1 latency", "budget a", "a", "b", "ms"} <= set(words(line()))


def test_without_faults_and_phases_there_is_still_a_chart() -> None:
    assert "w1 latency" not in words(line(windows=NONE, phases=NONE))


def test_one_line_needs_no_legend() -> None:
    points = pd.DataFrame({"at_s": [0.0, 1.0], "v": [1.0, 2.0], "s": ["lag", "lag"]})
    svg = charts.line_chart(
        points, x="at_s", y="v", series="s", order=["lag"], y_title="ms", end_s=1.0, windows=NONE, phases=NONE, title="T",
        description="D",
    )  # fmt: skip
    assert "lag" not in words(svg)


def test_bars_are_stacked_in_the_order_given() -> None:
    drawn = [e for e in ET.fromstring(bars()).iter(SVG + "path") if e.get("fill", "").startswith("var(--s")]
    assert len(drawn) >= 3


def test_a_chart_of_many_points_is_small() -> None:
    assert len(line(rows=120)) < 60_000


def test_equal_frames_make_equal_drawings() -> None:
    assert line() == line()
