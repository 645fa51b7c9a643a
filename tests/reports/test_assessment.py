"""No checker says *valid* of what it has not seen: on empty, unexercised and truncated histories, each in its turn."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtests.contract import Contract, load
from loadtests.history import DTYPE, End, Flag, RowKind, Window
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


def test_of_a_backend_that_denies_every_resume_nobody_knows_whether_its_claims_are_honest(rows: Rows) -> None:
    """A declared loss claims no continuity: a thousand of them are no sample of honesty."""
    denied = having("flags", 0, RowKind.CLAIM)(rows)
    assert np.count_nonzero(denied["kind"] == RowKind.CLAIM) == USERS // 2
    one = check(judged(denied), "honesty")
    assert (one.verdict, one.required, one.samples, one.violations) == ("unknown", True, 0, 0)
    assert check(judged(rows), "honesty").samples == USERS // 2


def test_events_that_name_no_turn_are_no_sample_of_phantom(rows: Rows) -> None:
    """What our own client assigned to the turn in flight cannot name a wrong one."""
    assumed = having("flags", int(Flag.ASSUMED_TURN), EVENT)(rows)
    one = check(judged(assumed), "phantom")
    assert (one.verdict, one.samples, one.reason) == ("unknown", 0, "no events of turns")
    half = rows.copy()
    events = np.flatnonzero(half["kind"] == EVENT)
    half["flags"][events[::2]] |= int(Flag.ASSUMED_TURN)
    assert check(judged(half), "phantom").samples == len(events) // 2


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


# -- what a check says -------------------------------------------------------------------------------------------------


def short(turns: int = 3, roles: Sequence[str] = ROLES, **fields: int) -> Story:
    """One user's turns; ``fields`` are those of each turn's last event."""
    told = Story()
    told.connect(0, 10)
    for turn in range(1, turns + 1):
        told.send(0, turn, turn * 100)
        for i, role in enumerate(roles, 1):
            told.event(0, turn, turn * 100 + i, role, **(fields if i == len(roles) else {}))
        told.end(0, turn, turn * 100 + 50, took_ms=50)
    told.leave(0, 9_000)
    return told


def test_a_warning_is_told_and_shown_and_counts_as_nothing() -> None:
    one = short(2, flags=int(Flag.DEPRECATED)).check("vocabulary")
    assert (one.verdict, one.violations, one.warnings, one.kinds, one.scope) == ("valid", 0, 2, {"deprecated": 2}, "")
    assert [witness.turn for witness in one.witnesses] == ["1", "2"]


def test_five_witnesses_of_each_kind_are_shown_and_all_are_counted() -> None:
    told = short(7, roles=("started", "thinking", "tool-open", "done"))
    one = told.check("pairing")
    assert (one.violations, [witness.turn for witness in one.witnesses]) == (7, ["1", "2", "3", "4", "5"])
    assert (one.reason, one.scope) == ("a tool began and never completed", "7 times, in 7 of 7 turns, 1 user hit")


def test_a_finding_against_the_backend_is_none_against_the_harness() -> None:
    checks = {one.id: one for one in short(1, roles=("started", "done")).assess().checks}
    assert (checks["complete"].verdict, checks["self"].verdict, checks["self"].violations) == ("invalid", "valid", 0)


def test_what_is_valid_has_nothing_to_say_but_what_a_fault_explains(rows: Rows) -> None:
    checks = judged(rows).checks
    assert {one.id: one.reason for one in checks if one.reason} == {
        "close": f"{USERS // 2} explained by a fault on the session's own cohort"
    }
    assert {one.scope for one in checks} == {""}


def test_users_are_those_that_were_meant_else_those_that_came(rows: Rows) -> None:
    assert judged(rows, users=100).evidence.users == 100
    assert judged(rows, users=0).evidence.users == USERS


def test_without_a_start_seconds_are_those_of_the_clock() -> None:
    """To the nanosecond: with one less, half a millisecond would be rounded down."""
    told = short(1, roles=("started", "done"))
    for row in told.rows:
        row["received"] += 3 * MS // 2
    for checks in (
        judge_history(REFERENCE, 1, (), told.read(), told.strings),
        assess(REFERENCE, told.read(), told.strings, Setting(), told.replayed()).checks,
    ):
        (witness, *_) = next(one.witnesses for one in checks if one.id == "complete")
        assert witness.at_s == 1_000.104


def test_of_a_run_of_which_nothing_is_known_users_are_those_that_came() -> None:
    told = short(1)
    told.connect(1, 10)
    assert assess(REFERENCE, told.read(), told.strings, Setting(), told.replayed()).evidence.users == 2


@pytest.mark.parametrize(
    ("whole", "at_ms", "views"), [(True, 9_000, 1), (True, 30_000, 1), (False, 8_000, 1), (False, 30_000, 0)]
)
def test_a_view_after_a_history_that_is_cut_short_is_held_against_nothing(
    whole: bool, at_ms: float, views: int
) -> None:
    told = short(1)
    if not whole:
        told.rows = [row for row in told.rows if row["kind"] != RowKind.STOP]
        told.row(RowKind.DIAL, 1, 8_000)
        told.rows = [row for row in told.rows if row["received"] <= START_NS + 8_000 * MS]
    one = told.check("dead-peers", views=[(at_ms, 0)])
    assert one.samples == views


def slow_control(rows: Rows) -> Rows:
    """Whatever ended during the fault took the control group five seconds more."""
    changed, at_ms = rows.copy(), (rows["received"] - START_NS) / MS
    slow = (rows["kind"] == RowKind.END) & (rows["session"] % 2 == 0) & (at_ms > 20_100) & (at_ms < 25_000)
    changed["intended"][slow] -= 5_000 * MS
    return changed


def test_law_4_a_control_group_that_suffers_takes_away_only_what_rests_on_a_fault(rows: Rows) -> None:
    found = judged(slow_control(rows))
    unknown = {one.id for one in found.checks if one.verdict == "unknown"}
    assert unknown == {"honesty", "reconnect", "restored"}
    control = check(found, "control")
    assert (control.verdict, set(control.kinds), len(control.witnesses)) == ("invalid", {"control-suffers"}, 5)
    assert {witness.kind for witness in control.witnesses} == {"control-suffers"}
    assert {one.verdict for one in found.checks} - {"unknown", "invalid"} == {"valid"}
    assert [one.id for one in found.checks if one.verdict == "invalid"] == ["control"]


def test_law_4_and_never_a_witness(rows: Rows) -> None:
    """Who is not back is not back, whatever the control group suffers."""
    changed = slow_control(rows)
    kept = (
        (changed["session"] != 1) | (changed["kind"] != RowKind.READY) | (changed["received"] < START_NS + 20_000 * MS)
    )
    one = check(judged(changed[kept]), "reconnect")
    assert (one.verdict, one.kinds) == ("invalid", {"not-back": 1})


def compared(before: End, after_turns: int) -> Story:
    """Forty turns before a fault on everybody, every second one ending as said, and some after it."""
    told = Story()
    told.connect(0, 100, "treated")
    for turn in range(1, 41):
        told.turn(0, turn, turn * 100, 50, how=before if turn % 2 else End.OK)
    for turn in range(41, 41 + after_turns):
        told.turn(0, turn, 36_000 + turn * 100, 50)
    told.leave(0, 90_000)
    return told


@pytest.mark.parametrize(
    ("before", "after_turns", "verdict", "reason"),
    [
        (End.OK, 60, "valid", ""),
        (End.FAILED, 60, "unknown", "no steady state"),
        (End.FAILED, 39, "not-exercised", "no steady state"),
        (End.OK, 39, "valid", ""),
        (End.OK, 10, "not-exercised", "only 10 turns"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_unknown_only_where_it_was_meant(
    before: End, after_turns: int, verdict: str, reason: str
) -> None:
    one = compared(before, after_turns).check("restored", DOWN)
    assert (one.verdict, one.required) == (verdict, after_turns >= 40)
    assert reason in one.reason


def test_a_fault_without_effect_takes_nothing_from_what_was_not_required() -> None:
    assert compared(End.OK, 39).check("restored", DOWN, unproven="w1: absent").verdict == "valid"
    assert compared(End.OK, 60).check("restored", DOWN, unproven="w1: absent").verdict == "unknown"


@pytest.mark.parametrize(
    ("about", "turns_before", "turns_after", "verdict", "reason"),
    [
        ({}, 40, 10, "not-exercised", "only 10 turns"),
        ({}, 40, 0, "not-exercised", "no turns after"),
        ({}, 4, 60, "not-exercised", "only 4 turns were answered before"),
        ({"compares": {"restored"}}, 40, 11, "valid", ""),
        ({"compares": {"restored"}}, 40, 10, "unknown", "only 10 turns"),
        ({"compares": {"restored"}}, 40, 0, "unknown", "no turns after"),
        ({"compares": {"restored"}}, 4, 60, "unknown", "only 4 turns were answered before"),
    ],
)
def test_an_experiment_must_show_that_a_steady_state_is_restored_and_another_run_need_not(
    about: dict[str, Any], turns_before: int, turns_after: int, verdict: str, reason: str
) -> None:
    """Law 1: required and not exercised is unknown."""
    told = Story()
    told.connect(0, 100, "treated")
    for turn in range(1, 1 + turns_before):
        told.turn(0, turn, turn * 100, 50)
    for turn in range(41, 41 + turns_after):
        told.turn(0, turn, 36_000 + turn * 100, 50)
    told.leave(0, 90_000)
    one = told.check("restored", DOWN, **about)
    assert (one.verdict, one.required) == (verdict, "compares" in about)
    assert reason in one.reason
    control = told.check("control", DOWN, compares=frozenset({"restored", "control"}))
    assert (control.verdict, control.required) == ("unknown", True)


def test_without_a_fault_an_experiment_has_nothing_to_compare() -> None:
    checks = {one.id: one for one in short(3).assess(compares=frozenset({"restored", "control"})).checks}
    assert {checks[id_].verdict for id_ in ("restored", "control")} == {"not-exercised"}


def forgotten(answered: End, *, hit: int = 10, queued: bool = False, kind: str = "silent") -> Story:
    """Ten control users: of what the first of them send during a fault on others, half is never heard of again, and ends as said.
    ``queued``: what they mean to send meanwhile, to its very end, is dropped.
    """
    told = Story()
    for user in range(10):
        told.connect(user, 100, "control")
        for turn in range(1, 61):
            at_ms = turn * 1_000 + user
            spoilt = user < hit and 20_000 < at_ms < 25_000 and turn % 2 == 0
            if spoilt and kind == "silent":
                told.turn(user, turn, at_ms, 900, answered, roles=())
            elif spoilt:
                told.turn(user, turn, at_ms, 900, answered, roles=[role for role in ROLES if role != "thinking"])
            elif queued and user < hit and 20_000 < at_ms - 1_000 < 25_000:
                told.drop(user, at_ms - 100)
            else:
                told.turn(user, turn, at_ms, 300)
        told.leave(user, 70_000)
    return told


@pytest.mark.parametrize(
    ("hit", "queued", "silent", "left_out"), [(10, False, 29, 20), (6, True, 17, 23), (6, False, 17, 12)]
)
def test_turns_that_carry_findings_of_their_own_are_counted_there_and_nowhere_else(
    hit: int, queued: bool, silent: int, left_out: int
) -> None:
    """As are messages that were meant while such a turn was under way: the others are compared. And where so few are bad that
    nothing could be said of all, it can be said of the others.
    """
    checks = {one.id: one for one in forgotten(End.TIMEOUT, hit=hit, queued=queued).assess(DOWN).checks}
    assert checks["silence"].kinds == {"silent": silent}
    assert (checks["control"].verdict, checks["control"].violations, checks["control"].required) == ("valid", 0, True)
    assert checks["control"].reason == f"{left_out} turns left out, with findings of their own"


def test_a_single_bad_turn_without_a_finding_of_its_own_keeps_all_of_them() -> None:
    told = forgotten(End.TIMEOUT)
    told.connect(10, 100, "control")
    told.turn(10, 1, 22_000, 2_000)
    told.leave(10, 70_000)
    one = told.check("control", DOWN)
    assert (one.verdict, one.violations) == ("invalid", 21)


def test_a_finding_on_a_turn_that_was_answered_does_not_tell_why_it_was_slow() -> None:
    one = forgotten(End.OK, kind="unthought").check("control", DOWN)
    assert (one.verdict, one.violations) == ("invalid", 20)


def controlled(*during: tuple[float, End, Sequence[str]]) -> Story:
    """Forty turns of one control user before a fault, and then those named: milliseconds, end, events."""
    told = Story()
    told.connect(0, 100, "control")
    for turn in range(1, 41):
        told.turn(0, turn, turn * 100 + 100)
    for i, (took_ms, how, roles) in enumerate(during):
        told.turn(0, 41 + i, 20_200 + i * 100, took_ms, how, roles)
    told.leave(0, 90_000)
    return told


FINE, SILENT, FAILED = (50.0, End.OK, ROLES), (50.0, End.TIMEOUT, ()), (50.0, End.FAILED, ROLES)


@pytest.mark.parametrize(
    ("silent", "fine", "verdict", "reason", "samples"),
    [
        (0, 40, "valid", "", 40),
        (2, 38, "valid", "", 40),
        (15, 25, "valid", "15 turns left out, with findings of their own", 25),
        (4, 16, "valid", "4 turns left out, with findings of their own", 16),
        (2, 10, "not-exercised", "2 of 12 turns took over", 12),
        (2, 8, "not-exercised", "only 10 turns to compare", 10),
        (15, 5, "not-exercised", "only 5 turns to compare", 5),
    ],
)
def test_turns_with_findings_of_their_own_are_left_out_only_where_the_others_then_tell_more(
    silent: int, fine: int, verdict: str, reason: str, samples: int
) -> None:
    one = controlled(*[SILENT] * silent, *[FINE] * fine).check("control", DOWN)
    assert (one.verdict, one.violations, one.samples) == (verdict, 0, samples)
    assert one.reason.startswith(reason)
    assert bool(one.reason) is bool(reason)


def test_a_warning_is_no_finding_that_a_failed_turn_is_counted_by() -> None:
    told = controlled(SILENT, *[FAILED] * 10, *[FINE] * 9)
    for row in told.rows:
        if row["kind"] == RowKind.EVENT and 41 < row["turn"] <= 51:
            row["flags"] = int(Flag.DEPRECATED)
    checks = {one.id: one for one in told.assess(DOWN).checks}
    assert (checks["vocabulary"].kinds, checks["silence"].kinds) == ({"deprecated": 50}, {"silent": 1})
    assert (checks["control"].verdict, checks["control"].violations) == ("invalid", 11)


@pytest.mark.parametrize(
    ("unproven", "slow", "verdict", "violations", "samples"),
    [
        ({"w1"}, {"w1"}, "unknown", 20, 40),
        ({"w1"}, {"w2"}, "invalid", 20, 20),
        ({"w1"}, {"w1", "w2"}, "invalid", 20, 20),
        ({"w1", "w2"}, {"w1", "w2"}, "unknown", 40, 40),
        (set(), {"w1", "w2"}, "unknown", 40, 40),
        ({"w1"}, set(), "valid", 0, 40),
    ],
)
def test_who_suffers_from_a_fault_that_bit_is_a_witness_and_from_one_that_nobody_saw_bite_blames_nobody(
    unproven: set[str], slow: set[str], verdict: str, violations: int, samples: int
) -> None:
    """Law 4; which faults did not bite is named, and where it is not, none did."""
    later = window(26_000, 35_000, "w2")
    told = Story()
    told.connect(0, 100, "control")
    for turn in range(1, 41):
        told.turn(0, turn, turn * 100 + 100)
    for id_, first, start_ms in (("w1", 41, 20_200), ("w2", 61, 26_200)):
        for i in range(20):
            told.turn(0, first + i, start_ms + i * 200, 160 if id_ in slow else 50)
    told.leave(0, 90_000)
    about = {"unproven": "some fault: absent", "unproven_windows": frozenset(unproven)}
    one = told.check("control", DOWN, later, **about)
    assert (one.verdict, one.violations, one.samples, one.required) == (verdict, violations, samples, True)
    assert (one.reason == "some fault: absent") is (verdict == "unknown")


LATE = "the generator was the bottleneck: its loop was late"


@pytest.mark.parametrize(
    ("during", "id_", "verdict", "reason"),
    [
        ([FAILED] * 40, "control", "unknown", LATE),
        ([FINE] * 40, "control", "unknown", LATE),
        ([FINE] * 39, "control", "not-exercised", LATE),
        ([], "control", "not-exercised", "no control users' turns during others' faults"),
        ([SILENT], "silence", "invalid", "a message was accepted and nothing ever came"),
        ([FINE], "silence", "valid", ""),
    ],
)
def test_a_late_generator_takes_away_what_times_show_and_nothing_else(
    during: list[tuple[float, End, Sequence[str]]], id_: str, verdict: str, reason: str
) -> None:
    one = controlled(*during).check(id_, DOWN, unfit="its loop was late")
    assert (one.verdict, one.reason) == (verdict, reason)


# -- the table ---------------------------------------------------------------------------------------------------------


def test_whose_fault_each_finding_is() -> None:
    """Law 3: our own client's and our own harness's are named; whatever else is found is the backend's."""
    client, harness = ("retries", "backoff", "herd", "sockets"), ("self",)
    expected = {id_: "client" if id_ in client else "harness" if id_ in harness else "backend" for id_ in IDS}
    assert {checker.id: checker.subject for checker in CHECKERS} == expected


@pytest.mark.parametrize(
    ("id_", "reason"), [("vocabulary", "no events"), ("schema", "no events"), ("close", "no connections")]
)
def test_what_a_checker_rests_on_is_said_where_it_is_not_there(id_: str, reason: str) -> None:
    assert check(judged(np.empty(0, DTYPE), views=()), id_).reason == reason


def test_the_run_itself_is_the_one_sample_of_the_harness(rows: Rows) -> None:
    assert check(judged(rows), "self").samples == 1


def test_without_numbers_event_ids_are_what_repeats_are_found_by() -> None:
    told = Story(load("netra"))
    told.connect(0, 10)
    for i, role in enumerate(ROLES, 1):
        told.event(0, 1, 100 + i, role, key=i)
    one = told.check("duplicate")
    assert (one.samples, one.verdict, one.required) == (5, "valid", False)


def test_a_declared_client_need_not_come_back_where_nothing_cuts(rows: Rows, tmp_path: Path) -> None:
    quiet = window(20_000, 25_000, disconnects=False)
    found = judged(rows, windows=(quiet,), contract=declaring(tmp_path, "{}"))
    assert not any(check(found, id_).required for id_ in CLIENT)


def test_a_late_return_is_said_in_words_and_by_its_own_kind() -> None:
    told = Story()
    told.connect(0, 100, "treated")
    told.close(0, 5_100)
    told.refused(0, 5_200)
    told.refused(0, 6_200)
    told.row(RowKind.STOP, 0, LAST_MS)
    one = told.check("reconnect", window(5_000, 6_000))
    (witness,) = one.witnesses
    assert (one.reason, one.scope) == ("a cut session was not served again in time", "")
    assert (witness.kind, witness.turn, witness.fault) == ("not-back", "", "w1")


@pytest.mark.parametrize("again", [1, 2, 7])
def test_missteps_show_five_witnesses_of_each_kind(again: int) -> None:
    told = Story()
    for user in range(again):
        told.connect(user, 100, "treated")
        told.close(user, 20_100)
        told.row(RowKind.STOP, user, LAST_MS)
    one = told.check("retries", DOWN)
    assert (one.violations, one.kinds, len(one.witnesses)) == (again, {"never-retried": again}, min(again, 5))
    assert {(witness.kind, witness.turn) for witness in one.witnesses} == {("never-retried", "")}


@pytest.mark.parametrize(("views", "scope"), [([(20_000, 2)], "once"), ([(20_000, 2), (30_000, 3)], "2 times")])
def test_a_backend_that_holds_the_dead_is_told_once_with_its_first_count(
    views: list[tuple[float, int]], scope: str
) -> None:
    one = short(1).check("dead-peers", views=views)
    assert (one.kinds, one.scope) == ({"kept-dead": len(views)}, scope)
    assert one.reason == "the backend holds 2 sessions, and 0 clients are or lately were connected"


def test_who_never_tried_to_come_back_is_not_kept_waiting_and_shows_nothing() -> None:
    told = Story()
    told.connect(0, 100, "treated")
    told.close(0, 20_100)
    told.row(RowKind.STOP, 0, LAST_MS)
    one = told.check("reconnect", DOWN)
    assert (one.verdict, one.violations, one.samples) == ("unknown", 0, 0)
    assert one.reason == "no cut sessions that came back or asked for it in vain"


def web_clients(folder: Path, refused_until_ms: float = 0.0) -> Assessment:
    """Twenty users of the audited web client, kept out for 32 s: the sixth wait ends 31 s after the cut and the seventh 30 s later.
    ``refused_until_ms``: the backend itself refuses until then.
    """
    told = Story(declaring(folder, "{policy: web-client}"))
    for user in range(20):
        told.connect(user, 100, "treated")
        waits = [1_000.0 * 2**i for i in range(5)] + [30_000.0] * 4
        told.back_off(user, 20_000, max(52_000, refused_until_ms), [wait + 5 * user for wait in waits])
        told.leave(user, 200_000)
    return told.assess(window(20_000, 52_000))


def test_a_client_asleep_in_its_declared_backoff_is_nobody_s_fault(tmp_path: Path) -> None:
    """Its users wait for 29 s where 10 are allowed, and the backend serves each at once."""
    found = web_clients(tmp_path)
    assert {one.took_ns is not None and 28 < one.took_ns / 1e9 < 31 for one in found.recovered} == {True}
    checks = verdicts(found)
    assert (checks["reconnect"], checks["retries"], checks["backoff"]) == ("valid", "valid", "valid")


def test_a_backend_that_refuses_the_same_client_after_the_heal_is_found(tmp_path: Path) -> None:
    one = check(web_clients(tmp_path, 82_000), "reconnect")
    assert (one.verdict, one.violations) == ("invalid", 20)


@pytest.mark.parametrize("gives_up", [True, False])
def test_a_backend_that_lets_who_asked_before_the_heal_hang_is_found(gives_up: bool) -> None:
    told = Story()
    told.connect(0, 100, "treated")
    told.close(0, 20_100)
    told.dial(0, 24_000)
    told.row(RowKind.OPEN, 0, 24_001)
    if gives_up:
        told.close(0, 34_000, 1000, int(Flag.OURS | Flag.NEVER_READY), served=False)
        told.dial(0, 34_500)
        told.row(RowKind.OPEN, 0, 34_501)
    told.row(RowKind.STOP, 0, 40_000)
    assert told.check("reconnect", DOWN).kinds == {"not-back": 1}


def test_turns_that_stay_slow_are_a_finding_of_their_own_kind() -> None:
    told = compared(End.OK, 0)
    for turn in range(41, 81):
        told.turn(0, turn, 36_000 + turn * 100, 900)
    one = told.check("restored", DOWN)
    assert (one.kinds, {witness.kind for witness in one.witnesses}) == ({"not-restored": 40}, {"not-restored"})


def test_two_sockets_and_waits_without_jitter_are_found_by_their_checkers() -> None:
    told = Story()
    for user in range(20):
        told.connect(user, 100, "treated")
        told.back_off(user, 20_000, 25_000, [1_000.0] * 9)
        told.leave(user, LAST_MS)
    told.connect(20, 100)
    told.connect(20, 5_000)
    told.leave(20, LAST_MS)
    checks = {one.id: one for one in told.assess(DOWN).checks}
    assert set(checks["backoff"].kinds) == {"no-jitter", "no-growth"}
    assert checks["sockets"].kinds == {"two-sockets": 1}
    assert checks["self"].violations == sum(checks[id_].violations > 0 for id_ in CLIENT)
    assert "our own client: sockets: " in checks["self"].reason


def test_silence_may_follow_a_message_or_a_connection(rows: Rows) -> None:
    found = judged(rows)
    assert check(found, "silence").samples == found.evidence.turns + found.evidence.connections


@pytest.mark.parametrize(("users", "required"), [(1, False), (2, True)])
def test_from_the_second_user_on_there_is_somebody_to_leak_from(users: int, required: bool) -> None:
    told = Story()
    for user in range(users):
        told.connect(user, 10)
        told.turn(user, 1, 100)
        told.leave(user, 500)
    one = told.check("leak")
    assert (one.required, one.samples) == (required, 10 if required else 0)


def test_one_message_in_doubt_and_one_look_at_the_backend_are_enough() -> None:
    told = Story()
    told.connect(0, 10, "treated")
    told.send(0, 1, 19_900)
    told.close(0, 20_100, flags=int(Flag.MID_TURN))
    told.connect(0, 26_000)
    told.row(RowKind.RESEND, 0, 26_003, turn=1)
    told.leave(0, LAST_MS)
    assert told.check("idempotency", DOWN).required
    assert told.check("dead-peers", DOWN, views=[(15_000, 1)]).required


@pytest.mark.parametrize(("turns", "required"), [(39, False), (40, True)])
def test_forty_turns_are_meant_to_be_compared(turns: int, required: bool) -> None:
    assert compared(End.OK, turns).check("restored", DOWN).required is required
    told = Story()
    told.connect(0, 10, "control")
    for turn in range(1, 41 + turns):
        told.turn(0, turn, turn * 100 if turn <= 40 else 20_000 + turn * 20, 10)
    told.leave(0, LAST_MS)
    assert told.check("control", DOWN).required is required


def test_a_warning_beside_a_finding_is_counted_by_itself() -> None:
    told = short(2, flags=int(Flag.DEPRECATED))
    told.row(RowKind.EVENT, 0, 8_000, flags=int(Flag.UNAPPROVED), cursor=-2)
    one = told.check("vocabulary")
    assert (one.verdict, one.violations, one.warnings) == ("invalid", 1, 2)
    assert one.kinds == {"deprecated": 2, "unapproved": 1}
