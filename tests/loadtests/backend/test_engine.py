"""A turn's script: same message, same script; in order; a nested agent in about a third."""

from __future__ import annotations

import random

from loadtests.backend.engine import ExecutionEngine
from loadtests.backend.registry import AgentRegistry
from loadtests.backend.script import Ask
from loadtests.backend.tools import ToolDispatcher


def engine(seed: int = 0) -> ExecutionEngine:
    return ExecutionEngine(AgentRegistry("root"), ToolDispatcher(), lambda key: random.Random(f"{seed}:{key}"))


def ask(number: int) -> Ask:
    return Ask(message_id=f"m{number}", run_id=f"r{number}", thread_id="t", content="why?")


SCRIPTS = [engine().plan(ask(n)) for n in range(300)]


def test_a_script_depends_on_seed_and_message_and_nothing_else() -> None:
    assert engine(5).plan(ask(1)) == engine(5).plan(ask(1))
    assert engine(5).plan(ask(1)) != engine(6).plan(ask(1))
    assert engine(5).plan(ask(1)) != engine(5).plan(ask(2))


def test_the_root_starts_thinks_once_uses_tools_and_ends_last() -> None:
    for script in SCRIPTS:
        own = [step.role for step in script if step.agent == "root"]
        assert own[:2] == ["started", "thinking"]
        assert own[-1] == "done"
        assert script[-1].agent == "root"
        assert own.count("thinking") == own.count("started") == own.count("done") == 1
        assert 1 <= own.count("tool-close") == own.count("tool-open") <= 3


def test_a_nested_agent_comes_in_about_a_third_of_the_turns_and_ends_within_it() -> None:
    visited = [script for script in SCRIPTS if any(step.agent != "root" for step in script)]
    assert 70 <= len(visited) <= 130
    for script in visited:
        guest = [step.role for step in script if step.agent != "root"]
        assert guest[:2] == ["started", "thinking"]
        assert guest[-1] == "done"
        assert len({step.agent for step in script}) == 2


def test_without_nested_agents_the_root_is_alone_and_does_the_same() -> None:
    for n in range(30):
        plain = engine().plan(ask(n), nested=False)
        assert {step.agent for step in plain} == {"root"}
        assert [s.role for s in SCRIPTS[n] if s.agent == "root"] == [s.role for s in plain]


def test_the_users_words_come_back_in_thought_tools_and_answer() -> None:
    for script in SCRIPTS[:20]:
        texts = {step.role: str(step.body) for step in script if step.agent == "root"}
        assert all("why?" in texts[role] for role in ("thinking", "tool-open", "done"))


def test_turns_take_some_hundred_milliseconds() -> None:
    took = sorted(sum(step.delay_ms for step in script) for script in SCRIPTS)
    assert 60 < took[0] < took[len(took) // 2] < took[-1] < 1_000
