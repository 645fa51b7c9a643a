"""The tool dispatcher: plans an agent's tool calls, one after the other or two at once."""

from __future__ import annotations

from loadtests.backend.registry import Agent
from loadtests.backend.script import Step
from loadtests.backend.world import Dice

__all__ = ["ToolDispatcher"]

TOOL_MS = (20.0, 100.0)
BETWEEN_MS = (1.0, 6.0)
PARALLEL_SHARE = 0.3


class ToolDispatcher:
    """Pure: the dice decide tools, durations and what runs side by side."""

    def plan(self, agent: Agent, calls: int, question: str, dice: Dice) -> list[list[Step]]:
        """Groups of steps, each with every call closed that it opened."""
        groups: list[list[Step]] = []
        left = calls
        while left:
            side_by_side = 2 if left >= 2 and dice.random() < PARALLEL_SHARE else 1
            groups.append(self._group(agent, side_by_side, question, dice))
            left -= side_by_side
        return groups

    def _group(self, agent: Agent, calls: int, question: str, dice: Dice) -> list[Step]:
        opens, ends = [], []
        for _ in range(calls):
            tool = dice.choice(agent.tools)
            execution_id = f"exec_{dice.getrandbits(64):016x}"
            took_ms = dice.uniform(*TOOL_MS)
            call: dict[str, object] = {"tool_name": tool, "execution_id": execution_id}
            body = {**call, "parameters": {"q": question}}
            opens.append(Step(delay_ms=dice.uniform(*BETWEEN_MS), role="tool-open", agent=agent.name, body=body))
            result = {**call, "results": {"rows": dice.randint(1, 50)}, "success": True}
            ends.append((took_ms, {**result, "execution_time_ms": round(took_ms, 1)}))
        closes, passed_ms = [], 0.0
        for took_ms, body in sorted(ends, key=lambda end: end[0]):
            closes.append(Step(delay_ms=took_ms - passed_ms, role="tool-close", agent=agent.name, body=body))
            passed_ms = took_ms
        return opens + closes
