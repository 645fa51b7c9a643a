"""The page of a search: whole without scripts, and harmless whatever a backend said."""

from __future__ import annotations

import pytest

from loadtests.capacity import Found
from reports.capacity import Rise, Step
from reports.render.capacity import Page, render_capacity

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"


def step(level: int, outcome: str = "kept", why: str = "", p95_ms: float | None = 500.0) -> Step:
    return Step(
        level=level, run=f"step-{level}", outcome=outcome, why=why, turns=90, served_per_s=level / 2, p50_ms=300.0, p95_ms=p95_ms,
        success=0.99, cpu_p95=0.1, parts_ms={"queue": 10.0 * level, "tail": 200.0},
    )  # fmt: skip


def page(found: Found, steps: tuple[Step, ...], rose: tuple[Rise, ...] = ()) -> str:
    made = Page(
        scenario="cap", unit="users", sentence="between 16 and 17 users", found=found, steps=steps, rose=rose, knee=17, experiment="flap",
        target=HOSTILE,
    )  # fmt: skip
    return render_capacity(made)


def test_it_says_the_interval_the_knee_and_every_run() -> None:
    text = page(
        Found(16, 17, "backend"), (step(8), step(16), step(17, "broken", "loss: 3 events")), (Rise(part="queue", was_ms=80, is_ms=170),)
    )  # fmt: skip
    for words in (
        "between 16 and 17 users", "The backend.", "from send to the first sign of life", "80 ms at the lowest level, 170 ms at 17",
        'href="step-17/report.html"', "✗ broken", "loss: 3 events", "under flap", "<svg", "queue 80 ms at 8 and 170 ms at 17", "3 runs",
    ):  # fmt: skip
        assert words in text
    assert 'class="go"' in text
    assert "<script" not in text


@pytest.mark.parametrize(
    ("gave_in", "words"),
    [
        ("generator", "more cores, processes or hosts"),
        ("nobody", "Neither, as far as was asked"),
        ("undecided", "could not be decided"),
    ],
)
def test_who_gave_in_is_said(gave_in: str, words: str) -> None:
    assert words in page(Found(16, None, gave_in), (step(16),))  # type: ignore[arg-type]


def test_what_a_backend_said_is_harmless_and_a_level_without_answers_is_shown() -> None:
    text = page(Found(0, 4, "backend"), (step(4, "broken", HOSTILE, None),))
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_without_a_run_there_is_a_page_too() -> None:
    assert "0 runs" in page(Found(0, None, "nobody"), ())
