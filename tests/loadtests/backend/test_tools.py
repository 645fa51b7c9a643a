"""Tool calls: every one closed, some two at once, all ids distinct."""

from __future__ import annotations

import random

from loadtests.backend.registry import Agent
from loadtests.backend.tools import ToolDispatcher

AGENT = Agent("a", ("search", "sum"))


def plans(calls: int):
    return [ToolDispatcher().plan(AGENT, calls, "q", random.Random(seed)) for seed in range(100)]


def test_every_call_is_opened_once_and_closed_once_after_it() -> None:
    for groups in plans(3):
        steps = [step for group in groups for step in group]
        opened = [s.body["execution_id"] for s in steps if s.role == "tool-open"]
        closed = [s.body["execution_id"] for s in steps if s.role == "tool-close"]
        assert len(opened) == len(set(opened)) == 3
        assert sorted(opened) == sorted(closed)
        assert all(s.delay_ms >= 0 for s in steps)


def test_a_group_closes_what_it_opens_and_sometimes_two_are_open_at_once() -> None:
    widths = set()
    for groups in plans(2):
        for group in groups:
            half = len(group) // 2
            widths.add(half)
            assert [s.role for s in group] == ["tool-open"] * half + ["tool-close"] * half
    assert widths == {1, 2}


def test_no_calls_no_steps() -> None:
    assert ToolDispatcher().plan(AGENT, 0, "q", random.Random(1)) == []
