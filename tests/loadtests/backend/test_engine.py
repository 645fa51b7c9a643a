"""A turn's script: same message, same script; in order; a nested agent in about a third."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.backend.engine import COMPLETED, STATUSES, ExecutionEngine
from loadtests.backend.registry import AgentRegistry
from loadtests.backend.script import Ask, Script, Wants
from loadtests.backend.tools import ToolDispatcher


def engine(seed: int = 0, shares: Mapping[str, float] | None = None) -> ExecutionEngine:
    return ExecutionEngine(AgentRegistry("root"), ToolDispatcher(), lambda key: random.Random(f"{seed}:{key}"), shares)


def ask(number: int, content: str = "why?", earlier: tuple[str, ...] = ()) -> Ask:
    return Ask(message_id=f"m{number}", run_id=f"r{number}", thread_id="t", content=content, earlier=earlier)


def chunks(script: Script) -> list[str]:
    """Texts of the answer's chunks, which are numbered from 0."""
    found = [step.body for step in script if step.role == "content"]
    assert [body["chunk_index"] for body in found] == list(range(len(found)))
    return [str(body["content"]) for body in found]


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
        plain = engine().plan(ask(n), Wants(nested=False))
        assert {step.agent for step in plain} == {"root"}
        assert [s.role for s in SCRIPTS[n] if s.agent == "root"] == [s.role for s in plain]


@pytest.mark.parametrize("content", ["why? " * 40_000, "x" * 200_000, " " + "y" * 100_000 + " z" * 50_000])
def test_a_long_answer_is_streamed_whole_too(content: str) -> None:
    script = engine().plan(ask(1, content), Wants(nested=False, streamed=True))
    pieces = chunks(script)
    assert "".join(pieces) == f"answer to: {content}" == script[-1].body["final_response"]
    assert all(piece.endswith(" ") for piece in pieces[:-1])


def test_the_users_words_come_back_in_thought_tools_and_answer() -> None:
    for script in SCRIPTS[:20]:
        texts = {step.role: str(step.body) for step in script if step.agent == "root"}
        assert all("why?" in texts[role] for role in ("thinking", "tool-open", "done"))


def test_turns_take_some_hundred_milliseconds() -> None:
    took = sorted(sum(step.delay_ms for step in script) for script in SCRIPTS)
    assert 60 < took[0] < took[len(took) // 2] < took[-1] < 1_000


def test_a_nested_agent_can_be_wanted() -> None:
    for n in range(30):
        assert len({step.agent for step in engine().plan(ask(n), Wants(nested=True))}) == 2


def test_about_half_of_the_answers_come_in_chunks_that_are_the_answer() -> None:
    content = "what does all of this cost in a year, and why?"
    scripts = [engine().plan(ask(n, content)) for n in range(200)]
    streamed = [script for script in scripts if chunks(script)]
    assert 70 <= len(streamed) <= 130
    for script in streamed:
        assert 3 <= len(chunks(script)) <= 8
        assert "".join(chunks(script)) == script[-1].body["final_response"]
        assert script[-2].role == "content"


@given(st.text(min_size=1))
def test_whatever_is_asked_the_chunks_are_the_answer(content: str) -> None:
    script = engine().plan(ask(1, content), Wants(streamed=True))
    assert "".join(chunks(script)) == script[-1].body["final_response"] == f"answer to: {content}"
    assert chunks(engine().plan(ask(1, content), Wants(streamed=False))) == []


def test_chunks_change_nothing_else_of_a_turn() -> None:
    for n in range(20):
        plain, streamed = (engine().plan(ask(n), Wants(streamed=how)) for how in (False, True))
        assert tuple(step for step in streamed if step.role != "content") == plain


def test_what_was_said_before_stands_in_the_answer_that_asks_for_it() -> None:
    script = engine().plan(ask(1, "recall it", ("the word is violet", "thanks")))
    assert "the word is violet | thanks" in script[-1].body["final_response"]


def test_turns_end_otherwise_than_well_by_their_shares_and_a_whole_one_never() -> None:
    shares = dict.fromkeys(STATUSES, 0.2)
    odd = engine(shares=shares)
    found = Counter(str(odd.plan(ask(n))[-1].body["status"]) for n in range(500))
    assert set(found) == {COMPLETED, *STATUSES}
    assert all(60 <= count <= 140 for count in found.values())
    assert {odd.plan(ask(n), Wants(whole=True))[-1].body["status"] for n in range(50)} == {COMPLETED}


@pytest.mark.parametrize(
    ("status", "roles"),
    [
        ("throttled", ["started", "done"]),
        ("refused", ["started", "thinking", "done"]),
    ],
)
def test_a_turn_that_does_not_do_its_work_is_short(status: str, roles: list[str]) -> None:
    assert [step.role for step in engine(shares={status: 1.0}).plan(ask(1))] == roles


def test_a_failed_turn_works_and_then_fails_explicitly() -> None:
    script = engine(shares={"failed": 1.0}).plan(ask(1))
    roles = Counter(step.role for step in script)
    assert script[-1].role == "failed"
    assert script[-1].body["error"]
    assert roles["tool-open"] == roles["tool-close"] >= 1
    assert "root" not in {step.agent for step in script if step.role == "done"}


def test_a_degraded_turn_has_a_tool_that_says_it_failed_and_still_an_answer() -> None:
    script = engine(shares={"degraded": 1.0}).plan(ask(1))
    results = [step.body for step in script if step.role == "tool-close"]
    assert [body["success"] for body in results].count(False) == 1
    assert all("results" in body for body in results)
    assert script[-1].body["final_response"] == "answer to: why?"
