"""Journeys as data: what a step may say, where it may stand, what the contract must know of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from loadtests import contract, scenario
from loadtests.errors import ConfigError
from loadtests.journey import KINDS, JourneyStep, check_journey_promised, in_words, kind_of, outside_of, sends, stated
from loadtests.scenario import Scenario

LEAST: dict[str, Any] = {
    "scenario": 1, "name": "n", "users": 10, "pace_ms": 1000, "phases": [{"name": "a", "s": 60}],
}  # fmt: skip
EVERY = """
- send: "hello {name}"
- await: {role: started, within_ms: 2000}
- await: done
- think: {ms: [500, 1500]}
- send: {say: "again", expect: {pattern: "x+"}}
- cancel: {after_ms: 200}
- switch_thread: {to: first}
- disconnect: {for_ms: 1000, reset: true}
- http: {post: /api/threads, body: {id: "{thread}"}, headers: {Authorization: "Bearer {token}"}, expect_status: [200, 201]}
- python: mine:function
"""


def steps_of(text: str) -> list[JourneyStep]:
    return msgspec.convert(yaml.safe_load(text), list[JourneyStep])


def loaded(folder: Path, **changes: Any) -> Scenario:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in {**LEAST, **changes}.items() if value is not None}))
    return scenario.load(str(path))[0]


def test_every_kind_of_step_is_read_and_said_in_words(tmp_path: Path) -> None:
    one = loaded(tmp_path, journey=yaml.safe_load(EVERY), people=[{"name": "Ada"}])
    assert {kind_of(step) for step in one.journey} == set(KINDS)
    assert [in_words(step) for step in one.journey] == [
        "send", "await started within 2,000 ms", "await done", "think 500 to 1,500 ms", "send", "cancel after 200 ms",
        "switch_thread to the first", "disconnect for 1,000 ms by a reset", "http POST /api/threads", "python mine:function",
    ]  # fmt: skip
    assert sends(one.journey) == [1, 5]
    assert stated(one.journey[8]).good == (200, 201)


def test_what_ran_is_read_again_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def function(here): pass\n")
    one = loaded(tmp_path, journey=yaml.safe_load(EVERY), people=[{"name": "Ada"}])
    assert [call.folder for call in outside_of(one.journey)] == [str(tmp_path.resolve())]
    elsewhere = tmp_path / "run"
    elsewhere.mkdir()
    (elsewhere / "scenario.yaml").write_bytes(msgspec.yaml.encode(one))
    assert scenario.load(str(elsewhere / "scenario.yaml"))[0] == one


@pytest.mark.parametrize(
    ("journey", "words"),
    [
        ("[{await: done}]", ["journey", "nothing is ever sent"]),
        ("[{await: done}, {send: x}]", ["journey[0].await", "nothing is under way"]),
        ("[{send: x}, {await: done}, {cancel: {}}]", ["journey[2].cancel", "nothing is under way"]),
        ("[{send: x}, {await: done}, {await: started}]", ["journey[2].await", "nothing is under way"]),
        ("[{send: x, await: done}]", ["journey[0]", "is send and await", "exactly one of"]),
        ("[{send: x}, {}]", ["journey[1]", "says nothing"]),
        ("[{sned: x}]", ["journey[0].sned", "unknown key", "'send'"]),
        ("[{send: x}, {await: begun}]", ["journey[1].await", "begun"]),
        ("[{send: x}, {think: {ms: [5, 1]}}]", ["journey[1].think.ms", "lower bound first"]),
        ("[{send: x}, {think: {ms: [-5, 1]}}]", ["journey[1].think.ms", ">= 0"]),
        ("[{send: {}}]", ["journey[0].send", "there are none"]),
        ("[{send: {say: x, expect: {pattern: '('}}}]", ["journey[0].send.expect.pattern", "regular expression"]),
        ("[{send: x}, {http: {}}]", ["journey[1].http", "has no method"]),
        ("[{send: x}, {http: {get: /a, post: /b}}]", ["journey[1].http", "is get and post"]),
        ("[{send: x}, {http: {get: 'http://elsewhere/a'}}]", ["journey[1].http.get"]),
        ("[{send: x}, {http: {get: //elsewhere/a}}]", ["journey[1].http.get"]),
        ('[{send: x}, {http: {get: /a, headers: {X: "a\\nb"}}}]', ["journey[1].http.headers", "is no header"]),
        ("[{send: x}, {http: {get: /a, expect_status: []}}]", ["journey[1].http.expect_status", "is empty"]),
        ("[{send: x}, {python: mine}]", ["journey[1].python"]),
    ],
)  # fmt: skip
def test_a_step_that_can_do_nothing_is_told_with_its_place(tmp_path: Path, journey: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, journey=yaml.safe_load(journey))
    said = str(caught.value)
    assert [word for word in words if word not in said] == [], said
    assert said.startswith(str(tmp_path))


def test_a_column_that_nobody_has_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"journey\[0\].send: no column 'nmae' in people"):
        loaded(tmp_path, journey=[{"send": "hello {nmae}"}], people=[{"name": "Ada"}])


def test_prompts_are_needed_only_by_who_has_no_journey(tmp_path: Path) -> None:
    journey = [{"send": "x"}]
    assert loaded(tmp_path, journey=journey).prompts == []
    loaded(tmp_path, mix=[{"name": "a", "journey": journey}, {"name": "b", "talks": False}])
    for mix in ([{"name": "a", "journey": journey}, {"name": "b"}], [{"name": "a", "journey": []}]):
        with pytest.raises(ConfigError, match="prompts: is missing"):
            loaded(tmp_path, mix=mix)
    with pytest.raises(ConfigError, match="does not talk"):
        loaded(tmp_path, mix=[{"name": "a", "talks": False, "journey": journey}, {"name": "b"}], prompts=["p"])


def test_kinds_have_their_own_journey_or_that_of_all(tmp_path: Path) -> None:
    own, all_ = [{"send": "own"}], [{"send": "all"}]
    mix = [{"name": "a"}, {"name": "b", "journey": own}, {"name": "c", "journey": []}]
    one = loaded(tmp_path, mix=mix, journey=all_, prompts=["p"])
    said = [[stated(step).say for step in one.journey_of(kind)] for kind in range(3)]
    assert said == [["all"], ["own"], []]
    assert [place for place, _ in one.journeys] == ["journey", "mix[1].journey"]


def test_whoever_has_journeys_is_held_to_a_gate_on_them_unless_it_has_one_of_its_own(tmp_path: Path) -> None:
    journey = [{"send": "x"}]
    assert loaded(tmp_path, journey=journey).gates == {"journey.success{fault:none}": ["rate>0.95"]}
    own = {"journey.success{phase:a}": ["rate>0.5"]}
    assert loaded(tmp_path, journey=journey, gates=own).gates == own
    assert loaded(tmp_path, prompts=["p"]).gates == {}


@pytest.mark.parametrize(
    ("name", "journey", "words"),
    [
        ("netra", "[{send: x}, {cancel: {}}]", "[1].cancel: contract netra does not say how a turn is stopped"),
        ("netra", "[{send: x}, {send: y}]", "[1].send: contract netra promises nothing of a message"),
        ("netra-demo", "[{send: x}, {switch_thread: {}}]", "[1].switch_thread: messages of contract netra-demo name no thread"),
        ("netra-v2", "[{send: x}, {switch_thread: {}}]", "[1].switch_thread: under contract netra-v2 the server gives"),
    ],
)  # fmt: skip
def test_what_a_contract_does_not_promise_no_journey_may_ask_for(name: str, journey: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_journey_promised(steps_of(journey), contract.load(name).file, "mine.yaml", "journey")
    assert f"journey{words}" in str(caught.value)


def test_nobody_waits_for_a_role_that_no_event_has() -> None:
    file = contract.load("netra").file
    events = {name: event for name, event in file.events.items() if event.role != "content"}
    with pytest.raises(ConfigError, match="contract netra has no event with the role content; one of done, started"):
        check_journey_promised(
            steps_of("[{send: x}, {await: content}]"),
            msgspec.structs.replace(file, events=events),
            "mine.yaml",
            "journey",
        )


def test_the_reference_contract_promises_all_that_a_journey_can_ask_for() -> None:
    text = "[{send: x}, {send: y}, {await: content}, {cancel: {}}, {switch_thread: {}}]"
    check_journey_promised(steps_of(text), contract.load("reference").file, "mine.yaml", "journey")


def test_the_example_in_the_readme_is_one(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (found,) = (block for block in readme.split("```yaml\n")[1:] if block.startswith("journey:"))
    example = yaml.safe_load(found.partition("```")[0])
    one = loaded(tmp_path, **example, people=[{"name": "Ada"}])
    assert {kind_of(step) for step in one.journey} == set(KINDS)
    scenario.check_promised(one, contract.load("reference").file, "README.md")
