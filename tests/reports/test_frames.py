"""Rows as tables: one row a turn, a connection, an outage, whatever the rows lack."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from loadtests.history import End, RowKind
from loadtests.rundir import RunData, read_run, windows_of
from reports.frames import (
    ENDED,
    OUTCOMES,
    connections_frame,
    events_frame,
    health_frame,
    outages_frame,
    phases_of,
    turns_frame,
)
from tests.reports.plainrows import History
from tests.reports.rundirs import START_NS, Fault, Frames, Plan, S, recovered, write_run

DOWN = Plan(
    users=8,
    phases=(("warm-up", 1.0), ("steady", 3.0), ("down", 1.0), ("recovery", 4.0)),
    faults=(Fault(id="w1", phase="down", start_s=4.0, end_s=5.0),),
)


@pytest.fixture
def data(tmp_path: Path) -> RunData:
    return read_run(write_run(tmp_path / "run", DOWN))


def test_phases_lie_end_to_end_on_the_run_s_clock(data: RunData) -> None:
    phases = phases_of(data)
    assert [name for name, _, _ in phases] == ["warm-up", "steady", "down", "recovery"]
    assert phases[0][1] == START_NS
    assert all(a[2] == b[1] for a, b in itertools.pairwise(phases))
    assert phases[-1][2] == START_NS + 9 * S


def test_each_turn_is_a_row_with_its_events_in_order(data: RunData) -> None:
    turns = turns_frame(data, windows_of(data), phases_of(data))
    assert len(turns) == (data.rows["kind"] == RowKind.SEND).sum()
    assert not turns.duplicated(["session", "turn"]).any()
    assert set(turns["outcome"]) == {"ok"}
    events = [f"event:{rule.name}" for rule in data.contract.demanded]
    assert turns[events].notna().all(axis=None)
    assert (turns[events].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    assert (turns["total_ms"] >= turns["service_ms"]).all()


def test_only_turns_of_the_hit_cohort_stand_in_a_window_or_its_grace(data: RunData) -> None:
    turns = turns_frame(data, windows_of(data), phases_of(data))
    assert set(turns[turns["cohort"] == "control"]["place"]) == {"before"}, "no window of its cohort ever was"
    treated = turns[turns["cohort"] == "treated"]
    assert set(treated[treated["end_s"] < 4.0]["place"]) == {"before"}
    during = treated[treated["place"] == "during"]
    assert set(during["phase"]) == {"down"}
    assert (during["end_s"] >= 4.0).all()
    assert (during["intended_s"] <= 5.0).all()
    assert set(treated[treated["intended_s"] > 5.0]["place"]) == {"grace"}


def test_a_cut_session_has_two_connections_and_one_outage_from_the_heal_on(data: RunData) -> None:
    windows, phases = windows_of(data), phases_of(data)
    connections = connections_frame(data, windows, phases)
    assert len(connections) == 8 + 4
    assert connections["ready_s"].notna().all()
    outages = outages_frame(recovered(data), connections, data)
    assert (len(outages), set(outages["fault"]), set(outages["cohort"])) == (4, {"w1"}, {"treated"})
    assert outages["recovery_s"].tolist() == pytest.approx([0.22] * 4)
    assert not outages["censored"].any()
    closes = data.rows[outages["close_row"].to_numpy()]
    assert set(closes["kind"]) == {RowKind.CLOSE}
    assert closes["session"].tolist() == outages["session"].tolist()
    assert [data.seconds(int(at)) for at in closes["received"]] == outages["close_s"].tolist()


def test_an_outage_has_its_own_connection_s_phase_whichever_dials_failed_before(data: RunData) -> None:
    """A dial that failed has no close, and must not move the phases of the others by a place."""
    made = connections_frame(data, windows_of(data), phases_of(data))
    named = made.assign(phase=[f"phase {row:.0f}" for row in made["close_row"]])
    failed = named.iloc[:3].assign(connection=0, close_row=math.nan, phase="of no close")
    outages = outages_frame(recovered(data), pd.concat([failed, named]), data)
    assert outages["phase"].tolist() == [f"phase {row}" for row in outages["close_row"]]


def test_a_run_that_ends_before_the_recovery_budget_is_over_censors(tmp_path: Path) -> None:
    """The last rows of the treated sessions are lost: nobody can say whether they would have come back in time."""
    data = read_run(write_run(tmp_path / "run", DOWN))
    keep = data.rows["received"] < START_NS + 5 * S
    data = replace(data, rows=data.rows[keep])
    outages = outages_frame(recovered(data), connections_frame(data, windows_of(data), phases_of(data)), data)
    assert (len(outages), outages["censored"].all(), outages["recovery_s"].isna().all()) == (4, True, True)


def test_a_turn_without_its_end_row_is_cut_and_has_no_latency(tmp_path: Path) -> None:
    data = read_run(write_run(tmp_path / "run", Plan(users=2)))
    data = replace(data, rows=data.rows[data.rows["kind"] != RowKind.END])
    turns = turns_frame(data, [], phases_of(data))
    assert set(turns["outcome"]) == {"cut"}
    assert turns["total_ms"].isna().all()


@pytest.mark.parametrize("how", End)
def test_every_way_to_end_has_a_name_and_only_what_the_backend_ended_has_a_length(how: End) -> None:
    history = History()
    history.turn(1, 1000, {"agent_started": 10.0}, how)
    (turn,) = history.turns().to_dict("records")
    assert turn["outcome"] == OUTCOMES[how]
    assert (turn["total_ms"] == 10.0) is (turn["outcome"] in ENDED)
    assert (turn["outcome"] in ENDED) is (how not in {End.TIMEOUT, End.CUT_BY_STOP, End.IN_DOUBT, End.ABANDONED})


def test_an_event_that_never_came_is_not_a_number(tmp_path: Path) -> None:
    def mute(_: int, turn: int, frames: Frames) -> Frames:
        return [] if turn == 3 else frames

    phases = (("warm-up", 1.0), ("steady", 40.0))
    data = read_run(write_run(tmp_path / "run", Plan(users=2, pace_ms=4000, phases=phases, spoil=mute)))
    turns = turns_frame(data, [], phases_of(data))
    silent = turns[turns["turn"] == 3]
    assert set(silent["outcome"]) == {"timeout"}
    assert silent[[f"event:{rule.name}" for rule in data.contract.demanded]].isna().all(axis=None)
    assert math.isnan(silent["total_ms"].iloc[0])


def test_all_rows_go_into_the_table_of_events_with_their_words(data: RunData) -> None:
    events = events_frame(data)
    assert len(events) == len(data.rows)
    assert set(events["kind"]) >= {"event", "send", "dial", "claim", "stop"}
    assert set(events["cohort"]) == {"control", "treated"}
    first = events[events["event"] == data.contract.name_of("started")]
    assert set(first["raw"]) == {data.contract.name_of("started")}
    assert set(first["agent"]) == {"supervisor"}


def test_rows_of_two_workers_keep_their_worker(tmp_path: Path) -> None:
    data = read_run(write_run(tmp_path / "run", Plan(users=4, workers=2)))
    events = events_frame(data)
    assert {w: set(part["session"]) for w, part in events.groupby("worker", observed=True)} == {
        "worker-0": {0, 2},
        "worker-1": {1, 3},
    }


def test_a_run_without_any_row_gives_empty_tables_and_no_error(tmp_path: Path) -> None:
    data = read_run(write_run(tmp_path / "run", Plan(users=2)))
    data = replace(data, rows=data.rows[:0], first_row=[0], health=[])
    windows, phases = windows_of(data), phases_of(data)
    connections = connections_frame(data, windows, phases)
    for frame in (turns_frame(data, windows, phases), connections, outages_frame(recovered(data), connections, data),
                  events_frame(data), health_frame(data)):  # fmt: skip
        assert len(frame) == 0


def test_health_is_a_row_a_second_and_worker(data: RunData) -> None:
    health = health_frame(data)
    assert health["at_s"].tolist() == [float(s) for s in range(9)]
    assert set(health["worker"]) == {"worker-0"}
