"""A step's scenario holds one level and is judged on what is held; what cannot be searched is told before any traffic."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import yaml

from loadtests import scenario
from loadtests.capacity import Found
from loadtests.conductor.capacity import CapacityOptions, at_level, capacity, exit_code, sentence
from loadtests.conductor.options import RunOptions
from loadtests.conductor.report import judge_again
from loadtests.errors import ConfigError, GauntletError, PreflightError
from loadtests.scenario import Scenario
from tests.reports.rundirs import Plan, write_run

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
        "arrivals.achieved{phase:hold}": ["rate>0.95"],
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


def test_more_users_of_a_fixed_rate_ask_no_more_and_are_no_search(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT)
    with pytest.raises(GauntletError, match="have a rate of their own, and more users ask no more; expected --by rate"):
        capacity(options(str(path), out=tmp_path / "new"), print, lambda *_: None)


def answering(monkeypatch: pytest.MonkeyPatch, limit: int, error: Exception) -> list[int]:
    """Runs that keep every gate up to a level, and cannot even begin beyond it."""
    levels: list[int] = []

    def run(one: RunOptions, *_: object) -> int:
        level = scenario.load(one.scenario)[0].users
        levels.append(level)
        if level > limit:
            raise error
        assert one.out is not None
        write_run(one.out, Plan(users=2, phases=(("hold", 2.0),)))
        judge_again(one.out, None, None)
        edited = json.loads((one.out / "verdict.json").read_bytes())
        (one.out / "verdict.json").write_text(json.dumps({**edited, "verdict": "go"}))
        return 0

    monkeypatch.setattr("loadtests.conductor.capacity.run", run)
    return levels


@pytest.mark.parametrize(
    ("error", "gave_in", "high", "code"),
    [
        (PreflightError("tcp", "nobody listens"), "backend", 50, 0),
        (ConfigError("--users", "", "too many"), "generator", None, 3),
    ],
)
def test_a_backend_that_is_gone_has_broken_and_what_we_cannot_make_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, gave_in: str, high: int | None, code: int
) -> None:
    levels = answering(monkeypatch, 49, error)
    search = options(start=25, most=100, precision=0.5, repeats=1, cool_down_s=0, out=tmp_path / "new")
    assert capacity(search, print, lambda *_: None) == code
    record = json.loads((tmp_path / "new" / "capacity.json").read_bytes())
    assert levels[:2] == [25, 50]
    assert (record["gave_in"], record["high"]) == (gave_in, high)
    assert (tmp_path / "new" / "capacity.html").exists()


def test_what_cannot_even_begin_once_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, 0, PreflightError("tcp", "nobody listens"))
    with pytest.raises(PreflightError):
        capacity(options(start=5, out=tmp_path / "new"), print, lambda *_: None)


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


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Found(16, 17, "backend"), 0), (Found(0, 1, "backend"), 0), (Found(50, None, "nobody"), 0),
        (Found(16, None, "generator"), 3), (Found(16, 20, "undecided"), 3), (Found(0, None, "undecided"), 3),
        (Found(0, None, "backend"), 3),
    ],
)  # fmt: skip
def test_a_search_that_says_nothing_of_the_backend_is_no_pass(found: Found, code: int) -> None:
    assert exit_code(found) == code
