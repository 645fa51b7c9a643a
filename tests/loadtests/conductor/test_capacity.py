"""A step's scenario holds one level and is judged on what is held; what cannot be searched is told before any traffic."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from loadtests import scenario
from loadtests.capacity import Found
from loadtests.conductor.capacity import CapacityOptions, at_level, capacity, sentence
from loadtests.conductor.options import RunOptions
from loadtests.errors import GauntletError
from loadtests.scenario import Scenario

TEXT = """
scenario: 1
name: mine
users: 10
arrivals: {model: open, rate_per_s: 40}
prompts: [hello]
phases: [{name: warm-up, s: 2}, {name: steady, s: 10}]
gates:
  turn.success{phase:steady,cohort:direct}: ["rate>0.95"]
  turn.total: ["p(95)<4000"]
  turn.total{phase:warm-up}: ["p(95)<9000"]
  connect.ready: ["p(90)<2000"]
  findings.loss: ["count==0"]
"""


@pytest.fixture
def own(tmp_path: Path) -> Scenario:
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT)
    return scenario.load(str(path))[0]


def options(path: str = "smoke", **changes: object) -> CapacityOptions:
    return CapacityOptions(run=RunOptions(scenario=path), **changes)  # type: ignore[arg-type]


def test_a_step_settles_holds_and_drains_with_the_gates_on_what_is_held(own: Scenario) -> None:
    step = at_level(own, options(settle_s=2, hold_s=7), 25)
    assert (step.users, step.name, step.rate_per_s) == (25, "mine-25", 40)
    assert [(phase.name, phase.s) for phase in step.phases] == [("settle", 2), ("hold", 7), ("drain", 1)]
    assert step.gates == {
        "turn.success{phase:hold,cohort:direct}": ["rate>0.95"], "turn.total{phase:hold}": ["p(95)<4000"], "findings.loss": ["count==0"],
    }  # fmt: skip


def test_a_rate_is_raised_with_as_many_users(own: Scenario) -> None:
    step = at_level(own, options(by="rate"), 90)
    assert (step.users, step.rate_per_s) == (10, 90)


def test_under_an_experiment_phases_and_gates_stay(own: Scenario) -> None:
    one = CapacityOptions(run=RunOptions(scenario="x", experiment="flap"))
    step = at_level(own, one, 25)
    assert (step.phases, step.gates) == (own.phases, own.gates)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"by": "rate"}, "arrivals of smoke are paced, and have no rate"),
        ({"by": "sessions"}, "one of users, rate"),
        ({"least": 9, "most": 3}, "9 to 3"),
        ({"least": 0}, "0 to 10000"),
        ({"repeats": 0}, "with 0 repeats"),
        ({"precision": 1.0}, "1 with 2 repeats"),
    ],
)
def test_what_cannot_be_searched_is_told(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(GauntletError) as caught:
        capacity(options(out=tmp_path / "new", **changes), print, lambda *_: None)
    assert words in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_a_search_never_writes_over_another(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(GauntletError, match="is not empty"):
        capacity(options(out=tmp_path), print, lambda *_: None)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Found(16, 17, "backend"), "between 16 and 17 users: 16 keep every gate, 17 break one each time"),
        (Found(0, 3, "backend"), "between 0 and 3 users: none keep every gate, 3 break one each time"),
        (
            Found(16, None, "backend"),
            "16 users keep every gate for sure; where the backend gives in could not be decided",
        ),
        (
            Found(0, None, "undecided"),
            "no users keep every gate for sure; where the backend gives in could not be decided",
        ),
        (Found(50, None, "nobody"), "50 users keep every gate, and more was not asked for"),
        (
            Found(50, None, "generator"),
            "50 users keep every gate; beyond that the generator gave in, and nothing is known of the backend",
        ),
    ],
)
def test_the_result_is_one_sentence(found: Found, words: str) -> None:
    assert sentence(found, "users") == words


def test_the_step_is_a_scenario_that_can_be_read_back(own: Scenario, tmp_path: Path) -> None:
    path = tmp_path / "step.yaml"
    path.write_bytes(msgspec.yaml.encode(at_level(own, options(), 25)))
    assert scenario.load(str(path))[0].users == 25
    assert yaml.safe_load(path.read_text())["name"] == "mine-25"
