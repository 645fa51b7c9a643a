"""The chaos part of a run: which listeners it opens, that it does nothing without faults, and that its end leaves nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any, ClassVar

import psutil
import pytest
import yaml

from chaos.faults.backend import ACTIONS
from chaos.server import provide
from chaos.sweep import tagged
from loadtests.conductor.options import Prepared, RunOptions, prepare
from loadtests.conductor.processes import Backend
from loadtests.conductor.rig import Rig, listeners_of
from loadtests.dial import Target
from loadtests.journal import Journal, read_journal
from tests.live.gauntlet import until

RUN = "rig-test-run"
KEPT = "ws://127.0.0.1:9/ws"


def prepared(folder: Path, *faults: dict[str, Any], scope: str = "cohort", **options: Any) -> Prepared:
    rows = [{"at_s": 2 * i, "for_s": 1, "fault": fault} for i, fault in enumerate(faults)]
    phases = [{"name": "steady", "s": 0.5}, {"name": "broken", "s": 20, "faults": rows}, {"name": "after", "s": 1}]
    body = {
        "scenario": 1, "name": "mine", "users": 4, "pace_ms": 1000, "prompts": ["p"], "phases": phases, "scope": scope,
    }  # fmt: skip
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(body))
    return prepare(RunOptions(**{"scenario": str(path), **options}))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    one = Journal(tmp_path / "history.jsonl")
    yield one
    one.close()


@pytest.mark.parametrize(
    ("faults", "scope", "names"),
    [
        ([{"kind": "down"}], "cohort", ["control", "treated"]),
        ([{"kind": "sleep"}], "cohort", ["control", "treated"]),
        ([{"kind": "switch"}], "cohort", ["control", "treated", "treated-alt"]),
        ([{"kind": "handshake", "fault": "jam"}], "cohort", ["control", "treated", "treated-hs"]),
        ([{"kind": "backend-pause"}], "backend", ["treated"]),
    ],
)
def test_a_run_opens_the_listeners_that_its_faults_want(
    tmp_path: Path, faults: list[dict[str, Any]], scope: str, names: list[str]
) -> None:
    assert listeners_of(prepared(tmp_path, *faults, scope=scope)) == names


def test_without_faults_it_opens_starts_and_ends_nothing(tmp_path: Path, journal: Journal) -> None:
    one = prepared(tmp_path, {"kind": "down"}, chaos=False)
    rig = Rig(one, tmp_path, RUN, None, journal, print)
    target = Target.parse("ws://127.0.0.1:9", one.contract.file.endpoint)
    assert rig.open(target) == {}
    rig.watch(target, None)
    rig.start(0)
    assert (rig.errors, rig.join(0)) == ([], True)
    rig.heal(0)
    rig.close()
    assert read_journal(tmp_path / "history.jsonl") == []


def test_a_command_has_its_own_time_to_come_to_an_end(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    class Slow:
        def __init__(self, *_: object, **__: object) -> None: ...
        def watch(self) -> None: ...
        def start(self, t0_ns: int) -> None: ...
        def stop(self) -> None: ...
        def join(self, timeout_s: float) -> bool:
            waited.append(timeout_s)
            return True

    monkeypatch.setattr("chaos.nemesis.Nemesis", Slow)
    command = {"kind": "command", "apply": ["true"], "revert": ["true"], "timeout_s": 7}
    one = prepared(tmp_path, command, scope="backend")
    rig = Rig(one, tmp_path, RUN, None, journal, print)
    rig.watch(Target.parse("ws://127.0.0.1:9", one.contract.file.endpoint), None)
    rig.start(0)
    assert rig.join(10)
    rig.heal(3)
    assert waited == [34, 19]  # a command may take a second more than its time, three and two times


class Unstarted:
    """A nemesis that only keeps what it was given."""

    given: ClassVar[dict[str, Any]] = {}

    def __init__(self, *_: object, **how: object) -> None:
        type(self).given = how

    def watch(self) -> None: ...


@pytest.mark.parametrize(
    ("options", "ours", "asks"), [({}, True, True), ({"nodes": 2}, True, False), ({}, False, False)]
)
def test_one_process_of_ours_is_asked_when_pings_arrived_and_nobody_else(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], ours: bool, asks: bool
) -> None:
    said: list[tuple[str, bytes]] = []
    monkeypatch.setattr("chaos.nemesis.Nemesis", Unstarted)
    monkeypatch.setattr("loadtests.conductor.rig.heard_at", lambda url, name: said.append((url, name)))
    one = prepared(tmp_path, {"kind": "jam"}, **options)
    target = Target.parse("ws://127.0.0.1:9", one.contract.file.endpoint)
    Rig(one, tmp_path, RUN, None, journal, print).watch(target, keeper() if ours else None)
    assert (Unstarted.given["heard"] is not None) == asks
    if asks:
        Unstarted.given["heard"](b"ann.")
        assert said == [(KEPT, b"ann.")]


def test_listeners_stand_in_the_journal_before_they_are_opened(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[dict[str, Any]] = []

    def opening(*_: object, **__: object) -> dict[str, Any]:
        found.extend(read_journal(tmp_path / "history.jsonl"))
        return {}

    monkeypatch.setattr("chaos.listeners.open_listeners", opening)
    one = prepared(tmp_path, {"kind": "switch"})
    Rig(one, tmp_path, RUN, tmp_path, journal, print).open(Target.parse("ws://127.0.0.1:9", one.contract.file.endpoint))
    (record,) = found
    assert (record["type"], record["names"], record["private"]) == ("listeners", listeners_of(one), True)


@pytest.mark.live
def test_a_fault_on_the_backend_is_made_by_its_keeper_and_healed_at_once_when_asked(
    tmp_path: Path, journal: Journal
) -> None:
    one = prepared(tmp_path, {"kind": "backend-kill"}, scope="backend")
    (tmp_path / "rows").mkdir()
    backend = Backend(tmp_path, {}, 1, "", "", "", comes_back=True)
    rig = Rig(one, tmp_path, RUN, provide(lambda _: None), journal, print)
    try:
        target = Target.parse(backend.url, one.contract.file.endpoint)
        assert set(rig.open(target)) == {"treated"}
        first = backend._process.pid
        rig.watch(target, backend)
        rig.start(monotonic_ns())
        pause = threading.Event()
        while not steps(tmp_path, "applied"):
            assert not pause.wait(0.02)
        rig.heal(10)
        assert steps(tmp_path, "healed")
        assert (backend._process.pid != first, backend._process.poll(), rig.errors) == (True, None, [])
    finally:
        rig.close()
        backend.stop()
    assert tagged(RUN) == []


def test_every_deed_that_a_fault_on_the_backend_asks_for_is_there(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaos.nemesis.Nemesis", Unstarted)
    one = prepared(tmp_path, {"kind": "node-kill"}, scope="backend", nodes=2)
    done: list[str] = []
    rig = Rig(one, tmp_path, RUN, None, journal, print)
    rig.watch(Target.parse("ws://127.0.0.1:9", one.contract.file.endpoint), keeper(done.append))
    asked = Unstarted.given
    assert set(asked["backend"]) == {name for pair in ACTIONS.values() for name in pair if name}
    for deed in asked["backend"].values():
        deed()
    assert done == [name.replace("-", "_") for name in asked["backend"]]


@pytest.mark.live
@pytest.mark.parametrize("kind", ["node-kill", "rollout"])
def test_a_fault_on_nodes_bites_and_heals_through_a_real_toxiproxy(tmp_path: Path, journal: Journal, kind: str) -> None:
    one = prepared(tmp_path, {"kind": kind}, scope="backend", nodes=2)
    (tmp_path / "rows").mkdir()
    backend = Backend(tmp_path, {}, 1, "", "", "", one.backend_options, comes_back=one.hits_backend)
    rig = Rig(one, tmp_path, RUN, provide(lambda _: None), journal, print)
    try:
        target = Target.parse(backend.url, one.contract.file.endpoint)
        rig.open(target)
        rig.watch(target, backend)
        rig.start(monotonic_ns() + 1_500_000_000)
        (effect,) = until(lambda: [r for r in read_journal(tmp_path / "history.jsonl") if r["type"] == "effect"], 40)
        assert (effect["effect"], rig.errors) == ("confirmed", [])
        assert (len(steps(tmp_path, "applied")), len(steps(tmp_path, "healed"))) == (1, 1)
        assert len(psutil.Process(backend._process.pid).children()) == 2
    finally:
        rig.heal(10)
        rig.close()
        backend.stop()
    assert tagged(RUN) == []


def keeper(do: Callable[[str], None] = print) -> Any:
    """Of a backend that is none: each deed only says its name."""
    deeds = {name: partial(do, name) for name in vars(Backend) if name[0] != "_"}
    return type("Keeper", (), {**deeds, "url": KEPT})()


def steps(folder: Path, step: str) -> list[dict[str, Any]]:
    return [record for record in read_journal(folder / "history.jsonl") if record.get("step") == step]
