"""No checker says *valid* of what it has not seen: on empty, unexercised and truncated histories, each in its turn."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtests.contract import Contract, load
from loadtests.history import DTYPE, End, RowKind, Window
from loadtests.retry import Backoff, Policy
from reports.assessment import Assessment, Setting, assess, judge_history
from reports.checkers import CHECKERS
from reports.judgement import Check
from reports.peers import View
from reports.replay import replay_rows
from reports.verdict import merge
from tests.reports.stories import MS, REFERENCE, ROLES, START_NS, Story, window

IDS = [checker.id for checker in CHECKERS]
CLIENT = {"retries", "backoff", "herd", "sockets"}
POLICY = Policy()
DOWN = window(20_000, 25_000)
USERS, TURNS, LAST_MS = 44, 50, 60_000
#: of these the backend hears nothing before the cut
IN_DOUBT, DOUBTED = (1, 3, 5), 90
VIEWS = tuple(View(START_NS + round(at_ms * MS), sessions) for at_ms, sessions in ((15_000, USERS), (90_000, 0)))
Rows = np.ndarray[Any, Any]
Change = Callable[[Rows], Rows]


def rich() -> Story:
    """A run that every checker can be sure of: half of the users cut for five seconds, and everything as it must be."""
    story = Story()
    for user in range(USERS):
        treated = user % 2 == 1
        story.connect(user, 100 + user, "treated" if treated else "control")
        back_ms = _cut(story, user) if treated else 0.0
        for turn in range(1, TURNS):
            at_ms = turn * 1_000 + user * 5
            if not treated or at_ms < 19_500 or at_ms > back_ms + 500:
                story.turn(user, turn, at_ms, 300)
            elif at_ms > 20_000:
                story.drop(user, at_ms)
        story.leave(user, LAST_MS + user)
    return story


def _cut(story: Story, user: int) -> float:
    if user in IN_DOUBT:
        story.send(user, DOUBTED, 19_900)
    backoff = Backoff(POLICY, random.Random(user))
    waits = [backoff.failed() or float(POLICY.cap_ms) for _ in range(30)]
    back_ms = story.back_off(user, 20_000, 25_000, waits, resumes=True)
    if user in IN_DOUBT:
        story.row(RowKind.RESEND, user, back_ms + 3, turn=DOUBTED)
        for i, role in enumerate(ROLES, 4):
            story.event(user, DOUBTED, back_ms + i, role)
        story.end(user, DOUBTED, back_ms + 9, took_ms=back_ms + 9 - 19_900)
    return back_ms


@pytest.fixture(scope="module")
def story() -> Story:
    return rich()


@pytest.fixture(scope="module")
def rows(story: Story) -> Rows:
    return story.read()


def judged(
    rows: Rows, windows: tuple[Window, ...] = (DOWN,), contract: Contract = REFERENCE, **about: Any
) -> Assessment:
    facts = {"users": USERS, "views": VIEWS, "policy": POLICY, **about}
    setting = Setting(windows=windows, start_ns=START_NS, **facts)
    strings = ["", "supervisor", "search"]
    return assess(contract, rows, strings, setting, replay_rows(contract, rows, strings, windows))


def verdicts(assessment: Assessment) -> dict[str, str]:
    return {check.id: check.verdict for check in assessment.checks}


def check(assessment: Assessment, id_: str) -> Check:
    return next(one for one in assessment.checks if one.id == id_)


def test_a_rich_history_is_valid_to_every_checker(rows: Rows) -> None:
    assessment = judged(rows)
    assert verdicts(assessment) == dict.fromkeys(IDS, "valid")
    assert all(one.samples for one in assessment.checks)
    assert merge(assessment.checks, ()) == "go"


@pytest.mark.parametrize("id_", IDS)
def test_of_an_empty_history_no_checker_is_sure(id_: str) -> None:
    one = check(judged(np.empty(0, DTYPE), views=()), id_)
    expected = "valid" if id_ == "self" else "unknown" if one.required else "not-exercised"
    assert one.verdict == expected
    assert one.required is (id_ not in {"idempotency", "restored", "control", "dead-peers", *CLIENT})


def test_an_empty_history_is_never_a_go() -> None:
    assert merge(judged(np.empty(0, DTYPE)).checks, ()) == "cannot-say"


def without(*kinds: RowKind) -> Change:
    return lambda rows: rows[~np.isin(rows["kind"], kinds)]


def having(column: str, value: int, *kinds: RowKind) -> Change:
    def change(rows: Rows) -> Rows:
        changed = rows.copy()
        changed[column][np.isin(rows["kind"], kinds)] = value
        return changed

    return change


def of_roles(*roles: str) -> Change:
    """Only the events of these roles are left, numbered afresh."""
    indices = [REFERENCE.by_name[REFERENCE.name_of(role)].index for role in roles]  # type: ignore[arg-type]

    def change(rows: Rows) -> Rows:
        kept = rows[(rows["kind"] != RowKind.EVENT) | np.isin(rows["event"], indices)]
        return having("cursor", -1, RowKind.EVENT)(kept)

    return change


def until(at_ms: float) -> Change:
    return lambda rows: rows[rows["received"] < START_NS + round(at_ms * MS)]


def first_users(count: int, *, odd: bool) -> Change:
    return lambda rows: (
        rows[(rows["session"] % 2 == 0) | (rows["session"] < 2 * count)] if odd else rows[rows["session"] < count]
    )


def two_attempts(rows: Rows) -> Rows:
    """Of every outage only the last two attempts are left."""
    kept = np.ones(len(rows), bool)
    for user in range(1, USERS, 2):
        failed = np.flatnonzero((rows["session"] == user) & (rows["kind"] == RowKind.FAILED))
        dials = np.flatnonzero((rows["session"] == user) & (rows["kind"] == RowKind.DIAL))
        kept[failed[:-1]] = kept[dials[1:-2]] = False
    return rows[kept]


def unnamed(rows: Rows) -> Rows:
    return having("turn", 0, RowKind.EVENT)(rows)


EVENT, CLOSE = RowKind.EVENT, RowKind.CLOSE
#: what takes a checker's exercise away -> (the change, what it says then, what else is known of the run)
UNEXERCISED: dict[str, tuple[Change, str, dict[str, Any]]] = {
    "vocabulary": (without(EVENT), "unknown", {}),
    "schema": (without(EVENT), "unknown", {}),
    "complete": (having("code", End.FAILED, RowKind.END), "unknown", {}),
    "order": (of_roles("done"), "unknown", {}),
    "pairing": (of_roles("started", "thinking", "done"), "unknown", {}),
    "terminal": (without(EVENT), "unknown", {}),
    "silence": (without(RowKind.END, RowKind.OPEN), "unknown", {}),
    "duplicate": (having("cursor", -1, EVENT), "unknown", {}),
    "loss": (having("cursor", -1, EVENT), "unknown", {}),
    "honesty": (without(RowKind.CLAIM), "unknown", {}),
    "leak": (first_users(1, odd=False), "unknown", {}),
    "phantom": (unnamed, "unknown", {}),
    "idempotency": (without(RowKind.RESEND), "unknown", {}),
    "close": (without(RowKind.OPEN, CLOSE), "unknown", {}),
    "reconnect": (without(CLOSE), "unknown", {}),
    "restored": (until(30_000), "not-exercised", {}),
    "dead-peers": (lambda rows: rows, "not-exercised", {"views": ()}),
    "control": (having("cohort", 2, RowKind.END, RowKind.DROP, RowKind.DIAL), "not-exercised", {}),
    "retries": (without(CLOSE), "not-exercised", {}),
    "backoff": (two_attempts, "not-exercised", {}),
    "herd": (first_users(19, odd=True), "not-exercised", {}),
    "sockets": (until(20_001), "not-exercised", {}),
}


def test_every_checker_but_the_harness_s_own_has_an_unexercised_history() -> None:
    assert set(UNEXERCISED) == set(IDS) - {"self"}


@pytest.mark.parametrize("id_", UNEXERCISED)
def test_unexercised_a_checker_does_not_say_valid(rows: Rows, id_: str) -> None:
    change, verdict, about = UNEXERCISED[id_]
    one = check(judged(change(rows), **about), id_)
    assert (one.verdict, one.samples, one.violations) == (verdict, 0, 0)
    assert one.reason.startswith("no ")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.3, 0.36, 0.4, 0.42, 0.5, 0.7, 0.9, 0.999])
def test_truncated_nothing_is_invalid_but_the_harness_and_nothing_is_a_go(rows: Rows, share: float) -> None:
    """What is not there is no finding; that it is not there is the harness's."""
    assessment = judged(rows[: int(len(rows) * share)])
    invalid = {one.id for one in assessment.checks if one.verdict == "invalid"}
    assert invalid <= {"self"}
    assert merge(assessment.checks, ()) == "cannot-say"
    if share:
        assert "have no end in the rows" in check(assessment, "self").reason


@pytest.mark.parametrize("id_", IDS)
def test_truncated_before_it_could_see_anything_a_checker_says_so(rows: Rows, id_: str) -> None:
    one = check(judged(until(0)(rows), views=()), id_)
    assert one.verdict == ("valid" if id_ == "self" else "unknown" if one.required else "not-exercised")


@pytest.mark.parametrize(("back_ms", "text"), [(9e9, "never back"), (20_000.0, "back after 14.9 s")])
def test_a_witness_of_a_late_return_says_when_it_was_cut_and_when_back(back_ms: float, text: str) -> None:
    told = Story()
    told.connect(0, 100, "treated")
    told.close(0, 5_100)
    told.refused(0, 5_200)
    if back_ms < 9e9:
        told.connect(0, back_ms)
    told.row(RowKind.STOP, 0, LAST_MS)
    one = told.check("reconnect", window(1_000, 2_000))
    (witness,) = one.witnesses
    assert (witness.text, witness.at_s, one.kinds) == (f"cut at 5.1 s, {text} (budget 10 s)", 5.1, {"not-back": 1})


# -- laws --------------------------------------------------------------------------------------------------------------


def test_law_1_what_the_contract_does_not_call_for_may_stay_unseen(rows: Rows) -> None:
    """Without a resume in the contract there are no claims to be honest about."""
    found = verdicts(judged(without(RowKind.CLAIM, RowKind.ASK, RowKind.RESEND)(rows), contract=load("netra")))
    assert (found["honesty"], found["idempotency"]) == ("not-exercised", "not-exercised")


def test_law_4_a_fault_without_effect_takes_away_what_rests_on_it(rows: Rows) -> None:
    found = verdicts(judged(rows, unproven="w1: absent"))
    assert {id_ for id_, verdict in found.items() if verdict == "unknown"} == {"honesty", "reconnect", "restored"}


def test_law_4_a_late_generator_takes_timing_away(rows: Rows) -> None:
    found = verdicts(judged(rows, unfit="its loop was late"))
    assert {id_ for id_, verdict in found.items() if verdict == "unknown"} == {"restored", "control"}


def test_trouble_of_the_harness_is_its_own_finding(rows: Rows) -> None:
    one = check(judged(rows, trouble=("rows are missing", "the clock jumped")), "self")
    assert (one.verdict, one.violations, one.reason) == ("invalid", 2, "rows are missing; the clock jumped")


def test_a_turn_that_ended_by_an_event_which_is_not_there_makes_the_record_doubtful(rows: Rows) -> None:
    done = np.flatnonzero(rows["event"] == REFERENCE.by_name[REFERENCE.name_of("done")].index)
    cut = np.delete(rows, done[-1])
    assert "1 turns ended by an event that the rows do not hold" in check(judged(cut), "self").reason
    assert check(judged(cut, same_contract=False), "self").verdict == "valid"


@pytest.mark.parametrize(("throttled", "says"), [(10, ""), (30, "you measured the quota: ")])
def test_a_quota_that_answered_most_turns_is_what_was_measured(throttled: int, says: str) -> None:
    told = Story()
    told.connect(0, 10)
    for turn in range(1, 41):
        told.turn(0, turn, turn * 100, how=End.THROTTLED if turn <= throttled else End.OK)
    told.leave(0, 9_000)
    assessment = told.assess()
    assert assessment.quota == (f"{says}{throttled} of 40 turns were throttled" if says else "")
    assert merge(assessment.checks, (), assessment.quota) == ("cannot-say" if says else "go")


def test_rows_may_come_as_tuples_and_without_anything_else_known(rows: Rows) -> None:
    """As a simulation has them."""
    strings = ["", "supervisor", "search"]
    as_array = judge_history(REFERENCE, USERS, (DOWN,), rows, strings, start_ns=START_NS)
    as_tuples = judge_history(REFERENCE, USERS, (DOWN,), rows.tolist(), strings, start_ns=START_NS)
    assert as_array == as_tuples
    assert [one.id for one in as_array] == IDS


def test_judged_twice_it_is_identical(rows: Rows) -> None:
    assert judged(rows).checks == judged(rows).checks


def test_every_witness_of_every_finding_can_be_looked_up(rows: Rows) -> None:
    changed = having("code", 1008, CLOSE)(rows[rows["kind"] != RowKind.FAILED])
    for one in judged(changed, windows=()).checks:
        assert len({witness.row for witness in one.witnesses}) == len(one.witnesses)
        for witness in one.witnesses:
            assert str(changed["session"][witness.row]) == witness.session
            assert witness.kind in one.kinds


def declaring(folder: Path, client: str) -> Contract:
    """The reference contract, with the product's own client."""
    file = folder / "ours.yaml"
    file.write_text(f"contract: 1\nname: ours\nextends: reference\nclient: {client}\n")
    return load(file)


def test_the_declared_policy_is_the_one_that_is_judged_by(rows: Rows, tmp_path: Path) -> None:
    """Law 3: once a contract declares the product's client, its findings are the product's and no longer the harness's."""
    assessment = judged(rows, contract=declaring(tmp_path, "{herd_share: 0.05}"))
    found = check(assessment, "herd")
    assert (found.verdict, found.required, set(found.kinds)) == ("invalid", True, {"peak"})
    assert check(assessment, "self").verdict == "valid"
    assert merge(assessment.checks, (), declares_client=True) == "no-go"


def test_a_declared_client_must_be_seen_to_come_back(rows: Rows, tmp_path: Path) -> None:
    found = verdicts(judged(without(CLOSE)(rows), contract=declaring(tmp_path, "{}")))
    assert {found[id_] for id_ in ("retries", "backoff", "herd")} == {"unknown"}
