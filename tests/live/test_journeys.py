"""Whole runs of journeys: every kind of step, one that shows too late what it must, and functions that fail, each in its own way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtests import arrivals
from loadtests.history import Fate, Flag, RowKind
from loadtests.rundir import RunData, read_run
from tests.live.gauntlet import Ended, gauntlet, scenario, together

pytestmark = pytest.mark.live

SECRET = "s3cr3t-and-never-shown"
#: blocks its thread, asks by itself, and looks at what was answered
MINE = """
import time

def ask(here):
    time.sleep(0.05)
    here = yield {"send": f"How is {here.person['name']}?"}
    here = yield {"await": "done"}
    assert here.answer and here.end == "ok" and here.status == 200 and "user" not in here.text

def fails(here):
    assert here.turns < 0, "a bill that does not add up"

def breaks(here):
    return {}["nothing"]
"""
EVERY = """
- send: "My code word is {nonce}. Where did the bill grow, {name}?"
- await: {role: started, within_ms: 20000}
- await: done
- http: {get: "/ws/health?of={thread}", headers: {Authorization: "Bearer {token}"}, expect_status: 200}
- think: {ms: [50, 150]}
- switch_thread: {}
- send: {say: "Compare the two plans.", expect: {min_chars: 3}}
- cancel: {after_ms: 40}
- await: done
- switch_thread: {to: first}
- send: {say: "Please recall: what was my code word?", expect: {recalls: true}}
- disconnect: {for_ms: 100, reset: true}
- await: done
- disconnect: {}
- python: mine:ask
"""
SENDS, PLANNED = (1, 7, 11), 15
GATES = {"journey.success": ["rate>0.7"], "journey.total": ["p(70)<60000"], "arrivals.achieved": ["rate>0.7"]}
PEOPLE = [{"name": "Ada"}, {"name": "Bob"}]


def run(folder: Path, journey: str, *more: str, phases: dict[str, float] | None = None, **changes: Any) -> Ended:
    (folder / "mine.py").write_text(MINE)
    facts = {"gates": GATES, "people": PEOPLE, "journey": yaml.safe_load(journey), **changes}
    path = scenario(folder / "short.yaml", phases or {"steady": 4.0, "cool-down": 2.0}, **facts)
    return gauntlet("run", path, *more, cwd=folder, env={"CHAT_TOKEN": f"{{user}}.{SECRET}"})


JOBS: dict[str, dict[str, Any]] = {
    "every": {
        "journey": EVERY, "arrivals": {"model": "open", "rate_per_s": 6, "late_ms": 4000}, "prompts": [],
        "more": ("--processes", "2", "--token-env", "CHAT_TOKEN"),
    },
    "missed": {"journey": "[{send: hello}, {await: {role: tool-open, within_ms: 1}}, {await: done}, {send: more}]"},
    "fails": {"journey": "[{send: hello}, {await: done}, {python: 'mine:fails'}]"},
    "breaks": {"journey": "[{send: hello}, {await: done}, {python: 'mine:breaks'}]"},
    "kinds": {
        "journey": "[{send: {}}, {await: done}, {send: {}}]", "arrivals": {"model": "closed", "think_ms": [100, 300]},
        "mix": [{"name": "traveller"}, {"name": "chatty", "journey": []}], "gates": {"journey.success{kind:traveller}": ["rate>0.7"]},
        "phases": {"steady": 4.0},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    def job(name: str) -> Ended:
        facts = dict(JOBS[name])
        return run(tmp_path_factory.mktemp(name), facts.pop("journey"), *facts.pop("more", ()), **facts)

    return together({name: lambda name=name: job(name) for name in JOBS})


def of_kind(data: RunData, kind: RowKind) -> Any:
    return data.rows[data.rows["kind"] == kind]


def gate_of(ended: Ended, metric: str) -> dict[str, Any]:
    return next(gate for gate in ended.verdict["gates"] if gate["metric"].startswith(metric))


def test_a_journey_of_every_kind_of_step_is_go(runs: dict[str, Ended]) -> None:
    ended = runs["every"]
    assert ended.code == 0, ended
    data = read_run(ended.run)
    journeys = of_kind(data, RowKind.JOURNEY)
    assert len(journeys) == sum(1 for _ in arrivals.planned(data.scenario, 1)) > 10
    assert set(journeys["code"].tolist()) <= {Fate.DONE, Fate.NOT_BEGUN, Fate.CUT}
    assert gate_of(ended, "journey.success")["samples"] == (journeys["code"] == Fate.DONE).sum()


def test_every_turn_that_a_journey_planned_is_sent_or_dropped(runs: dict[str, Ended]) -> None:
    ended = runs["every"]
    data = read_run(ended.run)
    sent, dropped = of_kind(data, RowKind.SEND), of_kind(data, RowKind.DROP)
    count = len(of_kind(data, RowKind.JOURNEY))
    for step in SENDS:
        assert (sent["code"] == step).sum() + (dropped["code"] == step).sum() == count
    books = ended.verdict["books"]
    assert (sent["code"] == PLANNED).sum() > 0
    assert books["planned"] == len(sent) + len(dropped) == books["sent"] + books["dropped"]
    assert ended.checks["self"]["verdict"] == "valid"


def test_what_its_own_disconnect_cuts_is_neither_good_nor_bad_and_nobody_s_outage(runs: dict[str, Ended]) -> None:
    ended = runs["every"]
    data = read_run(ended.run)
    left = of_kind(data, RowKind.END)
    count = int(((left["flags"] & Flag.OURS) > 0).sum())
    assert count > 0
    assert ended.verdict["books"]["outcomes"]["left"] == count
    closes = of_kind(data, RowKind.CLOSE)
    assert ((closes["flags"] & Flag.OURS) > 0).all()
    assert {1000, 1006} <= set(closes["code"].tolist())
    assert ended.checks["reconnect"]["verdict"] == "not-exercised"


def test_no_token_of_an_http_step_is_kept(runs: dict[str, Ended]) -> None:
    ended = runs["every"]
    kept = [path for path in ended.run.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert (kept, SECRET in ended.out + ended.err) == ([], False)


def test_what_comes_too_late_for_its_journey_is_no_finding_but_a_broken_gate_that_says_which_step(
    runs: dict[str, Ended],
) -> None:
    ended = runs["missed"]
    assert (ended.code, ended.ids, ended.failed_gates) == (99, set(), {"journey.success", "journey.total"}), ended
    assert "times step 2 (await tool-open within 1 ms): not within 1 ms" in gate_of(ended, "journey.success")["reason"]
    books = ended.verdict["books"]
    assert books["failed"] == 0
    assert books["planned"] == books["sent"] + books["dropped"]
    assert books["sent"] == books["dropped"]


def test_a_function_that_fails_its_journey_breaks_the_gate(runs: dict[str, Ended]) -> None:
    ended = runs["fails"]
    assert (ended.code, ended.ids) == (99, set()), ended
    assert "step 3 (python mine:fails): a bill that does not add up" in gate_of(ended, "journey.success")["reason"]


def test_a_function_that_breaks_is_ours_and_nothing_is_said_of_the_backend(runs: dict[str, Ended]) -> None:
    ended = runs["breaks"]
    assert (ended.code, ended.ids) == (3, {"self"}), ended
    assert "our own KeyError" in str(ended.checks["self"])
    assert gate_of(ended, "journey.success")["reason"] == "no samples"


def test_closed_users_travel_again_and_again_beside_those_who_do_not(runs: dict[str, Ended]) -> None:
    ended = runs["kinds"]
    assert ended.code == 0, ended
    data = read_run(ended.run)
    journeys, sent = of_kind(data, RowKind.JOURNEY), of_kind(data, RowKind.SEND)
    travellers = set(journeys["session"].tolist())
    assert len(journeys) > 2 * len(travellers)
    single = set(sent["session"][sent["code"] == 0].tolist())
    assert (len(travellers), len(single), travellers & single) == (15, 15, set())
    assert set(sent["code"].tolist()) == {0, 1, 3}
    assert ended.checks["self"]["verdict"] == "valid"


def test_a_function_that_is_not_there_is_told_before_any_traffic(tmp_path: Path) -> None:
    journey = "[{send: hello}, {python: 'mine:missing'}]"
    ended = run(tmp_path, journey)
    assert ended.code == 2
    assert (
        f"{tmp_path / 'short.yaml'} at journey[1].python: mine:missing module mine has no function 'missing'"
        in ended.err.replace("\n", " ")
    )
    assert not ended.run.exists()


def test_a_dry_run_shows_every_step(tmp_path: Path) -> None:
    ended = run(tmp_path, EVERY, "--dry-run", arrivals={"model": "open", "rate_per_s": 6})
    assert ended.code == 0
    assert "await started within 20,000 ms" in ended.out
    assert "python mine:ask" in ended.out
