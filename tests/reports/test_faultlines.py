"""What each fault did: whom it cut, who came back and when, what their turns lost, and whether anybody saw it bite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from loadtests.rundir import RunData, read_run, windows_of
from reports.bites import bites, unproven
from reports.faultlines import fault_results
from reports.frames import connections_frame, outages_frame, phases_of, turns_frame
from reports.judgement import FaultResult
from tests.reports.rundirs import Fault, Plan, recovered, write_run

DOWN = Plan(
    phases=(("warm-up", 1.0), ("steady", 3.0), ("down", 1.0), ("recovery", 4.0)),
    faults=(Fault(id="w1", phase="down", start_s=4.0, end_s=5.0),),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    path: Path = write_run(tmp_path_factory.mktemp("faults") / "run", DOWN)
    return read_run(path)


def turns_of(data: RunData) -> pd.DataFrame:
    return turns_frame(data, windows_of(data), phases_of(data))


def result(data: RunData, turns: pd.DataFrame | None = None) -> FaultResult:
    windows, phases = windows_of(data), phases_of(data)
    connections = connections_frame(data, windows, phases)
    back = recovered(data)
    outages, found = outages_frame(back, connections, data), bites(data, windows)
    (one,) = fault_results(data, windows, found, turns_of(data) if turns is None else turns, back, outages, connections)
    return one


def test_a_cut_is_told_with_all_that_came_of_it(data: RunData) -> None:
    one = result(data)
    assert (one.id, one.kind, one.cohort, one.start_s, one.end_s) == ("w1", "down", "treated", 4.0, 5.0)
    assert (one.sessions, one.disconnected, one.unrecovered, one.effect) == (15, 15, 0, "confirmed")
    assert (one.recovery_s, one.recovery_max_s, one.reconnects_peak_per_s) == (0.22, 0.22, 15)
    assert one.turns > 0
    assert (one.turns_lost, one.measured["what"]) == (0, "cut")


@pytest.mark.parametrize(
    ("outcome", "lost"),
    [("ok", False), ("refused", False), ("degraded", False), ("cut", False), ("throttled", False), ("cancelled", False),
     ("rejected", False), ("failed", True), ("timeout", True), ("in-doubt", True), ("abandoned", True)],
)  # fmt: skip
def test_a_turn_is_lost_unless_it_was_answered_or_the_run_ended_first(data: RunData, outcome: str, lost: bool) -> None:
    one = result(data, turns_of(data).assign(outcome=outcome))
    assert one.turns_lost == (one.turns if lost else 0)


def test_slowdown_is_against_the_same_users_before(data: RunData) -> None:
    turns = turns_of(data)
    assert result(data).slowdown is not None
    hit = (turns["fault"] == "w1") & (turns["place"] == "during")
    slow = turns.assign(total_ms=turns["total_ms"].where(~hit, 500.0).where(hit, 100.0))
    assert result(data, slow).slowdown == 5.0
    assert result(data, turns[hit]).slowdown is None


@pytest.mark.parametrize(
    ("effect", "text"), [("confirmed", ""), ("absent", "w1 (down): absent"), ("not-probed", "w1 (down): not-probed")]
)
def test_a_fault_that_nobody_saw_bite_is_named(data: RunData, effect: str, text: str) -> None:
    journal = [{**record, "effect": effect} if record["type"] == "effect" else record for record in data.journal]
    changed = replace(data, journal=journal)
    said = unproven(bites(changed, windows_of(changed)), windows_of(changed))
    assert said == (f"fault without proven effect: {text}" if text else "")


def test_a_fault_without_a_record_was_not_probed(data: RunData) -> None:
    changed = replace(data, journal=[record for record in data.journal if record["type"] != "effect"])
    assert result(changed).effect == "not-probed"
    assert "not-probed" in unproven(bites(changed, windows_of(changed)), windows_of(changed))
