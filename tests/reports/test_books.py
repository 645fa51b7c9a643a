"""The books: what was meant is counted from seed and pace alone, and every outcome has its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from loadtests.history import End, Fate, Flag, RowKind
from loadtests.journey import JourneyStep
from loadtests.rundir import RunData, read_run, windows_of
from reports.books import books, planned_turns
from reports.frames import OUTCOMES, phases_of, turns_frame
from reports.judgement import Books
from tests.reports.rundirs import Plan, write_run

PLAN = Plan(users=4, phases=(("steady", 3.0),))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    return read_run(write_run(tmp_path_factory.mktemp("books") / "run", PLAN))


def turns_of(data: RunData) -> pd.DataFrame:
    return turns_frame(data, windows_of(data), phases_of(data))


def books_of(data: RunData, turns: pd.DataFrame | None = None) -> Books:
    turns = turns_of(data) if turns is None else turns
    return books(data, turns, planned_turns(data, turns, phases_of(data)))


def test_a_whole_run_s_books_balance(data: RunData) -> None:
    account = books_of(data)
    assert account.balanced
    assert (account.planned, account.dropped, account.failed, account.censored) == (account.sent, 0, 0, 0)
    assert account.outcomes == {"ok": account.sent}


@pytest.mark.parametrize("end", list(OUTCOMES))
def test_every_outcome_is_ok_failed_or_censored(data: RunData, end: End) -> None:
    place = {
        "ok": "ok", "degraded": "ok", "refused": "ok", "failed": "failed", "timeout": "failed", "abandoned": "failed",
        "cut": "censored", "in-doubt": "censored", "throttled": "censored", "cancelled": "censored", "rejected": "censored",
    }  # fmt: skip
    name = OUTCOMES[end]
    account = books_of(data, turns_of(data).assign(outcome=name))
    found = {word: getattr(account, word) for word in ("ok", "failed", "censored")}
    assert found == {word: account.sent if word == place[name] else 0 for word in found}
    assert account.outcomes == {name: account.sent}


def test_a_turn_that_was_neither_sent_nor_dropped_unbalances_them(data: RunData) -> None:
    assert not books_of(data, turns_of(data).iloc[1:]).balanced


def test_of_an_interrupted_run_only_what_was_sent_is_accounted_for(data: RunData) -> None:
    cut = replace(data, manifest={**data.manifest, "exit": "interrupted"})
    assert books_of(cut, turns_of(data).iloc[1:]).balanced


def beside(data: RunData, sent_after_ns: int) -> RunData:
    """One more message of user 0, said so long after its first one was sent."""
    sends = data.rows[(data.rows["kind"] == RowKind.SEND) & (data.rows["session"] == 0)]
    more = sends[:1].copy()
    more["turn"] = 77
    more["intended"] = more["sent"] = more["received"] = sends["received"][0] + sent_after_ns
    end = more.copy()
    end["kind"], end["received"] = RowKind.END, more["received"] + 10_000_000
    return replace(data, rows=np.concatenate([data.rows, more, end]))


@pytest.mark.parametrize(("after_ms", "balanced"), [(10, True), (300, False)])
def test_a_message_said_while_a_turn_is_under_way_belongs_to_that_turn(
    data: RunData, after_ms: int, balanced: bool
) -> None:
    account = books_of(beside(data, after_ms * 1_000_000))
    assert (account.balanced, account.sent) == (balanced, account.planned + 1)


def test_a_run_of_plain_locust_means_what_its_rows_say(data: RunData) -> None:
    plain = replace(data, manifest={**data.manifest, "kind": "plain-locust"})
    planned = planned_turns(plain, turns_of(data), phases_of(data))
    assert planned["sent"].all()
    assert len(planned) == len(turns_of(data))


def test_reasons_for_dropped_messages_are_counted(tmp_path: Path) -> None:
    plan = replace(PLAN, phases=(("steady", 15.0),), script=lambda s, t, f: f[:-1] if (s, t) == (1, 2) else f)
    path = write_run(tmp_path / "run", plan)
    assert json.loads((path / "manifest.json").read_text())["exit"] == "ended"
    account = books_of(read_run(path))
    assert account.dropped_why == {"late by more than a pace": account.dropped}
    assert account.balanced


def travelled(data: RunData) -> RunData:
    """The same run as one of journeys: each turn is the first of two steps that send, and the second was dropped."""
    steps = [JourneyStep(send="a"), JourneyStep(awaits="done"), JourneyStep(send="b")]
    rows = data.rows.copy()
    sends = rows["kind"] == RowKind.SEND
    rows["code"][sends] = 1
    drops, journeys = rows[sends].copy(), rows[sends].copy()
    drops["kind"], drops["code"], drops["flags"], drops["turn"] = RowKind.DROP, 3, Flag.OURS, 0
    journeys["kind"], journeys["code"], journeys["turn"] = RowKind.JOURNEY, Fate.FAILED, 0
    scenario = msgspec.structs.replace(data.scenario, journey=steps)
    return replace(data, rows=np.concatenate([rows, drops, journeys]), scenario=scenario)


def test_each_step_of_each_journey_that_sends_is_accounted_for(data: RunData) -> None:
    account = books_of(travelled(data))
    assert account.balanced
    assert (account.planned, account.sent, account.dropped) == (2 * account.sent, len(turns_of(data)), account.sent)


@pytest.mark.parametrize("kind", [RowKind.SEND, RowKind.DROP, RowKind.JOURNEY])
def test_whatever_is_missing_of_a_journey_unbalances_them(data: RunData, kind: RowKind) -> None:
    whole = travelled(data)
    first = int(np.flatnonzero(whole.rows["kind"] == kind)[0])
    assert not books_of(replace(whole, rows=np.delete(whole.rows, first))).balanced


def test_a_plain_run_whose_users_were_ended_in_the_middle_of_journeys_balances(data: RunData) -> None:
    one = travelled(data)
    rows = one.rows[one.rows["kind"] != RowKind.JOURNEY]
    for kind, balanced in (("plain-locust", True), ("run", False)):
        cut = replace(one, rows=rows, manifest={**one.manifest, "kind": kind})
        assert books_of(cut).balanced is balanced


def test_a_journey_that_was_begun_at_another_time_than_it_was_meant_for_unbalances_them(data: RunData) -> None:
    whole = travelled(data)
    rows = whole.rows.copy()
    rows["intended"][np.flatnonzero(rows["kind"] == RowKind.JOURNEY)[0]] += 5_000_000
    assert not books_of(replace(whole, rows=rows)).balanced


def test_a_turn_that_its_user_s_journey_has_cut_is_left_out_however_it_ended(data: RunData) -> None:
    rows = data.rows.copy()
    rows["flags"][np.flatnonzero(rows["kind"] == RowKind.END)[:2]] = Flag.OURS
    account = books_of(replace(data, rows=rows))
    assert (account.balanced, account.outcomes["left"], account.censored) == (True, 2, 2)
