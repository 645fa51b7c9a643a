"""What the command line may ask of several hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtests.conductor import folder
from loadtests.conductor.hostoptions import bound_to, check_hosts, same_of
from loadtests.conductor.options import RunOptions, prepare
from loadtests.errors import ConfigError
from loadtests.hosts.wire import PORT

TARGET = "ws://127.0.0.1:1"
MASTER: dict[str, Any] = {"scenario": "smoke", "target": TARGET, "master": True, "workers": 2}
WORKER: dict[str, Any] = {"scenario": "smoke", "target": TARGET, "worker": "10.0.0.1"}


@pytest.mark.parametrize("options", [MASTER, WORKER, {**WORKER, "workers": 2}, {**MASTER, "bind": "[::1]:9"}])
def test_what_is_possible(options: dict[str, Any]) -> None:
    check_hosts(RunOptions(**options))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({**MASTER, "worker": "10.0.0.1"}, "--master or --worker"), ({**MASTER, "workers": 0}, "at least 1"),
        ({**MASTER, "target": ""}, "--target with it"), ({**WORKER, "target": ""}, "--target with it"),
        ({**MASTER, "web": True}, "--web on a worker host"), ({**MASTER, "bind": "10.0.0.1:x"}, "is no address"),
        ({**WORKER, "worker": "10.0.0.1:x"}, "is no address"), ({**WORKER, "bind": "10.0.0.1"}, "--master with it"),
        ({"scenario": "smoke", "workers": 2}, "--master with it"), ({"scenario": "smoke", "bind": "::1"}, "--master with it"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_said_before_any_traffic(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_hosts(RunOptions(**options))
    assert words in str(caught.value)


def broken_by(folder: Path, fault: dict[str, Any], scope: str) -> str:
    """A scenario with one window."""
    file = folder / "broken.yaml"
    phases = [{"name": "steady", "s": 2}, {"name": "broken", "s": 2, "fault": fault}, {"name": "after", "s": 2}]
    body = {
        "scenario": 1, "name": "broken", "users": 8, "pace_ms": 1000, "prompts": ["p"], "phases": phases, "scope": scope,
    }  # fmt: skip
    file.write_text(yaml.safe_dump(body))
    return str(file)


@pytest.mark.parametrize("options", [MASTER, WORKER])
def test_faults_are_made_on_every_host(options: dict[str, Any]) -> None:
    assert prepare(RunOptions(**options)).plan.windows


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "command", "apply": ["true"], "revert": ["true"]}, "this command would run once on each"),
        ({"kind": "backend-pause"}, "acts on the backend's own process, and the target is not ours"),
    ],
)
@pytest.mark.parametrize("options", [MASTER, WORKER])
def test_what_would_hit_the_backend_from_every_host_is_refused(
    tmp_path: Path, options: dict[str, Any], fault: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        prepare(RunOptions(**{**options, "scenario": broken_by(tmp_path, fault, "backend")}))


def test_a_master_makes_no_load_so_it_needs_no_files_for_all_sessions() -> None:
    many = {"users": 10**6, "chaos": False}
    assert prepare(RunOptions(**MASTER, **many)).scenario.users == 10**6
    with pytest.raises(ConfigError, match="open files"):
        prepare(RunOptions(scenario="smoke", target=TARGET, **many))


def test_the_master_listens_on_loopback_unless_told_otherwise() -> None:
    assert bound_to(RunOptions(**MASTER)) == ("127.0.0.1", PORT)
    assert bound_to(RunOptions(**MASTER, bind="10.0.0.1:99")) == ("10.0.0.1", 99)


def test_two_hosts_with_one_command_have_everything_in_common_and_another_seed_differs(tmp_path: Path) -> None:
    def same(name: str, role: dict[str, Any], **more: Any) -> dict[str, str]:
        prepared = prepare(RunOptions(**role, chaos=False, out=tmp_path / name, **more))
        return same_of(prepared, folder.make(prepared))

    assert same("a", MASTER) == same("b", WORKER)
    other = same("c", WORKER, seed=2)
    assert {name for name, value in same("d", MASTER).items() if other[name] != value} >= {"--seed"}
    fewer = same("e", WORKER, users=30)
    assert {"--users", "scenario"} <= {name for name, value in fewer.items() if other[name] != value}
