"""Scenarios: built-in, from files, overridden; every mistake is told before any traffic."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from loadtests import scenario
from loadtests.contract import load as load_contract
from loadtests.contract.schema import Usage
from loadtests.errors import ConfigError
from loadtests.metrics import parse_gates
from loadtests.scenario import BUILT_IN, Overrides, Phase, Scenario, duration_s

SMALL = """
scenario: 1
name: small
users: 10
pace_ms: 1000
prompts: [hello]
phases:
  - {name: steady, s: 10}
  - {name: cut, s: 5, fault: {kind: down}}
  - {name: after, s: 5}
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


def phases(*parts: tuple[str, float, bool]) -> Scenario:
    made = [Phase(name=name, s=s, fault={"kind": "down"} if fault else None) for name, s, fault in parts]
    return Scenario(scenario=1, name="x", users=10, pace_ms=100, prompts=["p"], phases=made)


@pytest.mark.parametrize("name", sorted(path.stem for path in BUILT_IN.glob("*.yaml")))
def test_a_built_in_scenario_is_whole_and_its_gates_are_known(name: str) -> None:
    one, where = scenario.load(name)
    assert (one.name, where) == (name, f"scenario {name}")
    phases, kinds = [phase.name for phase in one.phases], [kind.name for kind in one.mix]
    assert parse_gates(one.gates, load_contract(one.contract), phases, where, kinds=kinds)


def test_a_file_is_read_with_defaults(tmp_path: Path) -> None:
    one, _ = scenario.load(written(tmp_path, SMALL))
    assert (one.total_s, one.has_faults, one.contract, one.treated_share) == (20, True, "reference", 0.5)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("users: 10", "users: 0", ["users", ">= 1"]),
        ("users: 10", "usres: 10", ["usres", "did you mean 'users'?"]),
        ("prompts: [hello]", "prompts: []", ["prompts", "is missing, or empty"]),
        (", s: 10", ", s: 0", ["phases[0].s", "> 0"]),
        (", s: 10", ", s: ten", ["phases[0].s", "`float`", "`str`"]),
        ("{name: steady, s: 10}", "{name: steady, s: 10, fualt: {}}", ["phases[", "fualt", "did you mean 'fault'?"]),
        ("name: small", "name: Small Thing", ["name", "regex"]),
        ("scenario: 1", "scenario: 2", ["scenario"]),
        ("name: after", "name: steady", ["phases[2].name", "'steady' stands twice"]),
        ("{name: after, s: 5}", "{name: after, s: 5, fault: {kind: jam}}", ["phases[2]", "the last phase has a fault", "recover"]),
        ("users: 10", "users: 10\ntreated_share: 0.9", ["treated_share", "at most 0.8, so that a control group is left"]),
        ("users: 10", "users: 10\nretry: {capp_ms: 1}", ["retry.capp_ms", "did you mean 'cap_ms'?"]),
        ("users: 10", "users: 10\nretry: web-cliemt", ["retry", "did you mean 'web-client'?"]),
        ("pace_ms: 1000", "title: none", ["pace_ms", "is missing"]),
        ("pace_ms: 1000", "arrivals: {model: open}", ["pace_ms", "is missing"]),
        ("pace_ms: 1000", "arrivals: {model: opne}", ["arrivals.model", "opne"]),
        ("users: 10", "users: 10\narrivals: {rate_per_s: 3}", ["arrivals.rate_per_s", "arrivals are paced", "model: open"]),
        ("pace_ms: 1000", "arrivals: {model: closed}\nmix: [{name: a, pace_ms: 9}]", ["mix[0].pace_ms", "are closed", "paced"]),
        ("users: 10", "users: 10\nmix: [{name: a}, {name: a}]", ["mix[1].name", "'a' stands twice"]),
        ("users: 10", "users: 10\nmix: [{name: a, talks: false}]", ["mix", "nobody talks"]),
        ("users: 10", "users: 10\nmix: [{name: a, think_ms: [1, 2]}]", ["mix[0].think_ms", "are paced", "model: closed"]),
        (", s: 10", ", s: 10, load: -1", ["phases[0].load", ">= 0"]),
        (", s: 10", ", s: 10, load: [1]", ["phases[0].load", "length >= 2"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_place_and_expectation(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    path = written(tmp_path, SMALL.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        scenario.load(path)
    assert str(caught.value).startswith(path)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("name", "words"), [("smok", "did you mean 'smoke'? or a YAML file"), ("gone.yaml", "cannot be read")]
)
def test_a_scenario_that_is_not_there(name: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        scenario.load(name)
    assert words in str(caught.value)


def test_faults_with_times_of_their_own_are_faults_too(tmp_path: Path) -> None:
    rows = "s: 5, faults: [{at_s: [0, 1], for_s: 2, fault: {kind: down}}]}"
    one, _ = scenario.load(written(tmp_path, SMALL.replace("s: 5, fault: {kind: down}}", rows)))
    assert (one.has_faults, [phase.is_quiet for phase in one.phases]) == (True, [True, False, True])
    assert not Overrides(chaos=False).apply(one).has_faults
    halved = Overrides(duration_s=10.0).apply(one).phases[1].faults
    assert halved == [{"at_s": [0.0, 0.5], "for_s": 1.0, "fault": {"kind": "down"}}]


def test_times_that_are_none_are_left_for_the_plan_to_refuse(tmp_path: Path) -> None:
    rows = "s: 5, faults: [{at_s: soon, fault: {kind: down}}]}"
    one, _ = scenario.load(written(tmp_path, SMALL.replace("s: 5, fault: {kind: down}}", rows)))
    assert Overrides(duration_s=10.0).apply(one).phases[1].faults[0]["at_s"] == "soon"


def test_a_fault_on_the_backend_itself_has_no_control_group(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL.replace("users: 10", "users: 1\nscope: backend\ntreated_share: 0.3"))
    one, _ = scenario.load(path)
    assert (one.treated_share, Overrides().apply(one).users) == (1.0, 1)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ("{error_rate: 0}", "abort.error_rate"),
        ("{share_hit: 1.5}", "abort.share_hit"),
        ("{hit_share: 0.5}", "one of error_rate, share_hit"),
    ],
)
def test_limits_of_a_run_are_shares(tmp_path: Path, limits: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        scenario.load(written(tmp_path, SMALL + f"abort: {limits}\n"))


# -- overrides ---------------------------------------------------------------------------------------------------------


def named(one: Scenario) -> list[tuple[str, float]]:
    return [(phase.name, phase.s) for phase in one.phases]


def test_without_overrides_nothing_changes() -> None:
    one = phases(("steady", 10, False), ("cut", 5, True), ("after", 5, False))
    assert Overrides().apply(one) == one


def test_a_duration_scales_phases_by_share() -> None:
    one = Overrides(duration_s=4.0).apply(phases(("steady", 10, False), ("cut", 5, True), ("after", 5, False)))
    assert named(one) == [("steady", 2.0), ("cut", 1.0), ("after", 1.0)]


def test_without_chaos_fault_and_recovery_give_their_time_to_steady() -> None:
    one = phases(
        ("warm-up", 1, False), ("steady", 10, False), ("cut", 5, True), ("recovery", 6, False), ("cool-down", 3, False)
    )
    quiet = Overrides(chaos=False).apply(one)
    assert named(quiet) == [("warm-up", 1), ("steady", 21), ("cool-down", 3)]
    assert quiet.total_s == one.total_s
    assert not quiet.has_faults


def test_without_chaos_and_without_a_steady_phase_the_first_gets_the_time() -> None:
    quiet = Overrides(chaos=False).apply(phases(("load", 1, False), ("cut", 5, True), ("after", 3, False)))
    assert named(quiet) == [("load", 6), ("after", 3)]


def test_a_duration_without_chaos_is_kept() -> None:
    one = phases(("steady", 10, False), ("cut", 5, True), ("after", 5, False))
    assert Overrides(duration_s=40, chaos=False).apply(one).total_s == 40


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (Overrides(users=0), "--users: 0; expected at least 1"),
        (Overrides(users=1), "1 users cannot be split into two cohorts"),
        (Overrides(duration_s=0), "--duration: 0 s; expected more than nothing"),
        (Overrides(duration_s=-5), "--duration: -5 s"),
    ],
)
def test_overrides_that_make_no_run(overrides: Overrides, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        overrides.apply(phases(("steady", 10, False), ("cut", 5, True), ("after", 5, False)))
    assert words in str(caught.value)


def test_one_user_is_enough_without_faults() -> None:
    assert (
        Overrides(users=1, chaos=False).apply(phases(("steady", 10, False), ("cut", 5, True), ("a", 5, False))).users
        == 1
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("90", 90), ("1.5", 1.5), ("5m", 300), ("1h30m", 5400), ("1h1m1s", 3661), (" 2m ", 120)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "m", "5x", "-5s", "1m1h", "five", "1 m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigError, match="a duration such as 90s"):
        duration_s(text)


def test_a_closed_model_has_no_more_than_all_of_its_users(tmp_path: Path) -> None:
    text = SMALL.replace("pace_ms: 1000", "arrivals: {model: closed}").replace(", s: 10", ", s: 10, load: [0.5, 1.5]")
    with pytest.raises(ConfigError, match=re.escape("phases[0].load: [0.5, 1.5]: in a closed model it is the share")):
        scenario.load(written(tmp_path, text))


def test_what_costs_money_has_a_price_and_tokens_must_be_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape("limits.money: nothing has a price")):
        scenario.load(written(tmp_path, SMALL + "limits: {money: 3}\n"))
    one, where = scenario.load(written(tmp_path, SMALL + "limits: {tokens: 3}\n"))
    silent = load_contract("netra").file
    with pytest.raises(ConfigError, match=re.escape("limits.tokens: contract netra does not say where frames tell")):
        scenario.check_promised(one, silent, where)
    scenario.check_promised(one, msgspec.structs.replace(silent, usage=Usage(input="data.usage.in")), where)


def test_a_run_without_any_load_is_none(tmp_path: Path) -> None:
    idle = re.sub(r"(, s: \d+)", r"\1, load: 0", SMALL)
    with pytest.raises(ConfigError, match="no phase has any load"):
        scenario.load(written(tmp_path, idle))


@pytest.mark.parametrize(
    ("arrivals", "pace_ms", "rate_per_s", "late_ms"),
    [
        ("pace_ms: 500", 500, 20, 500),
        ("arrivals: {model: open, rate_per_s: 40}", 250, 40, 250),
        ("pace_ms: 500\narrivals: {model: open}", 500, 20, 500),
        ("pace_ms: 500\narrivals: {model: open, rate_per_s: 40, late_ms: 90}", 500, 40, 90),
        ("arrivals: {model: closed}", 5000, 2, 5000),
    ],
)
def test_rate_pace_and_lateness_follow_from_what_is_said(
    tmp_path: Path, arrivals: str, pace_ms: int, rate_per_s: float, late_ms: int
) -> None:
    one, _ = scenario.load(written(tmp_path, SMALL.replace("pace_ms: 1000", arrivals)))
    assert (one.pace_ms, one.rate_per_s, one.late_ms) == (pace_ms, rate_per_s, late_ms)
