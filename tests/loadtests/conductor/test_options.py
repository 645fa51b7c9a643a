"""Everything that can be wrong before any traffic is found before any traffic."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtests import arrivals, descriptors
from loadtests.conductor.options import RunOptions, prepare
from loadtests.contract.compile import built_in
from loadtests.errors import ConfigError
from loadtests.scenario import BUILT_IN


def scenario(folder: Path, **changes: Any) -> str:
    body = {
        "scenario": 1, "name": "mine", "users": 10, "pace_ms": 1000, "prompts": ["p"],
        "phases": [{"name": "steady", "s": 10}, {"name": "cut", "s": 5, "fault": {"kind": "down"}}, {"name": "after", "s": 5}], **changes,
    }  # fmt: skip
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(body))
    return str(path)


def refused(**options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        prepare(RunOptions(**{"scenario": "smoke", **options}))
    return str(caught.value)


def test_what_will_run_is_known_whole() -> None:
    one = prepare(RunOptions(scenario="smoke", seed=3))
    assert (one.contract.name, one.target, one.chaos) == ("reference", None, True)
    assert [window.kind for window in one.plan.windows] == ["latency", "down"]
    assert {str(gate.selector) for gate in one.gates} >= {"connect.ready{fault:none}", "turn.success{cohort:control}"}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "reference"),
        ({"target": "ws://127.0.0.1:1"}, "netra"),
        ({"target": "ws://127.0.0.1:1", "contract": "reference"}, "reference"),
        ({"contract": "netra"}, "netra"),
    ],
)
def test_a_strangers_backend_is_held_to_the_audited_wire_unless_told_otherwise(
    options: dict[str, str], name: str
) -> None:
    if name == "netra":
        options = {**options, "chaos": False}  # type: ignore[dict-item]
    assert prepare(RunOptions(scenario="smoke", **options)).contract.name == name  # type: ignore[arg-type]


def test_a_scenario_that_names_its_contract_is_held_to_it_on_a_target_too(tmp_path: Path) -> None:
    mine = scenario(tmp_path, contract="netra-v2")
    for options, name in (({}, "netra-v2"), ({"contract": "netra"}, "netra")):
        one = prepare(RunOptions(scenario=mine, target="ws://127.0.0.1:1", chaos=False, **options))  # type: ignore[arg-type]
        assert one.contract.name == name


def test_without_chaos_nothing_is_planned() -> None:
    one = prepare(RunOptions(scenario="smoke", chaos=False))
    assert (one.chaos, one.plan.windows, one.scenario.total_s) == (False, (), one.declared.total_s)


def test_gates_may_name_the_scenario_s_faults_even_where_an_override_leaves_them_out(tmp_path: Path) -> None:
    gates = {"turn.total{fault:down}": ["p(95)<1"], "turn.total{fault:w1}": ["p(95)<1"]}
    for chaos in (True, False):
        one = prepare(RunOptions(scenario=scenario(tmp_path, gates=gates), chaos=chaos))
        assert {str(gate.selector) for gate in one.gates} > set(gates)
    for fault, words in (("dwn", "did you mean 'down'?"), ("jam", "unknown fault 'jam'"), ("w2", "unknown fault 'w2'")):
        assert words in refused(scenario=scenario(tmp_path, gates={f"turn.total{{fault:{fault}}}": ["p(95)<1"]}))


def test_gates_on_phases_that_an_override_removed_are_still_understood() -> None:
    one = prepare(RunOptions(scenario="smoke", chaos=False))
    assert any(gate.selector.labels.get("phase") == "recovery-down" for gate in one.gates)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gates": {"turn.totl": ["p(95)<1"]}}, "mine.yaml at gates.turn.totl: unknown metric"),
        ({"gates": {"turn.total{phase:cutt}": ["p(95)<1"]}}, "did you mean 'cut'?"),
        ({"gates": {"event.agent_startd": ["p(95)<1"]}}, "did you mean 'event.agent_started'?"),
        ({"phases": [{"name": "a", "s": 1, "fault": {"kind": "dwn"}}, {"name": "b", "s": 1}]}, "did you mean 'down'?"),
        ({"phases": [{"name": "a", "s": 1, "fault": {"kind": "latency", "latncy_ms": 1}}, {"name": "b", "s": 1}]},
         "did you mean 'latency_ms'?"),
        ({"contract": "nettra"}, "did you mean 'netra'?"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_scenario_is_told_with_its_place(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    assert words in refused(scenario=scenario(tmp_path, **changes))


OVERLAP = {"overlap": {"share": 0.1}}


@pytest.mark.parametrize(
    "options",
    [{"contract": "netra"}, {"contract": "ag-ui", "experiment": "baseline-null"}, {"target": "ws://127.0.0.1:1"}],
)
def test_a_second_message_is_sent_only_where_the_contract_says_what_becomes_of_it(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    text = refused(scenario=scenario(tmp_path, **OVERLAP), **options)
    assert "mine.yaml at overlap: contract" in text
    assert "expected turn.concurrent in the contract (queue, reject, parallel, supersede), or no overlap" in text
    assert prepare(RunOptions(scenario=scenario(tmp_path), **options)).scenario.overlap.share == 0


@pytest.mark.parametrize("contract", ["reference", "graphql-transport-ws"])
def test_where_it_does_the_second_message_is_sent(tmp_path: Path, contract: str) -> None:
    one = prepare(RunOptions(scenario=scenario(tmp_path, **OVERLAP), contract=contract))
    assert one.scenario.overlap.share == 0.1


@pytest.mark.parametrize("name", sorted(path.stem for path in BUILT_IN.glob("*.yaml")))
@pytest.mark.parametrize("contract", sorted(built_in()))
def test_a_built_in_scenario_runs_under_every_built_in_contract(name: str, contract: str) -> None:
    assert prepare(RunOptions(scenario=name, contract=contract)).contract.name == contract


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"defect": "silence"}, "did you mean 'silent'?"),
        ({"defect": "silent", "target": "ws://127.0.0.1:1"}, "only the embedded backend has planted defects"),
        ({"defect": "epoch-ignored"}, "--defect: epoch-ignored cannot show on one node; expected --nodes 2"),
        ({"defect": "epoch-ignored", "nodes": 1}, "expected --nodes 2"),
        ({"nodes": 0}, "--nodes: 0; expected 1 to 16"),
        ({"nodes": 17}, "--nodes: 17; expected 1 to 16"),
        ({"nodes": 2, "target": "ws://127.0.0.1:1"}, "--nodes: only the embedded backend"),
        ({"toxiproxy_url": "http://127.0.0.1:1", "chaos": False}, "this run has no faults"),
        ({"processes": 0}, "--processes: 0"),
        ({"target": "ws://127.0.0.1:1", "resolve": "x"}, "--resolve"),
        ({"target": "wss://127.0.0.1:1", "ca": "none.pem"}, "--ca none.pem"),
        ({"target": "ws://127.0.0.1:1/ws?apikey=hush", "chaos": False}, "give secrets by --token-env"),
        ({"token_env": "NO_SUCH"}, "NO_SUCH"),
    ],
)
def test_a_mistake_in_the_options_is_told(options: dict[str, Any], words: str) -> None:
    assert words in refused(**options)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1", "ws://[::1]:1", "ws://127.8.8.8", "ws://localhost"])
def test_loopback_needs_no_permission(url: str) -> None:
    assert prepare(RunOptions(scenario="smoke", target=url, chaos=False)).target


def test_a_name_is_loopback_only_if_all_its_addresses_are(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ["127.0.0.1", "192.0.2.1"]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", (one, 0)) for one in addresses])
    assert "--allow-target chat.example" in refused(target="ws://chat.example", chaos=False)
    addresses.pop()
    assert prepare(RunOptions(scenario="smoke", target="ws://chat.example", chaos=False)).target


def test_another_host_must_be_named() -> None:
    assert "expected --allow-target 192.0.2.1" in refused(target="ws://192.0.2.1", chaos=False)
    assert "expected --allow-target 192.0.2.1" in refused(target="ws://192.0.2.1", chaos=False, allow_target=("other",))
    allowed = RunOptions(
        scenario="smoke", target="ws://192.0.2.1", chaos=False, allow_target=("192.0.2.1",), max_turns=9
    )
    one = prepare(allowed)
    assert one.target
    assert one.scenario.limits.turns == 9


def test_what_may_cost_money_wants_a_limit() -> None:
    elsewhere = {"target": "ws://192.0.2.1", "chaos": False, "allow_target": ("192.0.2.1",)}
    turns = sum(1 for _ in arrivals.planned(prepare(RunOptions(scenario="smoke", chaos=False)).scenario, 1))
    assert f"has no limit of what it may cost; expected --max-turns {turns}" in refused(**elsewhere)
    assert "--max-turns: 0; expected at least 1" in refused(max_turns=0)


def test_addresses_to_connect_from_are_ours_and_of_use() -> None:
    one = RunOptions(scenario="smoke", chaos=False, sources=("127.0.0.2", "127.0.0.3"))
    assert prepare(one).options.sources == ("127.0.0.2", "127.0.0.3")
    assert "--source: 192.0.2.1: Cannot assign requested address" in refused(chaos=False, sources=("192.0.2.1",))
    assert "--source: nowhere:" in refused(chaos=False, sources=("nowhere",))
    assert "faults go through Toxiproxy" in refused(sources=("127.0.0.2",))


def test_more_sessions_than_descriptors_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "hard_limit", lambda: 300)
    assert "101 sessions in a load process need about 301 open files" in refused(users=101, chaos=False)
    assert "through one Toxiproxy" in refused(users=102, processes=2)
    assert prepare(RunOptions(scenario="smoke", users=101, chaos=False, processes=2)).scenario.users == 101


def test_there_is_one_source_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_TOKEN", "hush")
    assert "--token-env is given as well" in refused(token_env="CHAT_TOKEN", token_program="/bin/true")


def test_a_name_that_is_resolved_to_loopback_by_hand_needs_no_permission() -> None:
    one = prepare(
        RunOptions(scenario="smoke", target="wss://chat.example", resolve="chat.example=127.0.0.1", chaos=False)
    )
    assert one.target
    assert one.target.address == "127.0.0.1"


# -- experiments -------------------------------------------------------------------------------------------------------


def test_gates_on_phases_and_faults_that_an_experiment_has_replaced_are_still_understood(tmp_path: Path) -> None:
    gates = {"turn.total{phase:cut}": ["p(90)<8000"], "turn.total{fault:down}": ["p(90)<8000"]}
    one = prepare(RunOptions(scenario=scenario(tmp_path, gates=gates), experiment="jitter-burst", form="short"))
    assert [window.kind for window in one.plan.windows] == ["jitter"]
    assert set(one.phases) == {"steady", "cut", "after", *(phase.name for phase in one.scenario.phases)}


def test_an_experiment_without_any_fault_goes_through_toxiproxy_all_the_same() -> None:
    one = prepare(RunOptions(scenario="smoke", experiment="baseline-null", toxiproxy_url="http://127.0.0.1:1"))
    assert (one.chaos, one.plan.windows, one.hits_backend) == (True, (), False)


def test_what_an_experiment_asks_of_the_embedded_backend_is_handed_on(tmp_path: Path) -> None:
    phases = [{"name": "steady", "s": 5}, {"name": "cool-down", "s": 5}]
    body = {
        "experiment": 1, "name": "mine", "title": "t", "hypothesis": "h", "full": phases, "short": phases,
        "backend": {"ping_interval_s": 2},
    }  # fmt: skip
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(body))
    assert prepare(RunOptions(scenario="smoke", experiment=str(path))).backend_options == {"ping_interval_s": 2}
    assert prepare(RunOptions(scenario="smoke")).backend_options == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"experiment": "flapp"}, "no experiment 'flapp'; did you mean 'flap'?"),
        ({"experiment": "flap", "form": "long"}, "--form: 'long'; one of full, short"),
        ({"form": "short"}, "--form: only an experiment has forms"),
        ({"experiment": "flap", "chaos": False}, "no --no-chaos with it"),
        ({"experiment": "flap", "duration_s": 9.0}, "--duration: an experiment's forms say how long it takes"),
        ({"experiment": "flap", "users": 1}, "cannot be split into two cohorts"),
        (
            {"experiment": "backend-kill", "target": "ws://127.0.0.1:1"},
            "backend-kill acts on the backend's own process, and the target is not ours",
        ),
        (
            {"experiment": "node-kill", "target": "ws://127.0.0.1:1"},
            "--target at windows.w1: node-kill acts on the backend's own process, and the target is not ours",
        ),
        (
            {"experiment": "rolling-deploy", "nodes": 1},
            "experiment rolling-deploy at windows.w1: rollout acts on a node, and the embedded backend is one process",
        ),
    ],
)
def test_what_an_experiment_does_not_go_with(options: dict[str, Any], words: str) -> None:
    assert words in refused(**{"contract": "reference", **options})


def test_one_user_is_enough_where_everybody_is_hit() -> None:
    one = prepare(RunOptions(scenario="smoke", experiment="backend-kill", users=1))
    assert (one.hits_backend, one.scenario.treated_share) == (True, 1.0)


# -- nodes -------------------------------------------------------------------------------------------------------------


def on_nodes(folder: Path, kind: str, backend: Any = None) -> str:
    """An experiment file."""
    faults = [{"at_s": 1, "for_s": 1, "fault": {"kind": kind}}]
    phases = [{"name": "steady", "s": 5}, {"name": "broken", "s": 5, "faults": faults}, {"name": "cool-down", "s": 10}]
    body = {
        "experiment": 1,
        "name": "mine",
        "title": "t",
        "hypothesis": "h",
        "scope": "backend",
        "full": phases,
        "short": phases,
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(body if backend is None else {**body, "backend": backend}))
    return str(path)


@pytest.mark.parametrize("kind", ["node-kill", "rollout"])
def test_a_fault_on_a_node_needs_several_and_says_where_and_how(tmp_path: Path, kind: str) -> None:
    said = refused(experiment=on_nodes(tmp_path, kind))
    assert f"experiment.yaml at windows.w1: {kind} acts on a node" in said
    assert said.endswith("expected backend: {nodes: 2} in an experiment, or --nodes 2")
    phases = [{"name": "a", "s": 1}, {"name": "b", "s": 5, "fault": {"kind": kind}}, {"name": "c", "s": 1}]
    assert "mine.yaml at windows.w1" in refused(scenario=scenario(tmp_path, phases=phases, scope="backend"))
    one = prepare(RunOptions(scenario=scenario(tmp_path, phases=phases, scope="backend"), nodes=2))
    assert (one.backend_options, one.hits_backend) == ({"nodes": 2}, True)


@pytest.mark.parametrize(("nodes", "handed_on"), [(None, 3), (2, 2)])
def test_the_command_line_says_how_many_nodes_and_else_the_experiment(
    tmp_path: Path, nodes: int | None, handed_on: int
) -> None:
    experiment = on_nodes(tmp_path, "node-kill", {"nodes": 3, "ping_interval_s": 2})
    one = prepare(RunOptions(scenario="smoke", experiment=experiment, nodes=nodes))
    assert one.backend_options == {"nodes": handed_on, "ping_interval_s": 2}


@pytest.mark.parametrize("nodes", [0, 17, "two", 2.5, True])
def test_a_number_of_nodes_that_there_cannot_be_is_told_with_its_file(tmp_path: Path, nodes: Any) -> None:
    said = refused(experiment=on_nodes(tmp_path, "node-kill", {"nodes": nodes}))
    assert said.endswith(f"experiment.yaml at backend.nodes: {nodes!r}; expected 1 to 16")


@pytest.mark.parametrize("options", [{"nodes": 2}, {"experiment": "node-kill"}])
def test_a_defect_that_only_several_nodes_show_may_be_planted_in_them(options: dict[str, Any]) -> None:
    assert prepare(RunOptions(scenario="smoke", defect="zombie-after-kill", **options)).options.defect
