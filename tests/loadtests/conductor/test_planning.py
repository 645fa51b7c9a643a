"""An experiment takes the place of a scenario's phases and of nothing else; plans are as a run would make them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import yaml

from chaos import experiment
from loadtests import scenario
from loadtests.conductor.options import RunOptions, prepare
from loadtests.conductor.planning import FORMS, form_of, plan_named, replayed, with_experiment
from loadtests.errors import ConfigError
from loadtests.scenario import Abort

PHASES = [
    {"name": "steady", "s": 5},
    {"name": "broken", "s": 4, "faults": [{"at_s": [0, 1], "for_s": 2, "fault": {"kind": "down"}}]},
    {"name": "cool-down", "s": 4},
]


def written(folder: Path, **changes: object) -> str:
    body = {
        "experiment": 1, "name": "mine", "title": "Mine", "hypothesis": "It holds.", "full": PHASES, "short": PHASES, **changes,
    }  # fmt: skip
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(body))
    return str(path)


def test_an_experiments_phases_replace_the_scenarios_and_the_rest_stays(tmp_path: Path) -> None:
    own, _ = scenario.load("smoke")
    _, ours, where = with_experiment(own, written(tmp_path), "")
    assert [phase.name for phase in ours.phases] == ["steady", "broken", "cool-down"]
    assert (ours.name, ours.title, where) == ("smoke-mine", "Mine", str(tmp_path / "mine.yaml"))
    assert (ours.users, ours.prompts, ours.gates, ours.treated_share) == (own.users, own.prompts, own.gates, 0.5)


def test_what_an_experiment_wishes_for_beside_its_phases_is_granted(tmp_path: Path) -> None:
    wishes = {
        "users": 8, "pace_ms": 500, "prompts": ["hm"], "treated_share": 0.25, "retry": {"base_ms": 7}, "contract": "netra",
        "abort": {"error_rate": 0.5},
    }  # fmt: skip
    _, ours, _ = with_experiment(scenario.load("smoke")[0], written(tmp_path, **wishes), "short")
    assert (ours.users, ours.pace_ms, ours.prompts, ours.treated_share) == (8, 500, ["hm"], 0.25)
    assert (ours.retry.base_ms, ours.contract, ours.abort) == (7, "netra", Abort(error_rate=0.5))


def test_an_experiment_on_the_backend_leaves_no_control(tmp_path: Path) -> None:
    phases = [PHASES[0], {"name": "broken", "s": 4, "fault": {"kind": "backend-pause"}}, PHASES[2]]
    one, ours, _ = with_experiment(
        scenario.load("smoke")[0], written(tmp_path, full=phases, short=phases, scope="backend"), ""
    )
    assert (one.scope, ours.scope, ours.treated_share) == ("backend", "backend", 1.0)


@pytest.mark.parametrize("name", experiment.names())
@pytest.mark.parametrize("form", FORMS)
def test_a_plan_by_name_is_the_plan_of_the_run(name: str, form: str) -> None:
    run = prepare(RunOptions(scenario="smoke", experiment=name, form=form, seed=5))
    assert plan_named(name, 5, form).to_json() == run.plan.to_json()
    assert run.chaos


def test_a_file_is_an_experiment_or_a_scenario_by_what_it_says(tmp_path: Path) -> None:
    assert [window.kind for window in plan_named(written(tmp_path), 1, "short").windows] == ["down"]
    assert plan_named("smoke", 3).to_json() == prepare(RunOptions(scenario="smoke", seed=3)).plan.to_json()


@pytest.mark.parametrize("name", ["swarm", "half-open-ghosts", "backend-kill", "latency-steps"])
def test_a_recorded_plan_is_replayed_to_the_same_bytes(tmp_path: Path, name: str) -> None:
    first = prepare(RunOptions(scenario="smoke", experiment=name, form="short", seed=6))
    (tmp_path / "plan.json").write_text(first.plan.to_json())
    again = prepare(RunOptions(scenario="smoke", experiment=str(tmp_path / "plan.json"), seed=6))
    assert again.plan.to_json() == first.plan.to_json()
    assert again.chaos
    assert again.scenario.name == "smoke-plan"


def test_a_recorded_plan_brings_what_the_experiment_of_its_run_asked_for(tmp_path: Path) -> None:
    first = prepare(RunOptions(scenario="smoke", experiment="half-open-ghosts", form="short"))
    (tmp_path / "manifest.json").write_text(json.dumps({"experiment": "half-open-ghosts"}))
    (tmp_path / "shrunk").mkdir()
    for folder in (tmp_path, tmp_path / "shrunk"):
        (folder / "plan.json").write_text(first.plan.to_json())
        again = prepare(RunOptions(scenario="smoke", experiment=str(folder / "plan.json")))
        assert again.backend_options == first.backend_options != {}
        assert (again.scenario.users, again.scenario.retry) == (first.scenario.users, first.scenario.retry)


def test_a_recorded_plan_brings_the_backends_options_whoever_asked_for_them(tmp_path: Path) -> None:
    first = prepare(RunOptions(scenario="smoke", experiment="flap", form="short", nodes=3))
    (tmp_path / "manifest.json").write_text(json.dumps({"experiment": "flap", "backend": first.backend_options}))
    (tmp_path / "plan.json").write_text(first.plan.to_json())
    again = prepare(RunOptions(scenario="smoke", experiment=str(tmp_path / "plan.json")))
    assert again.backend_options["nodes"] == 3


def test_a_plan_that_ran_against_a_target_takes_nothing_from_its_experiment(tmp_path: Path) -> None:
    first = prepare(RunOptions(scenario="smoke", experiment="half-open-ghosts", form="short"))
    (tmp_path / "manifest.json").write_text(json.dumps({"experiment": "half-open-ghosts", "backend": {}}))
    (tmp_path / "plan.json").write_text(first.plan.to_json())
    again = prepare(RunOptions(scenario="smoke", experiment=str(tmp_path / "plan.json")))
    assert again.backend_options == first.backend_options != {}


def test_a_runs_own_scenario_runs_again_though_its_gates_name_phases_that_are_gone(tmp_path: Path) -> None:
    first = prepare(RunOptions(scenario="smoke", experiment="flap", form="short"))
    gates = {**first.scenario.gates, "turn.success{fault:latency}": ["rate>0.5"]}
    own = msgspec.structs.replace(first.scenario, gates=gates)
    (tmp_path / "scenario.yaml").write_bytes(msgspec.yaml.encode(own))
    with pytest.raises(ConfigError, match="unknown phase"):
        prepare(RunOptions(scenario=str(tmp_path / "scenario.yaml")))
    (tmp_path / "manifest.json").write_text(json.dumps({"declared_phases": list(first.phases)}))
    again = prepare(RunOptions(scenario=str(tmp_path / "scenario.yaml")))
    assert again.plan.to_json() == first.plan.to_json()
    assert set(again.phases) == set(first.phases)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 1}'])
def test_what_is_no_plan_is_not_replayed(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ConfigError, match=r"plan\.json"):
        replayed(tmp_path / "plan.json")
    with pytest.raises(ConfigError, match="of a run"):
        replayed(tmp_path / "gone.json")


@pytest.mark.parametrize(("text", "form"), [("", "full"), ("full", "full"), ("short", "short")])
def test_forms(text: str, form: str) -> None:
    assert form_of(text) == form


@pytest.mark.parametrize(
    ("what", "form", "words"),
    [
        ("flapp", "", "no experiment or scenario 'flapp'; did you mean 'flap'?"),
        ("flap", "medium", "--form: 'medium'; one of full, short"),
        ("smoke", "short", "smoke is no experiment, and only an experiment has forms"),
        ("gone.yaml", "", "no experiment or scenario 'gone.yaml'"),
    ],
)
def test_what_has_no_plan(what: str, form: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_named(what, 1, form)
    assert words in str(caught.value)
