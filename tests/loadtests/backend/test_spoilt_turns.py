"""What each planted defect makes of a turn, step by step; where a turn gives no occasion it is left alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from loadtests.backend import spoilt_turns as turns
from loadtests.backend.engine import ExecutionEngine
from loadtests.backend.registry import AgentRegistry
from loadtests.backend.script import Ask, Script, Step, Wants
from loadtests.backend.spoilt_turns import ScriptHook, Site
from loadtests.backend.tools import ToolDispatcher

SITE = Site(root="root", legacy_kind="old", nonce="0")
THERE = replace(
    SITE, foreign_frame=b"{}", foreign_content="secret", foreign_stream="st_2", lag_ms=200.0, cuts=1, was_cut=True
)


def scripts(nested: bool | None = None, streamed: bool | None = None) -> list[Script]:
    engine = ExecutionEngine(AgentRegistry("root"), ToolDispatcher(), random.Random)
    wants = Wants(whole=True, nested=nested, streamed=streamed)
    asks = [Ask(message_id=f"m{n}", run_id="r", thread_id="t", content="what does it cost?") for n in range(40)]
    return [engine.plan(ask, wants) for ask in asks]


def spoil(hook: ScriptHook, script: Script) -> Script:
    spoilt = hook(script, THERE)
    assert spoilt is not None
    return spoilt


def executions(script: Script, role: str) -> list[object]:
    return [step.body["execution_id"] for step in script if step.role == role]


@pytest.mark.parametrize(
    ("hook", "site"),
    [
        (turns.leaked_event, SITE),
        (turns.leaked_content, SITE),
        (turns.leaked_in_stream, THERE),
        (turns.goes_astray, SITE),
        (turns.overtaken_when_slow, SITE),
        (turns.slow_after_cut, SITE),
        (turns.legacy_type, replace(THERE, legacy_kind="")),
        (turns.nested_unfinished, THERE),
        (turns.nested_unbegun, THERE),
        (turns.chunk_lost, THERE),
        (turns.chunk_repeated, THERE),
        (turns.text_differs, THERE),
    ],
)
def test_without_an_occasion_a_turn_is_left_alone(hook: ScriptHook, site: Site) -> None:
    for script in scripts(nested=False, streamed=False):
        assert hook(script, site) is None


def test_a_result_that_comes_first_is_put_right_before_its_own_call() -> None:
    for script in scripts():
        spoilt = spoil(turns.calls_back_first, script)
        at = next(i for i, step in enumerate(spoilt) if step.role == "tool-close")
        assert spoilt[at + 1].role == "tool-open"
        assert spoilt[at].body["execution_id"] == spoilt[at + 1].body["execution_id"]
        assert sorted(map(str, executions(spoilt, "tool-close"))) == sorted(map(str, executions(script, "tool-close")))


@pytest.mark.parametrize(("hook", "role"), [(turns.nested_unfinished, "done"), (turns.nested_unbegun, "started")])
def test_a_nested_agent_lacks_one_bound_and_the_root_none(hook: ScriptHook, role: str) -> None:
    for script in scripts(nested=True):
        (gone,) = set(enumerate_steps(script)) - set(enumerate_steps(spoil(hook, script)))
        assert (gone[0], gone[1] != "root") == (role, True)


def enumerate_steps(script: Script) -> list[tuple[str, str]]:
    return [(step.role, step.agent) for step in script if step.role in {"started", "done"}]


def test_a_lost_chunk_leaves_a_hole_a_repeated_one_none_and_the_whole_text_may_differ() -> None:
    for script in scripts(streamed=True):
        numbers = [step.body["chunk_index"] for step in script if step.role == "content"]
        lost = [step.body["chunk_index"] for step in spoil(turns.chunk_lost, script) if step.role == "content"]
        again = [step.body["chunk_index"] for step in spoil(turns.chunk_repeated, script) if step.role == "content"]
        assert set(numbers) - set(lost) == {len(numbers) // 2}
        assert again == [0, *numbers]
        whole = spoil(turns.text_differs, script)[-1].body["final_response"]
        assert whole != script[-1].body["final_response"]


def test_anothers_words_come_in_pieces_that_go_on_with_the_numbers_and_stand_nowhere_whole() -> None:
    for script in scripts(streamed=True):
        assert turns.leaked_in_stream(script, SITE) is None
        spoilt = turns.leaked_in_stream(script, replace(THERE, foreign_content="a secret [gx12345678s000007]"))
        assert spoilt is not None
        said = [step.body for step in spoilt if step.role == "content"]
        assert [body["chunk_index"] for body in said] == list(range(len(said)))
        assert "[gx12345678s000007]" in "".join(body["content"] for body in said)
        assert not any("gx12345678s000007" in str(step.body) for step in spoilt)
        assert (spoilt[-1].role, [step.role for step in spoilt[:-1]].count("done")) == (
            "failed", sum(step.role == "done" for step in script) - 1,
        )  # fmt: skip


def test_an_event_goes_to_another_client_in_place_of_its_own() -> None:
    (step,) = [step for step in spoil(turns.goes_astray, scripts()[0]) if step.astray]
    assert (step.role, step.deliveries, step.astray) == ("thinking", 0, "st_2")


def test_a_slow_connection_gets_its_first_event_second() -> None:
    assert spoil(turns.overtaken_when_slow, scripts()[0])[0].overtaken


def test_whose_turn_waited_for_a_late_one_is_not_late_too() -> None:
    """Two such ends, one after the other, are later than a client waits."""
    assert turns.late_end(scripts()[0], replace(THERE, waited=True)) is None


@pytest.mark.parametrize("hook", [turns.late_end, turns.slow_after_cut])
def test_a_late_end_is_late_and_nothing_else(hook: ScriptHook) -> None:
    script = scripts()[0]
    spoilt = spoil(hook, script)
    assert spoilt[:-1] == script[:-1]
    assert spoilt[-1].delay_ms >= script[-1].delay_ms + turns.SLOW_MS


@pytest.mark.parametrize(
    ("hook", "last"),
    [(turns.ends_twice, "done"), (turns.fails_after_end, "failed"), (turns.thinks_after_end, "thinking")],
)
def test_something_comes_after_the_end(hook: ScriptHook, last: str) -> None:
    script = scripts()[0]
    spoilt = spoil(hook, script)
    assert spoilt[: len(script)] == script
    assert [step.role for step in spoilt[len(script) :]] == [last]


@pytest.mark.parametrize(
    ("hook", "holds"),
    [
        (turns.half_frame, lambda step: step.raw_frame and not step.raw_frame.endswith(b"}")),
        (turns.leaked_event, lambda step: step.raw_frame == b"{}"),
        (turns.phantom_run, lambda step: step.run_id),
        (turns.unapproved_type, lambda step: step.planted_kind),
        (turns.legacy_type, lambda step: step.planted_kind == "old"),
    ],
)
def test_an_extra_step_stands_among_the_others(hook: ScriptHook, holds: Callable[[Step], bool]) -> None:
    for script in scripts():
        spoilt = spoil(hook, script)
        assert tuple(step for step in spoilt if not holds(step)) == script
        assert len(spoilt) == len(script) + 1


def test_a_stop_that_is_ignored_keeps_all_that_was_left_and_takes_long() -> None:
    script = scripts()[0]
    ending = (Step(delay_ms=0.0, role="failed", agent="root"),)
    spoilt = turns.ignores_cancel(script[2:], ending)
    assert spoilt is not None
    assert [step.role for step in spoilt] == [step.role for step in script[2:]]
    assert spoilt[-1].delay_ms > turns.SLOW_MS
    assert turns.ignores_cancel((), ending) is None
    assert [step.role for step in turns.thinks_after_cancel(script, ending)] == ["failed", "thinking"]
    assert turns.stopped(script, ending) == ending
