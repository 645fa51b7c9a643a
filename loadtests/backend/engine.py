"""The execution engine: one message becomes one turn's script of steps, the same for the same dice."""

from __future__ import annotations

from collections.abc import Callable

from loadtests.backend.registry import Agent, AgentRegistry
from loadtests.backend.script import Ask, Script, Step
from loadtests.backend.tools import ToolDispatcher
from loadtests.backend.world import Dice

__all__ = ["ExecutionEngine"]

START_MS = (1.0, 8.0)
THINK_MS = (20.0, 120.0)
ANSWER_MS = (10.0, 60.0)
MOST_TOOLS = 3
NESTED_SHARE = 1 / 3


class ExecutionEngine:
    """Pure: plans, and leaves waiting and sending to whoever performs the script."""

    def __init__(self, registry: AgentRegistry, dispatcher: ToolDispatcher, dice: Callable[[str], Dice]) -> None:
        self._registry = registry
        self._dispatcher = dispatcher
        self._dice = dice

    def plan(self, ask: Ask, *, nested: bool = True) -> Script:
        """Started, one thought, tools, sometimes a nested agent among them, completed."""
        dice = self._dice(ask.message_id or ask.run_id)
        root = self._registry.root
        groups = self._dispatcher.plan(root, dice.randint(1, MOST_TOOLS), ask.content, dice)
        if dice.random() < NESTED_SHARE and nested:
            guest = dice.choice(self._registry.nested)
            groups.insert(dice.randint(0, len(groups)), self._visit(guest, ask, dice))
        return (
            *self._opening(root, ask, dice),
            *(step for group in groups for step in group),
            self._end(root, {"status": "completed", "final_response": f"answer to: {ask.content}"}, dice),
        )

    def _visit(self, guest: Agent, ask: Ask, dice: Dice) -> list[Step]:
        steps = self._opening(guest, ask, dice)
        for group in self._dispatcher.plan(guest, dice.randint(0, 1), ask.content, dice):
            steps += group
        return [*steps, self._end(guest, {"status": "completed"}, dice)]

    def _opening(self, agent: Agent, ask: Ask, dice: Dice) -> list[Step]:
        thought = {"reasoning": f"{agent.name} considers: {ask.content}", "step_number": 1}
        return [
            Step(delay_ms=dice.uniform(*START_MS), role="started", agent=agent.name, body={"status": "started"}),
            Step(delay_ms=dice.uniform(*THINK_MS), role="thinking", agent=agent.name, body=thought),
        ]

    def _end(self, agent: Agent, body: dict[str, str], dice: Dice) -> Step:
        return Step(delay_ms=dice.uniform(*ANSWER_MS), role="done", agent=agent.name, body=body)
