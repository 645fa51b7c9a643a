"""One plan, one history: whole, in order, and the same again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from loadtests.contract import load
from loadtests.history import End, RowKind
from loadtests.simulation import Played, plan_of, play
from loadtests.simulation.memory import rows_of


@pytest.fixture(scope="module", params=["reference", "netra"])
def played(request: pytest.FixtureRequest) -> Played:
    contract = load(request.param)
    return play(plan_of(11, contract), contract, load("reference"))


def test_every_session_tells_its_story_from_dial_to_stop(played: Played) -> None:
    rows = rows_of(played.rows)
    for session in range(played.plan.users):
        kinds = rows["kind"][rows["session"] == session]
        assert (kinds[0], kinds[-1]) == (RowKind.DIAL, RowKind.STOP)
        for one, other in ((RowKind.SEND, RowKind.END), (RowKind.OPEN, RowKind.CLOSE)):
            assert np.count_nonzero(kinds == one) == np.count_nonzero(kinds == other)
    assert (np.diff(rows["received"]) >= 0).all()


def test_faults_cut_and_clients_come_back_and_turns_end_well(played: Played) -> None:
    rows = rows_of(played.rows)
    assert rows["connection"].max() > 1
    ends = rows["code"][rows["kind"] == RowKind.END]
    assert np.count_nonzero(ends == End.OK) > 0.8 * len(ends)
    assert any(played.touched.values())
    assert {window.cohort for window in played.windows} <= {"treated", "control"}


def test_nothing_is_lost_between_wire_and_history(played: Played) -> None:
    rows = rows_of(played.rows)
    assert np.count_nonzero(rows["kind"] == RowKind.EVENT) == played.frames_heard
    assert played.messages_handed == played.messages_sent > 0


def test_the_same_plan_gives_the_same_bytes_and_another_seed_others(played: Played) -> None:
    contract, wire = load(played.plan.contract), load("reference")
    again = play(played.plan, contract, wire)
    assert (again.rows, again.strings, again.frames, again.digest) == (
        played.rows, played.strings, played.frames, played.digest
    )  # fmt: skip
    other = play(replace(played.plan, seed=12), contract, wire)
    assert other.digest != played.digest


def test_a_killed_run_ends_where_it_was_killed() -> None:
    contract = load("reference")
    plan = replace(plan_of(11, contract), killed_at_ms=6_000.0)
    played = play(plan, contract, contract)
    rows = rows_of(played.rows)
    assert played.end_ns - played.start_ns == 6_000_000_000
    assert rows["received"].max() <= played.end_ns
    assert np.count_nonzero(rows["kind"] == RowKind.STOP) == plan.users


def test_a_defect_is_planted_and_counted() -> None:
    contract = load("reference")
    played = play(plan_of(3, contract, "talk", "duplicate"), contract, contract)
    assert played.planted > 0
    assert "redelivered" in {finding.kind.name for finding in played.findings}
