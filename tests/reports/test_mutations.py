"""One record of a clean history changed: exactly the expected checkers turn, and a legal reordering turns none.

The histories are the simulation's, without faults; what each change must cause stands in ``expected``, and nowhere else.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtests.contract import Contract, load
from loadtests.history import DTYPE, UNKNOWN_TURN, End, Flag, RowKind, Window
from loadtests.simulation import plan_of, play
from reports.assessment import judge_history

Rows = np.ndarray[Any, np.dtype[Any]]
SEEDS = (1, 2, 3, 4)
CONTRACTS = ("reference", "netra")
CHANGES = ("drop", "duplicate", "swap", "foreign", "stray", "move", "delay", "truncate")


class Site(NamedTuple):
    """An event of a turn that ended well, and what the oracle has to know of it."""

    at: int
    role: str
    nested: bool
    #: whether its session hears anything behind it, and whether its turn shows another event of its role (tools: as well)
    followed: bool
    repeated: bool
    #: the next event of the same turn: its place, its role; -1: none
    after: int
    after_role: str
    after_nested: bool
    same_tool: bool
    #: whether a chunk of the same turn's text comes behind it; another turn of the same session
    chunked: bool
    other: int


class History(NamedTuple):
    contract: Contract
    rows: Rows
    strings: tuple[str, ...]
    users: int
    sites: tuple[Site, ...]


@cache
def history(name: str, seed: int) -> History:
    contract = load(name)
    plan = replace(plan_of(seed, contract), faults=(), killed_at_ms=0.0, cancel_share=0.0, overlap_share=0.0)
    played = play(plan, contract, load("reference"))
    rows = np.frombuffer(played.rows, DTYPE)
    return History(contract, rows, played.strings, plan.users, _sites(contract, rows, played.strings))


def _sites(contract: Contract, rows: Rows, strings: tuple[str, ...]) -> tuple[Site, ...]:
    events = np.flatnonzero((rows["kind"] == RowKind.EVENT) & (rows["event"] > 0))
    roots = contract.file.agents.root

    def role(at: int) -> str:
        return contract.roles[int(rows["event"][at])]

    def nested(at: int) -> bool:
        return bool(rows["agent"][at]) and strings[rows["agent"][at]] not in roots

    sites = []
    for at in events.tolist():
        row = rows[at]
        if role(at) == "other" or not 0 < row["turn"] < UNKNOWN_TURN:
            continue
        session = [i for i in events.tolist() if rows["session"][i] == row["session"] and role(i) != "other"]
        turn = [i for i in session if rows["turn"][i] == row["turn"]]
        later = [i for i in turn if i > at]
        after = later[0] if later else -1
        alike = [i for i in turn if i != at and role(i) == role(at)]
        numbered = [i for i in session if i > at and rows["cursor"][i] >= 0] if contract.has_cursor else []
        sites.append(
            Site(
                at, role(at), nested(at), bool(numbered), bool(alike), after, role(after) if later else "",
                bool(later) and nested(after), bool(later) and rows["execution"][after] == row["execution"] != 0,
                any(role(i) == "content" for i in later),
                next(int(rows["turn"][i]) for i in session if rows["turn"][i] != row["turn"]),
            )
        )  # fmt: skip
    return tuple(sites)


def ids(one: History, rows: Rows) -> set[str]:
    checks = judge_history(one.contract, one.users, (), rows, one.strings)
    return {check.id for check in checks if check.verdict == "invalid"}


def changed(one: History, change: str, site: Site) -> Rows:
    rows, at = one.rows, site.at
    if change == "drop":
        return np.delete(rows, at)
    if change == "duplicate":
        return np.insert(rows, at + 1, rows[at])
    if change == "truncate":
        return rows[:at]
    rows = rows.copy()
    if change == "swap":
        # What was in between belongs to other sessions, or to none of the two turns' events.
        rows[[at, site.after]] = rows[[site.after, at]]
    elif change == "foreign":
        rows["foreign"][at] = (int(rows["session"][at]) + 1) % one.users
    elif change == "stray":
        rows["turn"][at] = UNKNOWN_TURN
    elif change == "move":
        rows["turn"][at] = site.other
    elif change == "delay":
        rows["received"][at:] += 60_000 * 1_000_000
    return rows


def lacking(site: Site) -> set[str]:
    """What a turn shows that one event was taken from, where no number tells of it."""
    if site.role in {"tool-open", "tool-close"}:
        # Of a pair only its beginning is demanded: that it ends is pairing's.
        return {"pairing"} | ({"complete"} if site.role == "tool-open" and not site.repeated else set())
    if site.role == "thinking" and not site.repeated:
        return {"complete"}
    return {"complete"} if site.role == "started" and not site.nested else set()


def taken(one: History, site: Site) -> set[str]:
    """What a turn shows that one event was taken from, whose number is there."""
    if site.role == "done" and not site.nested:
        return {"self"}
    if site.role == "content":  # the last chunk leaves no gap, and the whole was compared when it came
        return {"loss"} if one.contract.has_cursor and site.chunked else set()
    paired = site.nested and one.contract.file.agents.paired and site.role in {"started", "done"}
    return lacking(site) | ({"pairing"} if paired else set())


def expected(one: History, change: str, site: Site) -> set[str]:
    """The oracle: contract, change and place in, exact ids out."""
    numbered = one.contract.has_cursor
    ends_turn = site.role == "done" and not site.nested
    if change == "drop":
        # The client saw the end that its rows do not hold: the record is not whole.
        unheld = {"self"} if ends_turn else set()
        return unheld | ({"loss"} if numbered and site.followed else set() if ends_turn else lacking(site))
    if change == "duplicate":
        return {"duplicate"}
    if change == "foreign":
        return {"leak"}
    if change == "swap":
        return _swapped(one, site)
    if change in {"stray", "move"}:
        # It is missing from whom it belongs to; where it went it is nobody's, or comes to a turn that is over or not yet begun.
        return {"phantom" if change == "stray" else "terminal"} | taken(one, site)
    # A history that breaks off accuses the harness; what is late is for gates to say.
    return {"self"} if change == "truncate" else set()


def _swapped(one: History, site: Site) -> set[str]:
    if site.after_role == "done" and not site.after_nested:
        # What came last comes after the end; without numbers a tool was open then, too.
        opened = not one.contract.has_cursor and site.role == "tool-close"
        return {"terminal"} | ({"pairing"} if opened else set())
    if site.role == "tool-open" and site.after_role == "tool-close" and site.same_tool:
        return {"pairing"}
    if one.contract.has_cursor:
        return {"order"}
    begins = site.role == "started" and not site.nested
    return {"order"} if begins else set()


def paired_agents_swapped(one: History, site: Site) -> bool:
    """A nested agent's start and end next to each other: what that breaks depends on numbers and pairs at once."""
    return site.nested and site.after_nested and {site.role, site.after_role} <= {"started", "done"}


def test_the_histories_are_clean_and_show_every_role() -> None:
    for name in CONTRACTS:
        roles = set()
        for seed in SEEDS:
            one = history(name, seed)
            assert ids(one, one.rows) == set()
            roles |= {(site.role, site.nested) for site in one.sites}
        assert {role for role, _ in roles} >= {"started", "thinking", "tool-open", "tool-close", "content", "done"}
        assert {nested for _, nested in roles} == {False, True}


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_turns_exactly_what_it_must(name: str, change: str, data: st.DataObject) -> None:
    one = history(name, data.draw(st.sampled_from(SEEDS)))
    sites = one.sites
    if change == "swap":
        sites = tuple(s for s in sites if s.after >= 0 and not paired_agents_swapped(one, s))
    site = data.draw(st.sampled_from(sites))
    assert ids(one, changed(one, change, site)) == expected(one, change, site)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("name", CONTRACTS)
def test_sessions_may_be_interleaved_in_any_way(name: str, data: st.DataObject) -> None:
    """Rows of one session keep their order; between sessions there is none."""
    one = history(name, data.draw(st.sampled_from(SEEDS)))
    queues = {session: np.flatnonzero(one.rows["session"] == session) for session in np.unique(one.rows["session"])}
    rng = random.Random(data.draw(st.integers(0, 1 << 32)))  # a number drawn for each row would be too much to draw
    order = np.concatenate(list(queues.values()))
    keys = {session: sorted(rng.random() for _ in places) for session, places in queues.items()}
    when = np.empty(len(one.rows))
    for session, places in queues.items():
        when[places] = keys[session]
    assert ids(one, one.rows[order[np.argsort(when[order], kind="stable")]]) == set()


@pytest.mark.parametrize("flag", [Flag.BAD_VERSION, Flag.LEGACY, Flag.UNAPPROVED])
def test_a_mark_on_one_row_turns_vocabulary_alone(flag: Flag) -> None:
    one = history("reference", 1)
    site = next(site for site in one.sites if site.role == "thinking")
    rows = one.rows.copy()
    rows["flags"][site.at] |= int(flag)
    assert ids(one, rows) == {"vocabulary"}


# -- a history with a cut ----------------------------------------------------------------------------------------------


class Cut(NamedTuple):
    """Everybody of one cohort was cut once, and came back."""

    contract: Contract
    rows: Rows
    strings: tuple[str, ...]
    users: int
    windows: tuple[Window, ...]

    def ids(self, rows: Rows) -> set[str]:
        checks = judge_history(self.contract, self.users, self.windows, rows, self.strings)
        return {check.id for check in checks if check.verdict == "invalid"}

    def places(self, kind: RowKind, wanted: Callable[[np.void], bool] = lambda _: True) -> list[int]:
        return [at for at in np.flatnonzero(self.rows["kind"] == kind).tolist() if wanted(self.rows[at])]


@cache
def cut_history(name: str) -> Cut:
    contract = load(name)
    plan = plan_of(2, contract, "long")
    played = play(plan, contract, load("reference"))
    return Cut(contract, np.frombuffer(played.rows, DTYPE), played.strings, plan.users, played.windows)


def denies(at: int, rows: Rows) -> None:
    rows["flags"][at] &= ~np.uint16(Flag.RESUMED)


def knows_less(at: int, rows: Rows) -> None:
    rows["cursor"][at] = 0


def closes_cleanly(at: int, rows: Rows) -> None:
    rows["code"][at] = 1000


def hangs_up(at: int, rows: Rows) -> None:
    rows["flags"][at], rows["code"][at] = int(Flag.RESUMED), 1011


def ends_early(at: int, rows: Rows) -> None:
    """Before the event that ended it."""
    mine = (
        (rows["kind"] == RowKind.EVENT) & (rows["session"] == rows["session"][at]) & (rows["turn"] == rows["turn"][at])
    )
    last = np.flatnonzero(mine)[-1]
    rows[[at, last]] = rows[[last, at]]


def has_waited(at: int, rows: Rows) -> None:
    rows["code"][at] = End.TIMEOUT


def is_ours(row: np.void) -> bool:
    return bool(row["flags"] & Flag.OURS)


def is_amid(row: np.void) -> bool:
    return bool(row["flags"] & Flag.MID_TURN) and not is_ours(row)


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.parametrize(
    ("kind", "wanted", "change", "expected"),
    [
        # A stream that is not continued begins with its first number, and what comes then has a later one.
        (RowKind.CLAIM, lambda _: True, denies, {"loss"}),
        (RowKind.CLAIM, lambda _: True, knows_less, {"honesty", "loss"}),
        # The fault explains that a connection broke, and not that a turn under way was taken leave of.
        (RowKind.CLOSE, is_amid, closes_cleanly, {"close"}),
        (RowKind.CLOSE, is_ours, hangs_up, {"close"}),
        (RowKind.END, lambda _: True, ends_early, {"self"}),
        # For whom the client has waited long enough is no matter of the backend's, whose end is there.
        (RowKind.END, lambda _: True, has_waited, set()),
    ],
)
def test_a_change_of_a_row_that_is_no_event_turns_exactly_what_it_must(
    name: str, kind: RowKind, wanted: Callable[[np.void], bool], change: Callable[[int, Rows], None], expected: set[str]
) -> None:
    one = cut_history(name)
    places = one.places(kind, wanted)
    assert bool(places) is (kind is not RowKind.CLAIM or one.contract.resumes)
    for at in places[:: len(places) // 5 + 1]:
        rows = one.rows.copy()
        change(at, rows)
        assert one.ids(rows) == expected


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_history_with_a_cut_is_clean(name: str) -> None:
    one = cut_history(name)
    assert one.ids(one.rows) == set()
    assert len(one.places(RowKind.CLOSE, lambda row: not is_ours(row))) == 9
