"""The execution engine: one message becomes one turn's script of steps, the same for the same dice."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from loadtests.backend.registry import Agent, AgentRegistry
from loadtests.backend.script import Ask, Script, Step, Wants
from loadtests.backend.tools import ToolDispatcher
from loadtests.backend.world import Dice

__all__ = ["COMPLETED", "STATUSES", "ExecutionEngine"]

START_MS = (1.0, 8.0)
THINK_MS = (20.0, 120.0)
ANSWER_MS = (10.0, 60.0)
CHUNK_MS = (2.0, 15.0)
MOST_TOOLS = 3
NESTED_SHARE = 1 / 3
STREAMED_SHARE = 0.5
CHUNKS = (3, 8)
PIECE = re.compile(r"\S+\s*|\s+")

COMPLETED = "completed"
CHARACTERS_A_TOKEN = 4
MOST_PIECES = 5_000
DEGRADED, REFUSED, THROTTLED, FAILED = "degraded", "refused", "throttled", "failed"
#: how a turn may end other than well
STATUSES = (DEGRADED, REFUSED, THROTTLED, FAILED)


class ExecutionEngine:
    """Pure: plans, and leaves waiting and sending to whoever performs the script.

    ``shares``: of turns that end otherwise than well, by status. What is decided apart has dice of its own, so that one
    choice does not move another.
    """

    def __init__(
        self,
        registry: AgentRegistry,
        dispatcher: ToolDispatcher,
        dice: Callable[[str], Dice],
        shares: Mapping[str, float] | None = None,
    ) -> None:
        self._registry = registry
        self._dispatcher = dispatcher
        self._dice = dice
        self._shares = dict(shares or {})

    def plan(self, ask: Ask, wants: Wants | None = None) -> Script:
        """Started, one thought, tools, sometimes a nested agent among them, sometimes the answer in chunks, the end."""
        wants = wants or Wants()
        key = ask.message_id or ask.run_id
        dice = self._dice(key)
        status = COMPLETED if wants.whole or not self._shares else self._status(self._dice(f"{key} status"))
        root = self._registry.root
        groups = self._dispatcher.plan(root, dice.randint(1, MOST_TOOLS), ask.content, dice)
        visited = dice.random() < NESTED_SHARE if wants.nested is None else wants.nested
        if visited:
            guest = dice.choice(self._registry.nested)
            groups.insert(dice.randint(0, len(groups)), self._visit(guest, ask, dice))
        opening = self._opening(root, ask, dice)
        if status == THROTTLED:
            return (opening[0], self._end(root, ask, status, "too many requests for now", dice))
        if status == REFUSED:
            return (*opening, self._end(root, ask, status, f"this cannot be answered: {ask.content}", dice))
        if wants.crowded:
            return opening[0], self._failed(root, ask, "too many turns at once", dice)
        work = [step for group in groups for step in group]
        if status == FAILED:
            return (*opening, *work, self._failed(root, ask, "the model could not be reached", dice))
        if status == DEGRADED:
            work = _one_fails(work)
        answer = f"answer to: {' '.join([ask.content] * ask.times)}"
        if ask.earlier:
            answer += f"; before that you said: {' | '.join(ask.earlier)}"
        end = self._end(root, ask, status, answer, dice)
        return (*opening, *work, *self._chunks(root, answer, wants.streamed, self._dice(f"{key} stream")), end)

    def _status(self, dice: Dice) -> str:
        at = dice.random()
        for status, share in self._shares.items():
            if at < share:
                return status
            at -= share
        return COMPLETED

    def _visit(self, guest: Agent, ask: Ask, dice: Dice) -> list[Step]:
        steps = self._opening(guest, ask, dice)
        for group in self._dispatcher.plan(guest, dice.randint(0, 1), ask.content, dice):
            steps += group
        end = Step(delay_ms=dice.uniform(*ANSWER_MS), role="done", agent=guest.name, body={"status": COMPLETED})
        return [*steps, end]

    def _opening(self, agent: Agent, ask: Ask, dice: Dice) -> list[Step]:
        thought = {"reasoning": f"{agent.name} considers: {ask.content}", "step_number": 1}
        return [
            Step(delay_ms=dice.uniform(*START_MS), role="started", agent=agent.name, body={"status": "started"}),
            Step(delay_ms=dice.uniform(*THINK_MS), role="thinking", agent=agent.name, body=thought),
        ]

    def _chunks(self, agent: Agent, answer: str, streamed: bool | None, dice: Dice) -> list[Step]:
        """The answer word by word, some words at once; nothing is cut within a word, as tokens rarely are."""
        falls = dice.random() < STREAMED_SHARE
        if not (falls if streamed is None else streamed):
            return []
        pieces = _pieces(answer)
        count = min(dice.randint(*CHUNKS), len(pieces))
        bounds = [len(pieces) * i // count for i in range(count + 1)]
        return [
            Step(
                delay_ms=dice.uniform(*CHUNK_MS),
                role="content",
                agent=agent.name,
                body={"chunk_index": i, "content": "".join(pieces[bounds[i] : bounds[i + 1]])},
            )
            for i in range(count)
        ]

    def _failed(self, root: Agent, ask: Ask, error: str, dice: Dice) -> Step:
        return replace(self._end(root, ask, FAILED, "", dice), role="failed", body={"status": FAILED, "error": error})

    def _end(self, agent: Agent, ask: Ask, status: str, answer: str, dice: Dice) -> Step:
        usage = {"input_tokens": _tokens(ask.content), "output_tokens": _tokens(answer)}
        body = {"status": status, "final_response": answer, "usage": usage}
        return Step(delay_ms=dice.uniform(*ANSWER_MS), role="done", agent=agent.name, body=body)


def _pieces(text: str) -> list[str]:
    """Its words; of a long one whole runs of words, since finding a million of them would hold up everybody else."""
    step = len(text) // MOST_PIECES
    if step <= CHARACTERS_A_TOKEN:
        return PIECE.findall(text)
    pieces, start = [], 0
    while start < len(text):
        end = text.find(" ", start + step) + 1 or len(text)
        pieces.append(text[start:end])
        start = end
    return pieces


def _tokens(text: str) -> int:
    """About as many as a model would count."""
    return -(-len(text) // CHARACTERS_A_TOKEN)


def _one_fails(work: list[Step]) -> list[Step]:
    """The last tool says honestly that it failed."""
    at = max(i for i, step in enumerate(work) if step.role == "tool-close")
    failed: dict[str, Any] = {**work[at].body, "results": {}, "success": False, "error": "the source was unavailable"}
    return [*work[:at], replace(work[at], body=failed), *work[at + 1 :]]
