"""What a step of a search says of its level, what its turns showed, and what rose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadtests.conductor.report import judge_again
from reports.capacity import PARTS, Rise, Step, outcome_of, rises, step_of
from tests.reports.rundirs import Plan, write_run

HELD = {"metric": "turn.success{phase:hold}", "verdict": "pass"}
OPEN = {"metric": "turn.success{phase:hold}", "verdict": "unknown"}
BUDGET = {"metric": "connect.ready{fault:none}", "verdict": "unknown"}
FIT: dict[str, Any] = {"fit": True}


@pytest.mark.parametrize(
    ("verdict", "outcome", "why"),
    [
        ({"verdict": "go"}, "kept", ""),
        ({"verdict": "go", "generator": {"fit": False, "reasons": ["lag"]}}, "kept", ""),
        ({"verdict": "no-go", "sentence": "loss"}, "broken", "loss"),
        (
            {"verdict": "no-go", "generator": {"fit": False}, "checks": [{"verdict": "invalid"}], "sentence": "leak"},
            "broken",
            "leak",
        ),
        (
            {"verdict": "no-go", "generator": {"fit": False}, "checks": [{"verdict": "invalid", "subject": "client"}]},
            "saturated",
            "the generator was the bottleneck",
        ),
        ({"verdict": "no-go", "generator": {"fit": False, "reasons": ["lag", "cpu"]}}, "saturated", "lag; cpu"),
        ({"verdict": "cannot-say", "generator": {"fit": False}}, "saturated", "the generator was the bottleneck"),
        ({"verdict": "cannot-say", "generator": FIT, "gates": [HELD, BUDGET]}, "kept", ""),
        ({"verdict": "cannot-say", "gates": [HELD, OPEN], "sentence": "few"}, "unknown", "few"),
        ({"verdict": "cannot-say", "gates": [BUDGET], "sentence": "few"}, "unknown", "few"),
        (
            {"verdict": "cannot-say", "gates": [HELD], "checks": [{"verdict": "unknown"}], "sentence": "s"},
            "unknown",
            "s",
        ),
        (
            {"verdict": "cannot-say", "gates": [HELD], "checks": [{"verdict": "invalid"}], "sentence": "s"},
            "unknown",
            "s",
        ),
        ({"verdict": "cannot-say", "gates": [HELD, BUDGET], "checks": [{"verdict": "valid"}]}, "kept", ""),
    ],
)
def test_a_verdict_says_what_became_of_a_level(verdict: dict[str, Any], outcome: str, why: str) -> None:
    assert outcome_of(verdict) == (outcome, why)


def test_a_step_shows_what_was_held(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", Plan(users=10, phases=(("settle", 1.0), ("hold", 4.0), ("drain", 1.0))))
    judge_again(run, None, None)
    step = step_of(run, 10, "kept", "")
    assert (step.level, step.run, step.success) == (10, "run", 1.0)
    assert 70 <= step.turns <= 90
    assert step.served_per_s == pytest.approx(20, rel=0.15)
    assert step.p50_ms is not None
    assert set(step.parts_ms) == set(PARTS)
    parts = [step.parts_ms[part] for part in ("queue", "think", "tool", "tail")]
    assert sum(parts) == pytest.approx(step.p95_ms, rel=0.05)


def step(level: int, **parts_ms: float) -> Step:
    return Step(
        level=level, run=f"step-{level}", outcome="kept", why="", turns=9, served_per_s=1.0, p50_ms=1.0, p95_ms=1.0, success=1.0,
        cpu_p95=0.1, parts_ms=parts_ms,
    )  # fmt: skip


def test_what_rose_is_said_the_most_first() -> None:
    steps = [
        step(10, queue=10, think=100, tool=50, tail=2),
        step(40, queue=300, think=119, tool=90, tail=6),
        step(40, queue=200),
    ]
    assert rises(steps, 40) == (Rise(part="queue", was_ms=10, is_ms=300), Rise(part="tool", was_ms=50, is_ms=90))
    assert rises(steps, 10) == rises(steps, 7) == rises([], 7) == ()
