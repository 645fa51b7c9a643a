"""A worker host's own part; what it does with a living master is in ``tests/live/test_hosts.py``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.ports import free_port
from loadtests import conductor
from loadtests.cohorts import treated
from loadtests.conductor import folder, worker
from loadtests.conductor.hostoptions import same_of
from loadtests.conductor.options import prepare
from loadtests.conductor.papers import Part
from loadtests.errors import ConfigError, PreflightError
from loadtests.history import RowKind
from loadtests.hosts.roster import Roster
from loadtests.hosts.server import Door
from loadtests.hosts.wire import TOKEN_VARIABLE
from loadtests.recorder import Recorder
from tests.live.gauntlet import CHAOS, scenario

TOKEN = "a token of twenty-odd characters"


def options(tmp_path: Path, port: int) -> conductor.RunOptions:
    return conductor.RunOptions(
        scenario=str(scenario(tmp_path / "short.yaml")), target="ws://127.0.0.1:1", contract="reference", chaos=False,
        worker=f"127.0.0.1:{port}", out=tmp_path / "part",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)


def test_a_master_that_is_not_there_is_looked_for_and_then_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "COME_S", 0.1)
    with pytest.raises(PreflightError, match="nobody answers"):
        conductor.run(options(tmp_path, free_port()), lambda _: None, lambda *_: None)
    assert not (tmp_path / "part").exists()


def test_a_master_of_another_run_refuses_and_nothing_stays(tmp_path: Path) -> None:
    roster = Roster(1, {"contract": "another"}, tmp_path / "run")
    door = Door(("127.0.0.1", 0), TOKEN.encode(), roster.answer)
    with pytest.raises(ConfigError, match="another at the master"):
        conductor.run(options(tmp_path, door.address[1]), lambda _: None, lambda *_: None)
    door.close()
    assert not (tmp_path / "part").exists()
    assert not roster.hosts


def test_a_target_that_only_this_host_cannot_reach_is_told_to_the_master(tmp_path: Path) -> None:
    one = options(tmp_path, free_port())
    same = same_of(prepare(one), folder.make(prepare(one)))
    folder.discard(tmp_path / "part", itself=True)
    roster = Roster(1, same, tmp_path / "run")
    port = int(one.worker.rpartition(":")[2])

    def answer(*words: object) -> object:
        found = roster.answer(*words)  # type: ignore[arg-type]
        if roster.hosts and roster.hosts[0].first < 0:
            roster.assign("gx00000000")
        return found

    door = Door(("127.0.0.1", port), TOKEN.encode(), answer)  # type: ignore[arg-type]
    with pytest.raises(PreflightError, match="connect"):
        conductor.run(one, lambda _: None, lambda *_: None)
    door.close()
    assert "preflight failed at connect" in roster.trouble
    assert roster.hosts[0].state == "ended"


@pytest.mark.parametrize(
    ("part", "ours"), [(Part("gx", 0, 3), ([0, 3, 6, 9], [1, 4, 7])), (Part("gx", 2, 3), ([2, 5, 8],))]
)
def test_a_hosts_own_users_must_fit_into_its_open_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: Part, ours: tuple[list[int], ...]
) -> None:
    asked: list[tuple[int, int, int, bool]] = []
    file = scenario(tmp_path / "broken.yaml", CHAOS, users=10, treated_share=0.5)
    one = replace(options(tmp_path, free_port()), scenario=str(file), chaos=True, processes=len(ours))
    prepared = prepare(one)
    monkeypatch.setattr(
        "loadtests.descriptors.check",
        lambda users, processes, hit, *, chaos: asked.append((users, processes, hit, chaos)),
    )
    host = worker.Worker(prepared, folder.make(prepared), None, lambda _: None, lambda *_: None)
    host._check_descriptors(part)
    here = {user for users in ours for user in users}
    assert asked == [(len(here), len(ours), len(here & treated(one.seed, 10, 0.5)), True)]


def test_rows_are_counted_by_their_process_and_where_it_could_not_as_they_lie_there(tmp_path: Path) -> None:
    for name in ("worker-0", "worker-1"):
        recorder = Recorder(tmp_path, name)
        for kind in (RowKind.SEND, RowKind.SEND, RowKind.END):
            recorder.row(int(kind), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 1, -1, 0)
        recorder.close()
    (tmp_path / "worker-1.json").unlink()
    account = json.loads((tmp_path / "worker-0.json").read_bytes())
    (tmp_path / "worker-0.json").write_text(json.dumps({**account, "kinds": {"SEND": 9}}))
    assert worker._wrote(tmp_path) == {"worker-0": {"SEND": 9}, "worker-1": {"SEND": 2, "END": 1}}
